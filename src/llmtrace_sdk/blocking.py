"""Tells a block of ours from every other error of an SDK."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk import runtime
from llmtrace_sdk.core.model import Decision
from llmtrace_sdk.errors import Blocked

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER: Final = "x-llmtrace-blocked"
EXTENSION: Final = "llmtrace"
MAX_EXCEPTIONS: Final = 200
_RESPONSES: Final = ("response", "raw_response", "http_response")
_NAMED: Final = re.compile(r"\(decision ([0-9a-f-]{36})\)")  # as the message of every refusal ends
_TEXT_LIMIT: Final = 10_000


def blocked(exc: BaseException) -> Decision | None:
    """The decision that caused an exception, or None when llmtrace did not refuse the call.

    Works on whatever an SDK or a framework made of our refusal: the exception itself, its causes and contexts (those
    hidden by `raise ... from None` too) and the members of exception groups are looked through. A decision older than
    the last 1,024 blocks of this process, or made by another one (the relay), comes back without its findings.
    """
    for error in _chain(exc):
        if isinstance(error, Blocked):
            return error.decision
        for holder in (error, *(_field(error, name) for name in _RESPONSES)):
            decision = _decision_of(holder)
            if decision is not None:
                return decision
        decision = _named_in(error)
        if decision is not None:
            return decision
    return None


def _chain(exc: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = deque([exc])
    while waiting and len(seen) < MAX_EXCEPTIONS:
        error = waiting.popleft()
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        waiting.extend(e for e in (error.__cause__, error.__context__) if e is not None)
        if isinstance(error, BaseExceptionGroup):
            waiting.extend(error.exceptions)


def _decision_of(holder: Any) -> Decision | None:
    """The decision that a response, or an exception with the fields of one, carries."""
    extensions = _field(holder, "extensions")
    decision = extensions.get(EXTENSION) if isinstance(extensions, Mapping) else None
    if isinstance(decision, Decision):
        return decision if decision.blocked else None
    name = _header_of(_field(holder, "headers"))
    if name is None:
        return None
    return runtime.recent_block(name) or Decision(id=name, action="block", verdict="block", reason="blocked")


def _header_of(headers: Any) -> str | None:
    if not isinstance(headers, Mapping):
        return None
    value = headers.get(HEADER)  # the header mappings of HTTP libraries compare without case, a plain dict does not
    if value is None and type(headers) is dict:
        value = next((v for k, v in headers.items() if isinstance(k, str) and k.lower() == HEADER), None)
    return value if isinstance(value, str) else None


def _named_in(error: BaseException) -> Decision | None:
    """The decision that the message names: replicate keeps nothing else. Only a block that we remember is believed."""
    try:
        match = _NAMED.search(str(error)[:_TEXT_LIMIT])
    except Exception:  # noqa: BLE001 - an exception whose text cannot be made
        return None
    return runtime.recent_block(match[1]) if match else None


def _field(holder: Any, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except Exception:  # noqa: BLE001 - a property of a foreign exception
        return None
