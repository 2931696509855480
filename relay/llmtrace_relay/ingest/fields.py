"""The fields of an encoded protobuf message, without reading what is in them.

Messages are cheap to send and dear to read: two bytes on the wire become a hundred in memory. So the outline of a
request is walked here, with a count, before any of its spans is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmtrace_relay.ingest.refusals import Refused, malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELDS_LIMIT: Final = 250_000
_FIXED: Final = {1: 8, 5: 4}
_BYTES: Final = 2
_LONGEST_VARINT: Final = 10


class Walk:
    """One walk over a request; raises `Refused` with 400 where a message is malformed, 413 where it has too much."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = FIELDS_LIMIT

    def messages(self, message: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Number and content of each field that holds a message, text or bytes; the others are skipped."""
        at, end = 0, len(message)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise Refused(413, f"the body has more than {FIELDS_LIMIT:,} parts; send smaller batches")
            tag, at = _varint(message, at)
            kind = tag & 7
            if kind == _BYTES:
                size, at = _varint(message, at)
                content, at = message[at : at + size], at + size
                if at > end:
                    raise malformed("it ends too early")
                yield tag >> 3, content
            elif kind == 0:
                _, at = _varint(message, at)
            elif kind in _FIXED:
                at += _FIXED[kind]
            else:
                raise malformed("it is no protobuf")
        if at != end:
            raise malformed("it ends too early")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number and where it ends."""
    value = shift = 0
    for place in range(at, min(at + _LONGEST_VARINT, len(message))):
        byte = message[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + 1
        shift += 7
    raise malformed("it ends too early" if at + _LONGEST_VARINT > len(message) else "it is no protobuf")
