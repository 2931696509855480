"""What an instrumented process tells the relay of a call that it has seen itself, and how the relay knows it is true.

A call that both see is one call: it takes its share of limits and budgets once, and its cost counts once. For the
limits the relay must be sure that nobody else says so, so both sign with the secret of the shared state
(`state.secret_env`); without a secret the relay believes it for its own bookkeeping alone.
"""

from __future__ import annotations

import hmac
import re
import uuid
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Labels
    from llmtrace_sdk.typing import Headers, RequestHead

CALL: Final = "x-llmtrace-call-id"
NAMED: Final = (
    ("session", "x-llmtrace-session-id"),
    ("user", "x-llmtrace-user-id"),
    ("agent", "x-llmtrace-agent-id"),
)
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PURPOSE: Final = b"llmtrace.call.1\0"
_MAC_DIGITS: Final = 32
_PRINTABLE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?")


class Introduced(NamedTuple):
    """The id of a call in the process that made it. `proven`: whoever says so knows the secret."""

    call: str
    proven: bool


class Introduction:
    """Introduces the calls of this process to the relay at `url`, and to nobody else."""

    def __init__(self, url: str, secret: bytes) -> None:
        parts = urlsplit(url)
        self._host = (parts.hostname or "").lower()
        self._port = parts.port or _usual(parts.scheme)
        self._secret = secret

    def fields(self, head: RequestHead, call: str, labels: Labels) -> list[tuple[str, str]]:
        """Header fields for a request; none unless it goes to the relay."""
        if head.host.lower() != self._host or (head.port or _usual(head.scheme)) != self._port:
            return []
        found = [(CALL, f"{call}.{_mac(call, self._secret)}" if self._secret else call)]
        for label, name in NAMED:
            value = getattr(labels, label)
            if value is not None and _PRINTABLE.fullmatch(value):
                found.append((name, value))
        if labels.tenant is not None and _is_uuid(labels.tenant):
            found.append(("x-llmtrace-tenant-id", labels.tenant))
        return found


def introduced(headers: Headers, secret: bytes) -> Introduced | None:
    """What a request says of the call in the process that made it; None where that is nothing."""
    given = headers.get(CALL)
    if given is None:
        return None
    call, _, mac = given.partition(".")
    if not _ID.fullmatch(call):
        return None
    proven = bool(secret) and hmac.compare_digest(mac.encode("latin-1", "replace"), _mac(call, secret).encode())
    return Introduced(call, proven)


def _mac(call: str, secret: bytes) -> str:
    return hmac.digest(secret, _PURPOSE + call.encode(), "sha256").hex()[:_MAC_DIGITS]


def _usual(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
