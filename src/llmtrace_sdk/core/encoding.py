"""A decoded view of content-encoded bytes, for inspection only: what is forwarded is never touched (RFC 9110 §8.4).

A view takes chunks as they come and gives back what can be decoded so far, never more than its limit in total, so
that a decompression bomb costs a bounded amount of memory. A view that cannot go on sets `fault` to a coverage code
and returns nothing from then on.
"""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CODINGS: Final = 3
SLICE: Final = 256


class _Stage(Protocol):
    """One content coding. `decode` yields at most about `room` bytes; raises on corrupt input."""

    def decode(self, data: bytes, room: int) -> bytes: ...


class _Zlib:
    """gzip, or deflate in either of its two readings: zlib-wrapped (RFC 1950) or, as some servers send it, raw."""

    def __init__(self, *, gzip: bool) -> None:
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16 if gzip else zlib.MAX_WBITS)
        self._may_be_raw = not gzip

    def decode(self, data: bytes, room: int) -> bytes:
        try:
            decoded = self._inflate.decompress(data, room)
        except zlib.error:
            if not self._may_be_raw:
                raise
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            decoded = self._inflate.decompress(data, room)
        self._may_be_raw = False
        return decoded


class _Bounded:
    """A decoder that stops at a given output size of its own accord."""

    def __init__(self, decode: Callable[[bytes, int], bytes]) -> None:
        self.decode = decode


class _Sliced:
    """A decoder whose output cannot be bounded per call: it gets small slices and is stopped between them."""

    def __init__(self, decode: Callable[[bytes], bytes]) -> None:
        self._decode = decode

    def decode(self, data: bytes, room: int) -> bytes:
        out = bytearray()
        for start in range(0, len(data), SLICE):
            out += self._decode(data[start : start + SLICE])
            if len(out) >= room:
                break
        return bytes(out)


def _imported(*names: str) -> Any:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


def _brotli() -> _Stage | None:
    module = _imported("brotli", "brotlicffi")
    if module is None:
        return None
    decoder = module.Decompressor()
    if hasattr(decoder, "can_accept_more_data"):  # brotli >= 1.2
        return _Bounded(lambda data, room: decoder.process(data, output_buffer_limit=room))
    return _Sliced(getattr(decoder, "process", None) or decoder.decompress)


def _zstd() -> _Stage | None:
    # Python 3.14 (PEP 784), its backport (which httpx2 uses), and the older binding (which httpx uses)
    module = _imported("compression.zstd", "backports.zstd")
    if module is not None:
        return _Bounded(module.ZstdDecompressor().decompress)
    module = _imported("zstandard")
    return None if module is None else _Sliced(module.ZstdDecompressor().decompressobj().decompress)


_STAGES: Final[dict[str, Callable[[], _Stage | None]]] = {
    "gzip": lambda: _Zlib(gzip=True),
    "x-gzip": lambda: _Zlib(gzip=True),
    "deflate": lambda: _Zlib(gzip=False),
    "br": _brotli,
    "zstd": _zstd,
}


class View:
    """The decoded view of one body; `encoding` is the value of its Content-Encoding header."""

    __slots__ = ("_room", "_stages", "fault")

    def __init__(self, encoding: str, limit: int) -> None:
        self.fault: str | None = None
        self._room = limit
        self._stages: list[_Stage] = []
        codings = [
            name for name in (part.strip().lower() for part in encoding.split(",")) if name not in ("", "identity")
        ]
        if len(codings) > MAX_CODINGS:
            self.fault = "encoding_unsupported"
            return
        for coding in reversed(codings):  # listed in the order in which they were applied
            stage = _STAGES.get(coding, lambda: None)()
            if stage is None:
                self.fault = "encoding_unsupported"
                return
            self._stages.append(stage)

    def feed(self, chunk: bytes) -> bytes:
        """Decode one chunk; empty when nothing can be decoded (yet, or any more)."""
        if self.fault is not None:
            return b""
        for stage in self._stages:
            try:
                # one byte over the room tells "exactly full" from "too much"
                chunk = stage.decode(chunk, self._room + 1)
            except Exception:  # noqa: BLE001 - each library has its own error class; all mean that the bytes are not what they claim
                self.fault = "encoding_corrupt"
                return b""
        self._room -= len(chunk)
        if self._room < 0:
            self.fault = "decoded_limit"
            return chunk[: self._room]
        return chunk


def decode_all(encoding: str, body: bytes, limit: int) -> tuple[bytes, str | None]:
    """Decode a whole body; gives the bytes and a coverage code when they are not all of it."""
    view = View(encoding, limit)
    return view.feed(body), view.fault
