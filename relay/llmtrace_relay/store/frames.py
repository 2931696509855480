"""Records in a file that may end anywhere: each says how long it is and what its checksum is.

A record is four bytes of length, four of CRC-32 (over the length and the content), and the content. What a process
that was killed has left is read up to the first record that is not whole.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

_HEAD: Final = struct.Struct("<II")
_LENGTH: Final = struct.Struct("<I")
HEAD_SIZE: Final = _HEAD.size
CONTENT_LIMIT: Final = 16 << 20


def frame(content: bytes) -> bytes:
    """A record. Raises `ValueError` for content over `CONTENT_LIMIT` bytes."""
    if len(content) > CONTENT_LIMIT:
        raise ValueError(f"a record of {len(content)} bytes is over the limit of {CONTENT_LIMIT}")
    return _HEAD.pack(len(content), _checksum(content)) + content


def unframe(data: bytes | memoryview, most: int) -> tuple[list[bytes], list[int]]:
    """The contents of the whole records that some bytes begin with, at most `most`, and where each of them ends."""
    contents: list[bytes] = []
    ends: list[int] = []
    at = 0
    while len(contents) < most and at + HEAD_SIZE <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        end = at + HEAD_SIZE + length
        if length > CONTENT_LIMIT or end > len(data):
            break
        content = bytes(data[at + HEAD_SIZE : end])
        if _checksum(content) != checksum:
            break
        contents.append(content)
        ends.append(end)
        at = end
    return contents, ends


def wanted(data: bytes | memoryview) -> int:
    """How many bytes the first record takes as its head says; 0 where there is no head or it cannot be one."""
    if len(data) < HEAD_SIZE:
        return 0
    length: int = _LENGTH.unpack_from(data)[0]
    return HEAD_SIZE + length if length <= CONTENT_LIMIT else 0


def _checksum(content: bytes) -> int:
    # with the length, so that a stretch of zeros is no record
    return zlib.crc32(content, zlib.crc32(_LENGTH.pack(len(content))))
