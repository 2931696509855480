"""AWS event stream framing (`application/vnd.amazon.eventstream`).

A frame: total length, header length (big-endian 32 bits each), CRC-32 of those eight bytes, headers,
payload, CRC-32 of everything before it. A string header: name length (8 bits), name, type 7, value length
(16 bits), value.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

MEDIA: Final = "application/vnd.amazon.eventstream"
_STRING: Final = 7


def frame(payload: bytes, event_type: str) -> bytes:
    """One event message with a JSON payload."""
    headers = b"".join(
        _header(name, value)
        for name, value in (
            (":event-type", event_type),
            (":content-type", "application/json"),
            (":message-type", "event"),
        )
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def _header(name: str, value: str) -> bytes:
    encoded = value.encode()
    return struct.pack(f">B{len(name)}sBH", len(name), name.encode(), _STRING, len(encoded)) + encoded
