from __future__ import annotations

import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.encoding import View, decode_all


def raw_deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


CODINGS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
TEXT = "The quick brown fox, grüße 😀. ".encode() * 50


def view_all(encoding: str, pieces: list[bytes], limit: int = 1 << 20) -> tuple[bytes, str | None]:
    view = View(encoding, limit)
    return b"".join(view.feed(piece) for piece in pieces), view.fault


@pytest.mark.parametrize("coding", CODINGS)
@given(st.integers(1, 200))
def test_every_coding_at_every_piece_size(coding: str, size: int) -> None:
    data = CODINGS[coding](TEXT)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert view_all(coding, pieces) == (TEXT, None)


def test_deflate_without_its_wrapper() -> None:
    assert view_all("deflate", [raw_deflate(TEXT)]) == (TEXT, None)


def test_two_codings_and_identity() -> None:
    assert view_all("deflate, GZIP, identity", [gzip.compress(zlib.compress(TEXT))]) == (TEXT, None)


@pytest.mark.parametrize("encoding", ["compress", "gzip, gzip, gzip, gzip", "nonsense"])
def test_what_cannot_be_decoded_is_visible(encoding: str) -> None:
    assert view_all(encoding, [b"abc"]) == (b"", "encoding_unsupported")


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_corrupt_bytes_are_visible(coding: str) -> None:
    decoded, fault = view_all(coding, [b"this is not compressed at all" * 10])
    assert fault == "encoding_corrupt"
    assert decoded == b""


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_stops_at_the_limit(coding: str) -> None:
    bomb = CODINGS[coding](b"\0" * (64 << 20))
    view = View(coding, 1 << 20)
    size = sum(len(view.feed(bomb[at : at + 1000])) for at in range(0, len(bomb), 1000))
    assert size <= 1 << 20
    assert view.fault == "decoded_limit"


def test_exactly_full_is_not_too_much() -> None:
    assert decode_all("gzip", gzip.compress(b"x" * 100), 100) == (b"x" * 100, None)
    assert decode_all("gzip", gzip.compress(b"x" * 101), 100) == (b"x" * 100, "decoded_limit")


@given(st.binary(max_size=200), st.sampled_from(sorted(CODINGS)))
def test_arbitrary_bytes_never_raise(data: bytes, coding: str) -> None:
    view = View(coding, 1000)
    assert len(view.feed(data)) <= 1000
