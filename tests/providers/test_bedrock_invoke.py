from __future__ import annotations

import base64
from typing import Any

import pytest
from anthropic_messages import MESSAGE, REQUEST, SEGMENTS
from anthropic_messages import streamed as anthropic_events
from hypothesis import given
from hypothesis import strategies as st
from wire_formats import (
    JSON,
    as_event,
    assert_parses_or_refuses,
    assert_pointers,
    assert_reads_or_refuses,
    encoded,
    matched,
    mutated,
    read_stream,
    read_whole,
    rows,
    told,
)

from llmtrace_sdk.core.model import Settings, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers import anthropic
from llmtrace_sdk.providers.bedrock import PROVIDER
from llmtrace_sdk.typing import Endpoint

METRICS = {
    "amazon-bedrock-invocationMetrics": {
        "inputTokenCount": 3,
        "outputTokenCount": 4,
        "cacheReadInputTokenCount": 5,
        "invocationLatency": 9,
    }
}
LLAMA = {"prompt": "p", "max_gen_len": 5, "temperature": 0.1, "top_p": 0.5}
TITAN = {"inputText": "p", "textGenerationConfig": {"maxTokenCount": 5, "topP": 0.5, "stopSequences": ["x"]}}
NOVA = {"schemaVersion": "messages-v1", "messages": [{"role": "user", "content": [{"text": "p"}]}]}
OPENAI = {"messages": [{"role": "user", "content": "p"}], "max_tokens": 5}


def endpoint(model: str, method: str = "invoke") -> Endpoint:
    return matched(PROVIDER, f"/model/{model}/{method}")


def wrapped(value: Any) -> dict[str, str]:
    """A vendor's event as Bedrock's stream carries it."""
    return {"bytes": base64.b64encode(encoded(value)).decode(), "p": "abcdef"}


def chunks(*values: Any) -> list[tuple[str, Any]]:
    return [("chunk", wrapped(value)) for value in values]


def test_claude_request() -> None:
    body = {key: value for key, value in REQUEST.items() if key not in ("model", "stream")}
    body["anthropic_version"] = "bedrock-2023-05-31"
    prompt = PROVIDER.parse_request(endpoint("anthropic.claude-x", "invoke-with-response-stream"), body)
    assert rows(prompt) == SEGMENTS
    assert (prompt.model, prompt.stream) == ("anthropic.claude-x", True)


@pytest.mark.parametrize(
    ("model", "version"),
    [
        (
            "arn:aws:bedrock:us-east-1:1:application-inference-profile%2Fabc",
            {"anthropic_version": "bedrock-2023-05-31"},
        ),
        ("eu.anthropic.claude-x", {}),
    ],
)
def test_claude_is_told_by_its_version_or_name(model: str, version: dict[str, str]) -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    body = {**version, "messages": [{"role": "assistant", "content": [call]}]}
    prompt = PROVIDER.parse_request(endpoint(model), body)
    assert rows(prompt) == [("/messages/0/content/0/input", "{}", "assistant", "tool_call", "f")]
    assert prompt.notes == ()


@pytest.mark.parametrize(
    ("model", "body", "pointer", "settings"),
    [
        ("meta.llama-x", LLAMA, "/prompt", Settings(max_tokens=5, temperature=0.1, top_p=0.5)),
        ("mistral.mistral-7b", {"prompt": "p", "max_tokens": 5}, "/prompt", Settings(max_tokens=5)),
        ("anthropic.claude-v2", {"prompt": "p", "max_tokens_to_sample": 5}, "/prompt", Settings(max_tokens=5)),
        ("cohere.command-text", {"prompt": "p", "p": 0.5, "k": 3}, "/prompt", Settings(top_p=0.5, top_k=3)),
        ("amazon.titan-text", TITAN, "/inputText", Settings(max_tokens=5, top_p=0.5, stop_sequences=("x",))),
        ("amazon.titan-embed", {"inputText": "p", "dimensions": 8}, "/inputText", Settings(dimensions=8)),
        ("amazon.nova-x", NOVA, "/messages/0/content/0/text", Settings()),
        ("profile", NOVA, "/messages/0/content/0/text", Settings()),
        ("openai.gpt-oss", OPENAI, "/messages/0/content", Settings(max_tokens=5)),
        ("mistral.mistral-large", OPENAI, "/messages/0/content", Settings(max_tokens=5)),
        ("cohere.command-r", {"message": "p", "max_tokens": 5}, "/message", Settings(max_tokens=5)),
        (
            "cohere.embed-x",
            {"texts": ["p"], "embedding_types": ["int8"]},
            "/texts/0",
            Settings(encoding_formats=("int8",)),
        ),
    ],
)
@pytest.mark.parametrize("method", ["invoke", "invoke-with-response-stream"])
def test_vendors_requests(model: str, body: Any, pointer: str, settings: Settings, method: str) -> None:
    asked = endpoint(model, method)
    prompt = PROVIDER.parse_request(asked, body)
    assert [(s.pointer, s.text, s.channel) for s in prompt.segments] == [(pointer, "p", "user")]
    assert_pointers(body, prompt.segments)
    assert (prompt.model, prompt.settings) == (model, settings)
    if asked.operation != "embeddings" and "message" not in body:
        assert prompt.stream is (method != "invoke")


@pytest.mark.parametrize(
    ("body", "blobs"), [({"prompt": "p", "images": ["AAAA", "BBBB"]}, 2), ({"inputText": "p", "inputImage": "AAAA"}, 1)]
)
def test_pictures_are_counted(body: Any, blobs: int) -> None:
    assert PROVIDER.parse_request(endpoint("some.model"), body).blobs == blobs


@pytest.mark.parametrize("body", [None, [], "x", {}, {"taskType": "TEXT_IMAGE"}, {"prompt": 3}, {"messages": 3}])
def test_unknown_shape(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.parse_request(endpoint("some.model"), body)


def test_claude_answers_are_those_of_anthropic() -> None:
    own = Endpoint("anthropic", "chat", "messages")
    expected, expected_segments = read_whole(anthropic.PROVIDER, own, MESSAGE)
    whole, whole_segments = read_whole(PROVIDER, endpoint("anthropic.claude-x"), MESSAGE)
    stream, segments = read_stream(
        PROVIDER, endpoint("anthropic.claude-x"), chunks(*(value for _, value in anthropic_events()))
    )
    assert segments == whole_segments == expected_segments
    assert told(stream) == told(whole) == told(expected)


@pytest.mark.parametrize(
    ("whole", "events", "said", "usage", "reason"),
    [
        (
            {"generation": "Hello", "prompt_token_count": 3, "generation_token_count": 4, "stop_reason": "stop"},
            [
                {"generation": "Hel", "prompt_token_count": 3, "generation_token_count": 1, "stop_reason": None},
                {"generation": "lo", "prompt_token_count": None, "generation_token_count": 4, "stop_reason": "stop"},
            ],
            ("/generation", "Hello"),
            Usage(3, 4),
            "stop",
        ),
        (
            {
                "inputTextTokenCount": 3,
                "results": [{"tokenCount": 4, "outputText": "Hello", "completionReason": "FINISH"}],
            },
            [
                {"outputText": "Hel", "index": 0, "inputTextTokenCount": 3, "completionReason": None},
                {"outputText": "lo", "index": 0, "totalOutputTextTokenCount": 4, "completionReason": "FINISH"},
            ],
            ("/results/0/outputText", "Hello"),
            Usage(3, 4),
            "FINISH",
        ),
        (
            {"outputs": [{"text": "Hello", "stop_reason": "stop"}]},
            [
                {"outputs": [{"text": "Hel", "stop_reason": None}]},
                {"outputs": [{"text": "lo", "stop_reason": "stop"}]},
            ],
            ("/outputs/0/text", "Hello"),
            Usage(),
            "stop",
        ),
        (
            {"generations": [{"text": "Hello", "finish_reason": "COMPLETE"}], "id": "i", "prompt": "p"},
            [
                {"text": "Hel", "is_finished": False, "index": 0},
                {"text": "lo", "is_finished": True, "index": 0, "finish_reason": "COMPLETE"},
            ],
            ("/generations/0/text", "Hello"),
            Usage(),
            "COMPLETE",
        ),
        (
            {"completion": "Hello", "stop_reason": "stop_sequence", "stop": None},
            [{"completion": "Hel", "stop_reason": None}, {"completion": "lo", "stop_reason": "stop_sequence"}],
            ("/completion", "Hello"),
            Usage(),
            "stop_sequence",
        ),
        (
            {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]},
            [
                {"choices": [{"index": 0, "delta": {"content": "Hel"}}]},
                {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]},
            ],
            ("/choices/0/message/content", "Hello"),
            Usage(),
            "stop",
        ),
        (
            {
                "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
                "stopReason": "end_turn",
                "usage": {"inputTokens": 3, "outputTokens": 4},
            },
            [
                {"messageStart": {"role": "assistant"}},
                {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hel"}}},
                {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "lo"}}},
                {"messageStop": {"stopReason": "end_turn"}},
                {"metadata": {"usage": {"inputTokens": 3, "outputTokens": 4}}},
            ],
            ("/output/message/content/0/text", "Hello"),
            Usage(3, 4),
            "end_turn",
        ),
        (
            {"text": "Hello", "generation_id": "g", "finish_reason": "COMPLETE"},
            [
                {"event_type": "stream-start", "generation_id": "g"},
                {"event_type": "text-generation", "text": "Hel"},
                {"event_type": "text-generation", "text": "lo"},
                {"event_type": "stream-end", "finish_reason": "COMPLETE"},
            ],
            ("/text", "Hello"),
            Usage(),
            "COMPLETE",
        ),
    ],
)
def test_vendors_answers(whole: Any, events: list[Any], said: tuple[str, str], usage: Usage, reason: str) -> None:
    asked = endpoint("some.model", "invoke-with-response-stream")
    reader, segments = read_whole(PROVIDER, asked, whole)
    stream, stream_segments = read_stream(PROVIDER, asked, chunks(*events))
    assert [(s.pointer, s.text) for s in segments] == [said]
    assert stream_segments == segments
    assert (reader.usage, list(reader.finish_reasons), reader.done) == (usage, [reason], True)
    assert (stream.usage, list(stream.finish_reasons)) == (usage, [reason])


def test_bare_events_of_a_relay() -> None:
    """A relay may have taken the events out of the binary framing."""
    events = [("", value) for _, value in anthropic_events()]
    stream, segments = read_stream(PROVIDER, endpoint("x"), events)
    _, expected = read_whole(PROVIDER, endpoint("x"), MESSAGE)
    assert (segments, stream.done) == (expected, True)


def test_bedrock_counts_where_the_vendor_does_not() -> None:
    events = [{"outputs": [{"text": "x"}]}, {"outputs": [{"text": "y", "stop_reason": "stop"}], **METRICS}]
    reader, _ = read_stream(PROVIDER, endpoint("mistral.mistral-7b"), chunks(*events))
    assert reader.usage == Usage(8, 4, 5)
    llama = {"generation": "x", "prompt_token_count": 1, "generation_token_count": 2, "stop_reason": "stop", **METRICS}
    reader, _ = read_stream(PROVIDER, endpoint("meta.llama-x"), chunks(llama))
    assert (reader.usage, reader.done) == (Usage(1, 2), True)


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        ({"embedding": [0.1], "inputTextTokenCount": 3}, Usage(3)),
        ({"embeddings": {"float": [[0.1]]}, "id": "e"}, Usage()),
        ({"completions": [{"data": {"text": ""}, "finishReason": {"reason": "endoftext"}}]}, Usage()),
    ],
)
def test_answers_without_text(body: Any, usage: Usage) -> None:
    reader, segments = read_whole(PROVIDER, endpoint("some.model"), body)
    assert (segments, reader.usage, reader.done) == ((), usage, True)


def test_jurassic() -> None:
    body = {"completions": [{"data": {"text": "Hello"}, "finishReason": {"reason": "endoftext"}}]}
    reader, segments = read_whole(PROVIDER, endpoint("ai21.j2-x"), body)
    assert [(s.pointer, s.text) for s in segments] == [("/completions/0/data/text", "Hello")]
    assert list(reader.finish_reasons) == ["endoftext"]


def test_exception_in_a_stream() -> None:
    events = [*chunks({"generation": "x"}), ("throttlingException", {"message": "secret"})]
    reader, _ = read_stream(PROVIDER, endpoint("meta.llama-x"), events)
    assert (reader.error_type, reader.done) == ("throttlingException", False)


def test_error_body() -> None:
    reader, _ = read_whole(PROVIDER, endpoint("x"), {"message": "secret sentence"})
    assert reader.error_type == "_OTHER"


@pytest.mark.parametrize("body", [None, [], {}, {"images": ["AAAA"]}])
def test_unknown_answer(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.reader(endpoint("x")).body(body)
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.reader(endpoint("x")).event("chunk", encoded(wrapped(body)))


@given(
    st.sampled_from(["anthropic.claude", "amazon.nova", "some.model"]),
    JSON | mutated(REQUEST, LLAMA, TITAN, NOVA, OPENAI, {"texts": ["p"]}, {"message": "p", "chat_history": [{}]}),
)
def test_hostile_requests(model: str, payload: Any) -> None:
    assert_parses_or_refuses(PROVIDER, endpoint(model), payload)


ANSWERS = [
    MESSAGE,
    {"generation": "Hello", "prompt_token_count": 3, "stop_reason": "stop"},
    {"inputTextTokenCount": 3, "results": [{"tokenCount": 4, "outputText": "Hello"}], **METRICS},
    {"completions": [{"data": {"text": "Hello"}, "finishReason": {"reason": "endoftext"}}]},
    {"choices": [{"index": 0, "message": {"content": "Hello"}}]},
    {"output": {"message": {"content": [{"text": "Hello"}]}}},
]


@given(JSON | mutated(*ANSWERS))
def test_hostile_answers(payload: Any) -> None:
    reader = PROVIDER.reader(endpoint("x"))
    assert_reads_or_refuses(lambda: reader.body(payload), reader)


@given(st.lists(JSON | mutated(*ANSWERS), max_size=4), st.binary(max_size=20))
def test_hostile_events(events: list[Any], noise: bytes) -> None:
    reader = PROVIDER.reader(endpoint("x"))
    for value in events:
        inner = {"bytes": base64.b64encode(as_event(value)).decode()}
        for data in (as_event(inner), as_event(value), as_event({"bytes": value}), noise):
            assert_reads_or_refuses(lambda data=data: reader.event("chunk", data), reader)  # type: ignore[misc]
