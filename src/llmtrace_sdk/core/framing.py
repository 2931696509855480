"""Byte stream -> events: server-sent events, newline-delimited JSON, AWS event streams.

Each framing has `feed(bytes)` and `flush()`, both giving `(name, data)` pairs, works at any split of the bytes, keeps
at most `limit` bytes of an unfinished event, and says in `fault` (a coverage code) when it had to skip something.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.typing import Framing as Name

Event = tuple[str, bytes]
NOTHING: Final[tuple[Event, ...]] = ()
EVENT_LIMIT: Final = 1 << 20


class Framing(Protocol):
    """Cuts a byte stream into events."""

    fault: str | None
    name: Name
    """What it is called."""
    by_lines: bool
    """Whether an event ends where a line does."""

    @property
    def pending(self) -> int:
        """How many bytes there are of an event that is not complete yet (line ends of two bytes count as one)."""

    def feed(self, data: bytes, /) -> Sequence[Event]:
        """Take bytes, give the events that they complete."""

    def flush(self) -> Sequence[Event]:
        """The end of the stream."""


class SSE:
    """Server-sent events (WHATWG HTML §9.2.6). An event that the end of the stream cuts off is given out by `flush`,
    although the standard drops it: what a lenient client may show must be inspected.
    """

    __slots__ = ("_buffer", "_limit", "_searched", "_skipping", "_swallow_lf", "fault")

    name: Name = "sse"
    by_lines = True

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self.fault: str | None = None
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0
        self._skipping = False
        self._swallow_lf = False

    @property
    def pending(self) -> int:
        """See `Framing`."""
        return 0 if self._skipping else len(self._buffer)

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take bytes, give the events that they complete."""
        if not data:
            return NOTHING
        if self._swallow_lf or b"\r" in data:
            data = self._line_feeds(data)
        if not self._buffer and not self._skipping and data.endswith(b"\n\n"):
            return _sse_events(data[:-2].split(b"\n\n"))
        self._buffer += data
        return self._complete()

    def flush(self) -> Sequence[Event]:
        """The end of the stream: what is left over, read as one event."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return NOTHING if self._skipping else _sse_events([rest])

    def _line_feeds(self, data: bytes) -> bytes:
        """All three line ends become LF; a CR at the end swallows the LF that the next bytes may begin with."""
        if self._swallow_lf and data.startswith(b"\n"):
            data = data[1:]
        self._swallow_lf = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _complete(self) -> Sequence[Event]:
        end = self._buffer.rfind(b"\n\n", self._searched)
        if end < 0:
            self._searched = max(len(self._buffer) - 1, 0)
            self._bound()
            return NOTHING
        blocks = bytes(self._buffer[:end]).split(b"\n\n")
        del self._buffer[: end + 2]
        self._searched = max(len(self._buffer) - 1, 0)
        if self._skipping:
            self._skipping = False
            del blocks[0]
        self._bound()
        return _sse_events(blocks)

    def _bound(self) -> None:
        if len(self._buffer) <= self._limit:
            return
        self.fault = "event_limit"
        self._skipping = True
        # the last byte may be the first half of the blank line that ends the event
        del self._buffer[:-1]
        self._searched = 0


def _sse_events(blocks: Sequence[bytes]) -> Sequence[Event]:
    events: list[Event] = []
    for block in blocks:
        if block.startswith(b"data: ") and b"\n" not in block:
            events.append(("", block[6:]))
        elif block:
            event = _sse_event(block)
            if event is not None:
                events.append(event)
    return events


def _sse_event(block: bytes) -> Event | None:
    name, data = "", []
    for line in block.split(b"\n"):
        field, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return (name, b"\n".join(data)) if data else None


class NDJSON:
    """One JSON value per line."""

    __slots__ = ("_buffer", "_limit", "_searched", "_skipping", "fault")

    name: Name = "ndjson"
    by_lines = True

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self.fault: str | None = None
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0
        self._skipping = False

    @property
    def pending(self) -> int:
        """See `Framing`."""
        return 0 if self._skipping else len(self._buffer)

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take bytes, give the lines that they complete."""
        if not self._buffer and not self._skipping and data.endswith(b"\n"):
            return [("", line) for line in data.split(b"\n") if line.strip()]
        self._buffer += data
        end = self._buffer.rfind(b"\n", self._searched)
        lines: list[bytes] = []
        if end >= 0:
            lines = bytes(self._buffer[:end]).split(b"\n")
            del self._buffer[: end + 1]
            if self._skipping:
                self._skipping = False
                del lines[0]
        if len(self._buffer) > self._limit:
            self.fault = "event_limit"
            self._skipping = True
            self._buffer.clear()
        self._searched = len(self._buffer)
        return [("", line) for line in lines if line.strip()]

    def flush(self) -> Sequence[Event]:
        """The end of the stream: a last line without a line end."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return [("", rest)] if rest.strip() and not self._skipping else NOTHING


class AWSEventStream:
    """application/vnd.amazon.eventstream: length-prefixed messages with headers and two CRC-32 sums.

    The event's name is its `:event-type` header (or `:exception-type`). A damaged message ends the inspection: there
    is no way to find the next one.
    """

    __slots__ = ("_buffer", "_limit", "fault")

    name: Name = "aws"
    by_lines = False
    _PRELUDE: Final = struct.Struct(">III")

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self.fault: str | None = None
        self._limit = limit
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """See `Framing`."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take bytes, give the messages that they complete."""
        if self.fault is not None:
            return NOTHING
        self._buffer += data
        events: list[Event] = []
        while len(self._buffer) >= self._PRELUDE.size:
            total, headers, checksum = self._PRELUDE.unpack_from(self._buffer)
            if zlib.crc32(self._buffer[:8]) != checksum or not 16 + headers <= total:
                return self._give_up("frame_corrupt", events)
            if total > self._limit:
                return self._give_up("event_limit", events)
            if len(self._buffer) < total:
                break
            message = bytes(self._buffer[:total])
            del self._buffer[:total]
            if zlib.crc32(message[:-4]) != int.from_bytes(message[-4:], "big"):
                return self._give_up("frame_corrupt", events)
            events.append((_aws_name(message[12 : 12 + headers]), message[12 + headers : -4]))
        return events

    def flush(self) -> Sequence[Event]:
        """The end of the stream: a message that is cut off cannot be read."""
        if self._buffer and self.fault is None:
            self.fault = "frame_corrupt"
        self._buffer.clear()
        return NOTHING

    def _give_up(self, fault: str, events: list[Event]) -> list[Event]:
        self.fault = fault
        self._buffer.clear()
        return events


_AWS_FIXED_SIZES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


def _aws_name(headers: bytes) -> str:
    """The value of `:event-type` or `:exception-type`; header = name length, name, type, value (AWS event stream)."""
    at = 0
    try:
        while at < len(headers):
            name = headers[at + 1 : at + 1 + headers[at]]
            at += 1 + headers[at]
            kind = headers[at]
            at += 1
            size = _AWS_FIXED_SIZES.get(kind)
            if size is None:
                size = int.from_bytes(headers[at : at + 2], "big")
                at += 2
            if name in (b":event-type", b":exception-type"):
                return headers[at : at + size].decode("utf-8", "replace")
            at += size
    except IndexError:
        return ""
    return ""


def make(framing: str, limit: int = EVENT_LIMIT) -> Framing:
    """The framing of that name (`typing.Framing`)."""
    kinds: dict[str, type[SSE | NDJSON | AWSEventStream]]
    kinds = {"sse": SSE, "ndjson": NDJSON, "aws": AWSEventStream}
    return kinds[framing](limit)
