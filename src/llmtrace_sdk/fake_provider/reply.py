"""What an endpoint answers: a whole body, or events to be sent one by one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON: Final = "application/json"
SSE: Final = "text/event-stream; charset=utf-8"

encode: Final = msgspec.json.Encoder().encode


class Mark(Enum):
    """What a body may hold besides bytes and pauses."""

    HOLD = auto()
    """Stay open and send nothing more until the peer closes."""
    CUT = auto()
    """Close the socket in the middle of the body."""


Piece = bytes | float | Mark
"""Bytes to write, a pause in seconds, or a mark."""


@dataclass(slots=True)
class Reply:
    """`events` None means that `body` is whole and its length is announced; otherwise the length is unknown.

    `headers` holds complete header lines, each ended by CRLF. `counted` is false for what the server says about
    itself.
    """

    body: bytes = b""
    events: Iterator[Piece] | None = None
    status: int = 200
    media: str = JSON
    headers: str = ""
    counted: bool = True


def json_reply(value: Any, *, status: int = 200, headers: str = "") -> Reply:
    """`value` as a whole JSON body."""
    return Reply(encode(value), status=status, headers=headers)


def sse_event(data: bytes, *, event: str = "", number: str = "", crlf: bool = False, comments: bool = False) -> bytes:
    """One server-sent event (HTML standard, section 9.2.6). `data` is one line, or lines joined by LF."""
    if comments and data.startswith(b"{"):
        # JSON allows white space after the brace, so a line may end there without changing the value.
        data = b"{\n" + data[1:]
    fields = b": keep-alive\n" if comments else b""
    if event:
        fields += b"event: %b\n" % event.encode()
    if number:
        fields += b"id: %b\n" % number.encode()
    lines = b"data: " + data.replace(b"\n", b"\ndata: ")
    block = fields + lines + b"\n\n"
    return block.replace(b"\n", b"\r\n") if crlf else block
