"""From a reply to the pieces that go on the wire: pauses, padding, content-encoding, regrouping, cuts."""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

from .reply import Mark, Piece, Reply
from .scenario import Scenario, UnknownScenario

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEGABYTE: Final = 1 << 20
_LINE_PIECE: Final = b"a" * 16_384
_LINE_PIECES: Final = 65_536
"""An endless line ends after 1 GiB, so that a forgotten client cannot keep the server busy for ever."""


class Encoder(Protocol):
    """A content-coding. What `feed` returns can be decoded without waiting for more."""

    def feed(self, data: bytes) -> bytes:
        """Encode `data` and flush."""

    def finish(self) -> bytes:
        """End the encoding."""


class _Zlib:
    def __init__(self, window: int) -> None:
        self._coder = zlib.compressobj(wbits=window)

    def feed(self, data: bytes) -> bytes:
        return self._coder.compress(data) + self._coder.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._coder.flush()


class _Brotli:
    def __init__(self, module: Any) -> None:
        self._coder = module.Compressor(quality=4)

    def feed(self, data: bytes) -> bytes:
        compressed: bytes = self._coder.process(data) + self._coder.flush()
        return compressed

    def finish(self) -> bytes:
        last: bytes = self._coder.finish()
        return last


class _Zstd:
    def __init__(self, module: Any) -> None:
        self._coder = module.ZstdCompressor().compressobj()
        self._block, self._last = module.COMPRESSOBJ_FLUSH_BLOCK, module.COMPRESSOBJ_FLUSH_FINISH

    def feed(self, data: bytes) -> bytes:
        compressed: bytes = self._coder.compress(data) + self._coder.flush(self._block)
        return compressed

    def finish(self) -> bytes:
        last: bytes = self._coder.flush(self._last)
        return last


def encoder(name: str) -> Encoder | None:
    """The content-coding `name`, None for identity. Raises UnknownScenario if its library is missing."""
    if name in ("", "identity"):
        return None
    if name in ("gzip", "deflate"):
        return _Zlib(31 if name == "gzip" else 15)
    library = "brotli" if name == "br" else "zstandard"
    try:
        module = import_module(library)
    except ImportError:
        raise UnknownScenario(f"fake scenario key {name!r} needs the package {library}") from None
    return _Brotli(module) if name == "br" else _Zstd(module)


def coding(scenario: Scenario) -> str:
    """The content-encoding that the answer announces, '' for none. A bomb is gzip unless another is named."""
    return scenario.encoding or ("gzip" if scenario.bomb_mb else "")


def pieces(reply: Reply, scenario: Scenario) -> tuple[int | None, Iterator[Piece]]:
    """The body's length, None when it is not known beforehand, and the body as it is to be written.

    Raises UnknownScenario before anything is sent.
    """
    coder = encoder(coding(scenario))
    if reply.events is None and not scenario.bomb_mb and not scenario.endless_line:
        body = coder.feed(reply.body) + coder.finish() if coder else reply.body
        gap = scenario.delay_s if scenario.split else 0.0
        return len(body), _cut(_spaced(_split(iter((body,)), scenario.split), gap), scenario.cut)
    flow = reply.events if reply.events is not None else iter((reply.body,))
    flow = _spaced(_without_last(flow) if scenario.no_done else flow, scenario.delay_s)
    if scenario.endless_line:
        flow = _endless(flow, reply.events is not None)
    flow = _padded(flow, scenario.bomb_mb)
    flow = _encoded(flow, coder) if coder else flow
    return None, _cut(_split(flow, scenario.split), scenario.cut)


def _without_last(flow: Iterator[Piece]) -> Iterator[Piece]:
    held: Piece | None = None
    for piece in flow:
        if held is not None:
            yield held
        held = piece


def _spaced(flow: Iterator[Piece], gap_s: float) -> Iterator[Piece]:
    first = True
    for piece in flow:
        if gap_s and not first:
            yield gap_s
        yield piece
        first = False


def _endless(flow: Iterator[Piece], is_stream: bool) -> Iterator[Piece]:
    first = next(flow, b"")
    if is_stream or not isinstance(first, bytes):
        yield first
        yield b"data: "
    else:
        yield first[:-1] + b',"padding":"'
    for _ in range(_LINE_PIECES):
        yield _LINE_PIECE


def _padded(flow: Iterator[Piece], megabytes: int) -> Iterator[Piece]:
    yield from flow
    for _ in range(megabytes):
        yield b"\n" * _MEGABYTE


def _encoded(flow: Iterator[Piece], coder: Encoder) -> Iterator[Piece]:
    for piece in flow:
        yield coder.feed(piece) if isinstance(piece, bytes) else piece
    yield coder.finish()


def _split(flow: Iterator[Piece], size: int) -> Iterator[Piece]:
    if not size:
        yield from flow
        return
    held = bytearray()
    for piece in flow:
        if not isinstance(piece, bytes):
            yield piece
            continue
        held += piece
        for start in range(0, len(held) - size + 1, size):
            yield bytes(held[start : start + size])
        del held[: len(held) - len(held) % size]
    if held:
        yield bytes(held)


def _cut(flow: Iterator[Piece], after: int) -> Iterator[Piece]:
    if after < 0:
        yield from flow
        return
    left = after
    for piece in flow:
        if not isinstance(piece, bytes):
            yield piece
            continue
        if len(piece) >= left:
            if left:
                yield piece[:left]
            yield Mark.CUT
            return
        left -= len(piece)
        yield piece
