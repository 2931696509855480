"""Who made a call, as far as the relay knows: tenant and labels, the client's address, and the trace it belongs to."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk import ids
from llmtrace_sdk.actions.sources import source_of
from llmtrace_sdk.core.model import Labels

if TYPE_CHECKING:
    from llmtrace_relay.headers import Headers
    from llmtrace_sdk.config import Settings
    from llmtrace_sdk.introduction import Introduced

NAME_LIMIT: Final = 256
UNKNOWN_TENANT: Final = str(uuid.uuid5(uuid.NAMESPACE_OID, "Unknown"))
"""The tenant of calls that name none, where no other is configured; the same as in LLMTrace's proxy."""

_ZEROS: Final = "0" * 32


def labels_of(
    scope: Any, headers: Headers, settings: Settings, tenant: str | None, call: Introduced | None = None
) -> Labels:
    """What is known about who made a call; `call` is what an instrumented process says of it."""
    peer = scope.get("client")
    source = source_of(
        peer[0] if peer else None, headers.get("x-forwarded-for"), headers.get("x-real-ip"), settings.action_router
    )
    trace, parent = _parents(headers)
    return Labels(
        session=_name(headers, "x-llmtrace-session-id"),
        user=_name(headers, "x-llmtrace-user-id"),
        agent=_name(headers, "x-llmtrace-agent-id"),
        tenant=tenant or settings.default_tenant_id or UNKNOWN_TENANT,
        source=source,
        trace=trace or ids.uuid7().replace("-", ""),
        parent=parent,
        call=None if call is None else call.call,
    )


def uuid_of(digits: str) -> str:
    """An id of 32 or 16 hexadecimal digits as a UUID."""
    text = digits.rjust(32, "0")
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _parents(headers: Headers) -> tuple[str | None, str | None]:
    """The trace and the span that a call belongs to: by `traceparent` (W3C Trace Context), else by our own header."""
    given = headers.get("traceparent")
    if given is not None:
        parts = given.split("-")
        if len(parts) >= 4 and len(parts[0]) == 2 and _hex(parts[1], 32) and _hex(parts[2], 16):
            return parts[1], parts[2]
    own = headers.get("x-llmtrace-trace-id")
    if own is not None:
        try:
            return uuid.UUID(own.strip()).hex, None
        except ValueError:
            return None, None
    return None, None


def _hex(text: str, digits: int) -> bool:
    return len(text) == digits and set(text) <= set("0123456789abcdef") and text.strip("0") != ""


def _name(headers: Headers, field: str) -> str | None:
    value = headers.get(field)
    return value[:NAME_LIMIT] if value else None
