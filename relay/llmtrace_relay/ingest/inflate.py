"""Content codings of a request, undone within bounds."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from llmtrace_relay.ingest.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

MEMBERS_LIMIT: Final = 16
_WBITS: Final = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


def inflated(body: bytes, coding: str | None, limit: int) -> bytes:
    """The body without its content coding, at most `limit` bytes of it. Raises `Refused` with 400, 413 or 415."""
    name = (coding or "").strip().lower()
    if name in ("", "identity"):
        if len(body) > limit:
            raise too_large(limit)
        return body
    wbits = _WBITS.get(name)
    if wbits is None:
        raise Refused(415, "the content coding is not known here; send gzip, deflate or none")
    try:
        return _inflated(body, lambda: zlib.decompressobj(wbits), limit)
    except zlib.error:
        raise Refused(400, f"the body is not {name}, as its content coding says") from None


def too_large(limit: int) -> Refused:
    """A body over the limit, in bytes."""
    return Refused(413, f"the body is larger than {limit:,} bytes (max_request_size_bytes); send smaller batches")


def _inflated(body: bytes, member: Callable[[], zlib._Decompress], limit: int) -> bytes:
    """A gzip file may have several members (RFC 1952 §2.2)."""
    parts: list[bytes] = []
    room = limit
    for _ in range(MEMBERS_LIMIT):
        inflate = member()
        parts.append(inflate.decompress(body, room + 1))
        room -= len(parts[-1])
        if room < 0:
            raise too_large(limit)
        if not inflate.eof:
            raise Refused(400, "the compressed body ends too early")
        body = inflate.unused_data
        if not body:
            return b"".join(parts)
    raise Refused(413, f"the compressed body has more than {MEMBERS_LIMIT} members; compress it as one")
