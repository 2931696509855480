"""What the endings of stopped streams share: reading what was told, the mark of our decision, the framings.

An ending says what the vendor itself says when it cuts an answer off: it closes what is open, and gives the reason that
its filters give. Nothing about the answer is made up; counts of tokens are those that were told, or none.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core import jsonio
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._shared import encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_sdk.core.model import Decision
    from llmtrace_sdk.typing import Framing

DONE: Final = b"data: [DONE]\n\n"
_STRING: Final = 7
"""The type of a header that is a string (AWS event stream)."""


def mark(decision: Decision) -> dict[str, str]:
    """What the ending says under `llmtrace`, for people who look the decision up."""
    return {"decision": decision.id, "reason": decision.reason}


def objects(payloads: Iterable[bytes]) -> list[dict[str, Any]]:
    """The JSON objects among the payloads, or in lists there."""
    found: list[dict[str, Any]] = []
    for payload in payloads:
        try:
            value = jsonio.decode(payload)
        except Unreadable:
            continue
        found += (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict))
    return found


def latest(events: Iterable[dict[str, Any]], member: str) -> Any:
    """The last value of a member that is neither empty nor zero; None if there is none."""
    found = None
    for event in events:
        found = event.get(member) or found
    return found


def is_done(payloads: Iterable[bytes]) -> bool:
    """Whether the client has seen `[DONE]`."""
    return any(payload.strip() == b"[DONE]" for payload in payloads)


def sse(event: dict[str, Any], name: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + encode(event) + b"\n\n"


def lines(framing: Framing, events: Iterable[dict[str, Any]]) -> bytes:
    """Events without names, as server-sent ones or a line each."""
    return b"".join(encode(event) + b"\n" if framing == "ndjson" else sse(event) for event in events)


def frame(event: dict[str, Any], name: str, *, exception: bool = False) -> bytes:
    """One message of an AWS event stream: lengths, a sum over them, headers, payload, a sum over everything."""
    sort = "exception" if exception else "event"
    told = ((f":{sort}-type", name), (":content-type", "application/json"), (":message-type", sort))
    headers, payload = b"".join(_header(*each) for each in told), encode(event)
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _header(name: str, value: str) -> bytes:
    return struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", _STRING, len(value)) + value.encode()
