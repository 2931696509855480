from __future__ import annotations

import binascii
import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core import framing
from llmtrace_sdk.core.framing import NDJSON, SSE, AWSEventStream

EVENTS = [("", b'{"a":1}'), ("delta", "grüße 😀".encode()), ("", b"two\nlines"), ("", b"[DONE]")]


def sse_bytes(line_end: bytes) -> bytes:
    out = b": a comment" + line_end + line_end
    for name, data in EVENTS:
        if name:
            out += b"event: " + name.encode() + line_end
        for line in data.split(b"\n"):
            out += b"data: " + line + line_end
        out += b"id: 7" + line_end + line_end
    return out


def aws_message(name: str, payload: bytes) -> bytes:
    headers = b""
    for key, value in ((b":message-type", b"event"), (b":event-type", name.encode())):
        headers += bytes([len(key)]) + key + b"\x07" + struct.pack(">H", len(value)) + value
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", binascii.crc32(message))


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def run(parser: framing.Framing, pieces: list[bytes]) -> list[tuple[str, bytes]]:
    events = [event for piece in pieces for event in parser.feed(piece)]
    return [*events, *parser.flush()]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@given(cuts=st.lists(st.integers(0, 10_000), max_size=40))
def test_sse_gives_the_same_events_at_every_split(line_end: bytes, cuts: list[int]) -> None:
    assert run(SSE(), in_pieces(sse_bytes(line_end), cuts)) == EVENTS


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_sse_byte_by_byte(line_end: bytes) -> None:
    assert run(SSE(), [bytes([b]) for b in sse_bytes(line_end)]) == EVENTS


def test_sse_event_that_the_stream_cuts_off_is_still_inspected() -> None:
    assert run(SSE(), [b"data: one\n\nda", b"ta: two"]) == [("", b"one"), ("", b"two")]


def test_sse_byte_order_mark_and_field_without_space() -> None:
    assert run(SSE(), [b"\xef\xbb\xbfdata:x\n\n"]) == [("", b"x")]


@pytest.mark.parametrize("size", [1, 7, 4096, 100_000])
def test_sse_endless_line_is_bounded_visible_and_the_next_event_is_read(size: int) -> None:
    parser = SSE(limit=10_000)
    sent = 0
    while sent < 50_000:
        assert parser.feed(b"data: " + b"x" * size if sent == 0 else b"x" * size) == framing.NOTHING
        sent += size
        assert len(parser._buffer) <= 10_000 + size
    assert parser.fault == "event_limit"
    assert list(parser.feed(b"\n\ndata: next\n\n")) == [("", b"next")]


def test_sse_skipping_ends_at_a_blank_line_that_is_split() -> None:
    parser = SSE(limit=10)
    parser.feed(b"data: 01234567890123456789\n")
    assert list(parser.feed(b"\ndata: a\n\n")) == [("", b"a")]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=10))
def test_any_bytes_give_the_same_at_every_split_and_never_raise(data: bytes, cuts: list[int]) -> None:
    for kind in ("sse", "ndjson", "aws"):
        whole, pieces = framing.make(kind), framing.make(kind)
        assert run(pieces, in_pieces(data, cuts)) == run(whole, [data])
        assert pieces.fault == whole.fault


@given(cuts=st.lists(st.integers(0, 10_000), max_size=40))
def test_ndjson_gives_the_same_lines_at_every_split(cuts: list[int]) -> None:
    data = b'{"a":1}\n\n{"b":"\xc3\xbc"}\r\n{"last":true}'
    assert run(NDJSON(), in_pieces(data, cuts)) == [
        ("", b'{"a":1}'),
        ("", b'{"b":"\xc3\xbc"}\r'),
        ("", b'{"last":true}'),
    ]


def test_ndjson_endless_line_is_bounded() -> None:
    parser = NDJSON(limit=1000)
    for _ in range(100):
        parser.feed(b"x" * 100)
        assert len(parser._buffer) <= 1100
    assert parser.fault == "event_limit"
    assert list(parser.feed(b'\n{"ok":1}\n')) == [("", b'{"ok":1}')]


@given(cuts=st.lists(st.integers(0, 10_000), max_size=40))
def test_aws_messages_at_every_split(cuts: list[int]) -> None:
    data = aws_message("chunk", b'{"bytes":"e30="}') + aws_message("metadata", b"{}")
    assert run(AWSEventStream(), in_pieces(data, cuts)) == [("chunk", b'{"bytes":"e30="}'), ("metadata", b"{}")]


def test_aws_damage_ends_the_inspection_visibly() -> None:
    data = bytearray(aws_message("chunk", b"{}") + aws_message("chunk", b"{}"))
    data[-6] ^= 1
    parser = AWSEventStream()
    assert run(parser, [bytes(data)]) == [("chunk", b"{}")]
    assert parser.fault == "frame_corrupt"


def test_aws_message_over_the_limit_is_not_buffered() -> None:
    parser = AWSEventStream(limit=100)
    assert list(parser.feed(aws_message("chunk", b"x" * 200))) == []
    assert parser.fault == "event_limit"
    assert len(parser._buffer) == 0


def test_aws_cut_in_the_middle_is_visible() -> None:
    parser = AWSEventStream()
    run(parser, [aws_message("chunk", b"{}")[:-3]])
    assert parser.fault == "frame_corrupt"
