"""The inspecting side of a response, through real wire formats, at every split of the bytes."""

from __future__ import annotations

import gzip
import itertools
import json
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_sdk.core.intake import Intake
from llmtrace_sdk.providers.openai_chat import PROVIDER
from llmtrace_sdk.typing import Endpoint, ResponseHead

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Answer

ENDPOINT = Endpoint("openai", "chat", "chat_completions")
TEXT = "Grüße, 😀: one\ntwo"


def chunk(delta: dict[str, object], finish: str | None = None) -> bytes:
    body = {"id": "c1", "model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


STREAM = b"".join(
    [
        b": keep-alive\n\n",
        *(chunk({"content": letter}) for letter in TEXT),
        chunk({}, "stop"),
        b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n',
        b"data: [DONE]\n\n",
    ]
)
WHOLE = json.dumps(
    {
        "id": "c1",
        "model": "m-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    }
).encode()


def read(
    pieces: list[bytes], content_type: str, encoding: str = "", limit: int = 1 << 20
) -> tuple[Answer, list[str], bool]:
    headers = {"content-type": content_type, **({"content-encoding": encoding} if encoding else {})}
    intake = Intake(ENDPOINT, ResponseHead(200, headers), PROVIDER.reader(ENDPOINT), limit)
    for piece in pieces:
        intake.feed(piece)
    intake.finish()
    return intake.answer(), intake.reasons, intake.streamed


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def is_right(answer: Answer) -> bool:
    (segment,) = answer.segments
    usage = (answer.usage.input_tokens, answer.usage.output_tokens)
    return (segment.text, usage, answer.finish_reasons, answer.model) == (TEXT, (3, 4), ("stop",), "m-1")


@given(st.lists(st.integers(0, 100_000), max_size=60), st.sampled_from(["", "gzip", "deflate"]))
@settings(max_examples=80)
def test_a_stream_reads_the_same_at_every_split(cuts: list[int], encoding: str) -> None:
    data = {"": STREAM, "gzip": gzip.compress(STREAM), "deflate": zlib.compress(STREAM)}[encoding]
    answer, reasons, streamed = read(in_pieces(data, cuts), "text/event-stream; charset=utf-8", encoding)
    assert is_right(answer)
    assert (reasons, streamed) == ([], True)


@given(st.lists(st.integers(0, 100_000), max_size=30))
def test_a_body_reads_the_same_at_every_split(cuts: list[int]) -> None:
    answer, reasons, streamed = read(in_pieces(WHOLE, cuts), "application/json")
    assert is_right(answer)
    assert (reasons, streamed) == ([], False)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", "application/octet-stream"])
def test_a_stream_under_a_lying_content_type_is_still_read(content_type: str) -> None:
    answer, _reasons, streamed = read([STREAM[:1], STREAM[1:4], STREAM[4:]], content_type)
    assert is_right(answer)
    assert streamed


@pytest.mark.parametrize("content_type", ["text/event-stream", "text/html", "image/png"])
def test_a_body_under_a_lying_content_type_is_still_read(content_type: str) -> None:
    answer, _, streamed = read([b"  \n", WHOLE], content_type)
    assert is_right(answer)
    assert not streamed


@pytest.mark.parametrize(
    ("data", "content_type", "encoding", "reason"),
    [
        (b'{"choices": [', "application/json", "", "invalid_json"),
        (b"<html>busy</html>", "text/html", "", "invalid_json"),
        (b'{"a": "\xff\xfe"}', "application/json", "", "invalid_json"),
        (b"not gzip", "application/json", "gzip", "encoding_corrupt"),
        (b"x", "application/json", "snappy", "encoding_unsupported"),
        (b'{"a":"' + b"x" * 3000 + b'"}', "application/json", "", "body_limit"),
        (gzip.compress(b"x" * 3000), "application/json", "gzip", "decoded_limit"),
        (b"data: {broken\n\n", "text/event-stream", "", "invalid_json"),
    ],
)
def test_what_cannot_be_read_is_visible(data: bytes, content_type: str, encoding: str, reason: str) -> None:
    answer, reasons, _ = read([data], content_type, encoding, limit=2000)
    assert reasons == [reason]
    assert answer.segments == ()


def test_nesting_deeper_than_any_decoder_goes_is_visible() -> None:
    answer, reasons, _ = read([b"[" * 100_000 + b"]" * 100_000], "application/json")
    assert (answer.segments, reasons) == ((), ["too_deep"])


def test_a_broken_event_does_not_hide_the_others() -> None:
    answer, reasons, _ = read([b"data: {broken\n\n", STREAM], "text/event-stream")
    assert is_right(answer)
    assert reasons == ["invalid_json"]


def test_text_over_the_limit_is_visible_and_bounded() -> None:
    answer, reasons, _ = read([chunk({"content": "x" * 100})] * 50, "text/event-stream", limit=2000)
    assert len(answer.segments[0].text) <= 2100
    assert "text_limit" in reasons


@given(st.binary(max_size=500), st.sampled_from(["application/json", "text/event-stream", "application/x-ndjson", ""]))
def test_arbitrary_bytes_are_read_alike_however_they_are_split(data: bytes, content_type: str) -> None:
    assert read([data[:7], data[7:]], content_type) == read([data], content_type)
