from __future__ import annotations

from typing import Any

import pytest
from gemini_shapes import ANSWER, SEGMENTS_OUT, USAGE, chunk, streamed
from hypothesis import given
from hypothesis import strategies as st
from wire_formats import (
    JSON,
    as_event,
    assert_reads_or_refuses,
    mutated,
    read_stream,
    read_whole,
    told,
)

from llmtrace_sdk.core.model import Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._reading import EMPTY
from llmtrace_sdk.providers.gemini import PROVIDER
from llmtrace_sdk.typing import Endpoint

ENDPOINT = Endpoint("gcp.gemini", "generate_content", "streamGenerateContent", "gemini-x", stream=True)


def test_whole_answer() -> None:
    reader, segments = read_whole(PROVIDER, ENDPOINT, ANSWER)
    assert [(s.pointer, s.text, s.kind, s.name) for s in segments] == SEGMENTS_OUT
    assert told(reader) == {
        "model": "gemini-x-001",
        "response_id": "resp-1",
        "finish_reasons": ["STOP"],
        "usage": Usage(15, 27, 4, None, 7),
        "error_type": None,
        "service_tier": None,
        "done": True,
    }


@given(size=st.integers(1, 40))
def test_streamed_is_whole(size: int) -> None:
    whole, whole_segments = read_whole(PROVIDER, ENDPOINT, ANSWER)
    reader, segments = read_stream(PROVIDER, ENDPOINT, [("", item) for item in streamed(size)])
    assert segments == whole_segments
    assert told(reader) == told(whole)


def test_array_of_responses_is_the_stream() -> None:
    whole, whole_segments = read_whole(PROVIDER, ENDPOINT, ANSWER)
    reader, segments = read_whole(PROVIDER, ENDPOINT, streamed())
    assert segments == whole_segments
    assert told(reader) == told(whole)


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ({"hologram": {"caption": "x"}}, [("/candidates/0/content/parts/0", "x")]),
        ({"thoughtSignature": "opaque"}, []),
        ({"inlineData": {"data": "AAAA", "mimeType": "image/png"}}, []),
    ],
)
def test_rare_parts(part: dict[str, Any], found: list[tuple[str, str]]) -> None:
    for read in (read_whole(PROVIDER, ENDPOINT, chunk([part])), read_stream(PROVIDER, ENDPOINT, [("", chunk([part]))])):
        assert [(s.pointer, s.text) for s in read[1]] == found


def test_several_candidates() -> None:
    events = [
        chunk([{"text": "a1"}], 0),
        chunk([{"text": "b1"}], 1),
        chunk([{"text": "a2"}], 0, finishReason="STOP"),
        chunk([{"text": "b2"}], 1),
    ]
    reader, segments = read_stream(PROVIDER, ENDPOINT, [("", event) for event in events])
    assert [(s.pointer, s.text) for s in segments] == [
        ("/candidates/0/content/parts/0/text", "a1a2"),
        ("/candidates/1/content/parts/0/text", "b1b2"),
    ]
    assert (reader.done, list(reader.finish_reasons)) == (False, ["STOP"])
    reader.event("", as_event(chunk([], 1, finishReason="MAX_TOKENS")))
    assert (reader.done, list(reader.finish_reasons)) == (True, ["STOP", "MAX_TOKENS"])


def test_arguments_in_increments() -> None:
    calls = [
        {"name": "f", "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.q", "stringValue": "ignore "}], "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.q", "stringValue": "that"}], "willContinue": True},
        {},
        {"name": "g", "args": {"a": 1}},
    ]
    _, segments = read_stream(PROVIDER, ENDPOINT, [("", chunk([{"functionCall": call}])) for call in calls])
    assert [(s.text, s.name) for s in segments] == [("ignore that", "f"), ('{"a":1}', "g")]


def test_results_of_tools_at_the_provider() -> None:
    parts = [{"toolCall": {"toolType": "MAPS", "args": {"q": "x"}}}, {"toolResponse": {"response": {"r": ["a", "b"]}}}]
    _, whole = read_whole(PROVIDER, ENDPOINT, chunk(parts))
    _, segments = read_stream(PROVIDER, ENDPOINT, [("", chunk([part])) for part in parts])
    assert [(s.pointer, s.text, s.kind, s.name) for s in whole] == [
        ("/candidates/0/content/parts/0/toolCall/args", '{"q":"x"}', "tool_call", "MAPS"),
        ("/candidates/0/content/parts/1/toolResponse/response", "a\nb", "tool_result", None),
    ]
    assert segments == whole


def test_usage_while_streaming() -> None:
    events = [
        {**chunk([{"text": "x"}]), "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": n}}
        for n in (1, 2, 3)
    ]
    reader, _ = read_stream(PROVIDER, ENDPOINT, [("", event) for event in events])
    assert reader.usage == Usage(1, 3)
    reader.event("", as_event({"usageMetadata": USAGE}))
    assert reader.usage == Usage(15, 27, 4, None, 7)


def test_refused_prompt() -> None:
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}
    whole, segments = read_whole(PROVIDER, ENDPOINT, body)
    reader, _ = read_stream(PROVIDER, ENDPOINT, [("", body)])
    assert segments == ()
    assert told(whole) == told(reader)
    assert (whole.finish_reasons, whole.usage) == (["SAFETY"], Usage(3))


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        ({"embedding": {"values": [0.1]}}, Usage()),
        ({"embeddings": [{"values": [0.1]}], "usageMetadata": {"promptTokenCount": 2}}, Usage(2)),
        ({"predictions": [{"embeddings": {"statistics": {"token_count": n}}} for n in (2, 3)]}, Usage(5)),
    ],
)
def test_embeddings(body: Any, usage: Usage) -> None:
    reader, segments = read_whole(PROVIDER, ENDPOINT, body)
    assert (segments, reader.usage, reader.done) == ((), usage, True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": 503, "message": "secret", "status": "UNAVAILABLE"}, "UNAVAILABLE"),
        ({"code": 503, "message": "secret"}, "503"),
        ("secret", "_OTHER"),
    ],
)
def test_errors_give_codes_never_messages(error: Any, code: str) -> None:
    whole, _ = read_whole(PROVIDER, ENDPOINT, {"error": error})
    array, _ = read_whole(PROVIDER, ENDPOINT, [{"error": error}])
    reader, _ = read_stream(PROVIDER, ENDPOINT, [("", item) for item in [*streamed()[:3], {"error": error}]])
    assert (whole.error_type, array.error_type, reader.error_type, reader.done) == (code, code, code, False)


@pytest.mark.parametrize(
    "extra",
    [{"functionCall": {"name": "f", "args": {"a": "hidden"}}}, {"codeExecutionResult": {"output": "hidden"}}],
)
def test_nothing_hides_behind_a_text(extra: dict[str, Any]) -> None:
    events = [("", chunk([{"text": "x"}])), ("", chunk([{"text": "y", **extra}]))]
    _, segments = read_stream(PROVIDER, ENDPOINT, events)
    assert "hidden" in "".join(segment.text for segment in segments)


def test_error_beside_an_ordinary_chunk_is_seen() -> None:
    events = [("", chunk([{"text": "x"}])), ("", {**chunk([{"text": "y"}]), "error": {"status": "INTERNAL"}})]
    reader, _ = read_stream(PROVIDER, ENDPOINT, events)
    assert reader.error_type == "INTERNAL"


@pytest.mark.parametrize("data", [b"", b"[DONE]", b'{"usageMetadata":{}}', b'{"candidates":[]}'])
def test_events_without_text(data: bytes) -> None:
    assert not PROVIDER.reader(ENDPOINT).event("", data)


def test_ordinary_chunk_without_text_is_the_shared_nothing() -> None:
    reader = PROVIDER.reader(ENDPOINT)
    reader.event("", as_event(chunk([{"text": "x"}])))
    assert reader.event("", as_event(chunk([{"text": ""}]))) is EMPTY


def test_candidates_are_bounded() -> None:
    reader, segments = read_stream(PROVIDER, ENDPOINT, [("", chunk([{"text": "x"}], at)) for at in range(1100)])
    assert len(segments) == 1024
    assert len(reader._candidates) == 1024  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", [None, "x", 3, {}, {"choices": []}])
def test_unknown_answer(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.reader(ENDPOINT).body(body)


@given(JSON | mutated(ANSWER, streamed()))
def test_hostile_answers(payload: Any) -> None:
    reader = PROVIDER.reader(ENDPOINT)
    assert_reads_or_refuses(lambda: reader.body(payload), reader)


@given(st.lists(st.binary(max_size=20) | (JSON | mutated(*streamed(), ANSWER)).map(as_event), max_size=4))
def test_hostile_events(events: list[bytes]) -> None:
    reader = PROVIDER.reader(ENDPOINT)
    for data in events:
        assert_reads_or_refuses(lambda data=data: reader.event("", data), reader)  # type: ignore[misc]


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"candidates":' * 100_000])
def test_deep_events_are_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable, match="too_deep"):
        PROVIDER.reader(ENDPOINT).event("", data)
