from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_formats import (
    BLOCKED,
    JSON,
    as_event,
    assert_parses_or_refuses,
    assert_pointers,
    assert_reads_or_refuses,
    head,
    matched,
    mutated,
    pieces,
    read_stream,
    read_whole,
    rows,
    told,
)

from llmtrace_sdk.core.model import Settings, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers.bedrock import PROVIDER
from llmtrace_sdk.typing import Endpoint

HOST = "bedrock-runtime.us-east-1.amazonaws.com"
ARN = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"
CONVERSE = matched(PROVIDER, "/model/amazon.nova-x/converse", HOST)
STREAM = matched(PROVIDER, "/model/amazon.nova-x/converse-stream", HOST)

REQUEST: dict[str, Any] = {
    "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"text": "hello"},
                {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
                {"document": {"format": "txt", "name": "N", "context": "C", "source": {"text": "plain"}}},
                {"document": {"name": "M", "source": {"content": [{"text": "inner"}]}}},
                {"document": {"name": "O", "source": {"bytes": "AAAA"}}},
                {"guardContent": {"text": {"text": "guarded", "qualifiers": ["query"]}}},
                {"searchResult": {"source": "s", "title": "R", "content": [{"text": "hit"}]}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hmm", "signature": "s"}}},
                {"toolUse": {"toolUseId": "t", "name": "look_up", "input": {"q": "x"}}},
                {"citationsContent": {"content": [{"text": "cited"}], "citations": []}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "toolResult": {
                        "toolUseId": "t",
                        "status": "success",
                        "content": [{"json": {"r": "found"}}, {"text": "more"}, {"image": {"format": "png"}}],
                    }
                }
            ],
        },
    ],
    "inferenceConfig": {"maxTokens": 5, "temperature": 0.1, "topP": 0.5, "stopSequences": ["x"]},
    "additionalModelRequestFields": {"top_k": 7},
    "outputConfig": {"effort": "low", "textFormat": {"type": "json_schema"}},
    "serviceTier": {"type": "priority"},
    "toolConfig": {
        "tools": [
            {"toolSpec": {"name": "look_up", "description": "Looks up", "inputSchema": {"json": {"type": "object"}}}},
            {"systemTool": {"name": "nova_grounding"}},
            {"cachePoint": {"type": "default"}},
        ]
    },
}
SEGMENTS = [
    ("/system/0/text", "Be brief.", "system", "text", None),
    ("/messages/0/content/0/text", "hello", "user", "text", None),
    ("/messages/0/content/2/document/name", "N", "data", "text", None),
    ("/messages/0/content/2/document/context", "C", "data", "text", None),
    ("/messages/0/content/2/document/source/text", "plain", "data", "text", None),
    ("/messages/0/content/3/document/name", "M", "data", "text", None),
    ("/messages/0/content/3/document/source/content/0/text", "inner", "data", "text", None),
    ("/messages/0/content/4/document/name", "O", "data", "text", None),
    ("/messages/0/content/5/guardContent/text/text", "guarded", "user", "text", None),
    ("/messages/0/content/6/searchResult/title", "R", "data", "text", None),
    ("/messages/0/content/6/searchResult/content/0/text", "hit", "data", "text", None),
    ("/messages/1/content/0/reasoningContent/reasoningText/text", "hmm", "assistant", "reasoning", None),
    ("/messages/1/content/1/toolUse/input", '{"q":"x"}', "assistant", "tool_call", "look_up"),
    ("/messages/1/content/2/citationsContent/content/0/text", "cited", "assistant", "text", None),
    ("/messages/2/content/0/toolResult/content/0/json/r", "found", "tool", "tool_result", "look_up"),
    ("/messages/2/content/0/toolResult/content/1/text", "more", "tool", "tool_result", "look_up"),
    ("/toolConfig/tools/0/toolSpec", 'Looks up\n{"type":"object"}', "system", "tool_definition", "look_up"),
]
THOUGHT, SAID, ARGUMENTS = "Let me think.", "Grüße, 😀!", '{"city":"Bern"}'
TOKENS = {"inputTokens": 10, "outputTokens": 20, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 1000}
ANSWER: dict[str, Any] = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": THOUGHT}}},
                {"text": SAID},
                {"toolUse": {"toolUseId": "t", "name": "weather", "input": json.loads(ARGUMENTS)}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": TOKENS,
    "serviceTier": {"type": "priority"},
}


def streamed(size: int = 3) -> list[tuple[str, Any]]:
    """The answer above as the API streams it."""

    def delta(at: int, inner: Any) -> tuple[str, Any]:
        return "contentBlockDelta", {"contentBlockIndex": at, "delta": inner, "p": "abc"}

    start = {"toolUse": {"toolUseId": "t", "name": "weather"}}
    return [
        ("messageStart", {"role": "assistant", "p": "abc"}),
        *[delta(0, {"reasoningContent": {"text": piece}}) for piece in pieces(THOUGHT, size)],
        delta(0, {"reasoningContent": {"signature": "s"}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        *[delta(1, {"text": piece}) for piece in pieces(SAID, size)],
        ("contentBlockStart", {"contentBlockIndex": 2, "start": start}),
        *[delta(2, {"toolUse": {"input": piece}}) for piece in pieces(ARGUMENTS, size)],
        ("metadata", {"usage": TOKENS, "serviceTier": {"type": "priority"}, "metrics": {"latencyMs": 1}}),
        ("messageStop", {"stopReason": "tool_use"}),
    ]


@pytest.mark.parametrize(
    ("path", "operation", "api", "model", "stream"),
    [
        ("/model/amazon.nova-x/converse", "chat", "converse", "amazon.nova-x", False),
        ("/relay/model/amazon.nova-x/converse-stream", "chat", "converse_stream", "amazon.nova-x", True),
        ("/model/anthropic.claude-x%3A0/invoke", "chat", "invoke", "anthropic.claude-x:0", False),
        (
            "/model/meta.llama-x/invoke-with-response-stream",
            "text_completion",
            "invoke_with_response_stream",
            "meta.llama-x",
            True,
        ),
        ("/model/amazon.titan-embed-x/invoke", "embeddings", "invoke", "amazon.titan-embed-x", False),
        (f"/model/{ARN.replace('/', '%2F').replace(':', '%3A')}/converse", "chat", "converse", ARN, False),
        (f"/model/{ARN}/invoke", "chat", "invoke", ARN, False),
    ],
)
def test_match(path: str, operation: str, api: str, model: str, stream: bool) -> None:
    assert matched(PROVIDER, path, HOST) == Endpoint("aws.bedrock", operation, api, model, stream, "aws", signed=True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/model/x/converse"),
        ("POST", "/model/x/count-tokens"),
        ("POST", "/guardrail-checks/invoke"),
        ("POST", "/model//invoke"),
        ("POST", "/v1/chat/completions"),
    ],
)
def test_no_match(method: str, path: str) -> None:
    assert PROVIDER.match(head(path, method)) is None


def test_request() -> None:
    prompt = PROVIDER.parse_request(CONVERSE, REQUEST)
    assert rows(prompt) == SEGMENTS
    assert_pointers(REQUEST, prompt.segments)
    assert (prompt.model, prompt.stream, prompt.tools) == ("amazon.nova-x", False, ("look_up", "nova_grounding"))
    assert (prompt.blobs, prompt.notes) == (3, ())
    assert prompt.settings == Settings(
        max_tokens=5,
        temperature=0.1,
        top_p=0.5,
        top_k=7,
        stop_sequences=("x",),
        reasoning_level="low",
        output_type="json",
        service_tier="priority",
    )


def test_stored_prompt_is_noted() -> None:
    endpoint = matched(PROVIDER, "/model/arn:aws:bedrock:us-east-1:1:prompt%2FABC/converse")
    prompt = PROVIDER.parse_request(endpoint, {"promptVariables": {"topic": {"text": "x"}}})
    assert rows(prompt) == [("/promptVariables/topic/text", "x", "user", "text", None)]
    assert prompt.notes == ("stored_prompt",)


@pytest.mark.parametrize(
    ("message", "texts", "notes"),
    [
        ({"role": "oracle", "content": [{"text": "x"}]}, ["x"], ("unknown_role",)),
        ({"role": "user", "content": [{"hologram": {"a": "x"}}]}, ["x"], ("unknown_part",)),
        ({"role": "user", "content": ["x"]}, ["x"], ("unknown_part",)),
    ],
)
def test_odd_messages_are_noted_and_read(message: Any, texts: list[str], notes: tuple[str, ...]) -> None:
    prompt = PROVIDER.parse_request(CONVERSE, {"messages": [message]})
    assert [segment.text for segment in prompt.segments] == texts
    assert prompt.notes == notes


@pytest.mark.parametrize(
    ("tool", "texts", "notes"),
    [({"toolSpec": {}}, [], ("unknown_part",)), ({"hologram": {"a": "x"}}, ["x"], ("unknown_part",))],
)
def test_odd_tools_are_noted_and_read(tool: Any, texts: list[str], notes: tuple[str, ...]) -> None:
    prompt = PROVIDER.parse_request(CONVERSE, {"messages": [], "toolConfig": {"tools": [tool]}})
    assert [segment.text for segment in prompt.segments] == texts
    assert prompt.notes == notes


def test_rare_blocks() -> None:
    blocks = [{"toolAddition": {"tool": {"description": "d"}}}, {"guardContent": {"image": {"format": "png"}}}]
    prompt = PROVIDER.parse_request(CONVERSE, {"messages": [{"role": "user", "content": blocks}]})
    place = "/messages/0/content/0/toolAddition/tool/description"
    assert rows(prompt) == [(place, "d", "system", "tool_definition", None)]
    assert (prompt.blobs, prompt.notes) == (1, ())


def test_start_of_another_sort_of_block() -> None:
    assert not PROVIDER.reader(STREAM).event("contentBlockStart", as_event({"start": {"image": {"format": "png"}}}))


@pytest.mark.parametrize("body", [None, [], {}, {"messages": {}}, {"inputText": "x"}])
def test_unknown_shape(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.parse_request(CONVERSE, body)


def test_whole_answer() -> None:
    reader, segments = read_whole(PROVIDER, CONVERSE, ANSWER)
    base = "/output/message/content"
    assert [(s.pointer, s.text, s.kind, s.name) for s in segments] == [
        (f"{base}/0/reasoningContent/reasoningText/text", THOUGHT, "reasoning", None),
        (f"{base}/1/text", SAID, "text", None),
        (f"{base}/2/toolUse/input", ARGUMENTS, "tool_call", "weather"),
    ]
    assert told(reader) == {
        "model": None,
        "response_id": None,
        "finish_reasons": ["tool_use"],
        "usage": Usage(1110, 20, 100, 1000),
        "error_type": None,
        "service_tier": "priority",
        "done": True,
    }


@given(size=st.integers(1, 40), named=st.booleans())
def test_streamed_is_whole(size: int, named: bool) -> None:
    whole, whole_segments = read_whole(PROVIDER, CONVERSE, ANSWER)
    events = [(name, value) if named else ("", {name: value}) for name, value in streamed(size)]
    reader, segments = read_stream(PROVIDER, STREAM, events)
    assert segments == whole_segments
    assert told(reader) == told(whole)


def test_done_only_at_the_end() -> None:
    reader, _ = read_stream(PROVIDER, STREAM, streamed()[:-1])
    assert not reader.done


def test_server_tool_results_and_citations() -> None:
    blocks = [
        {"toolResult": {"toolUseId": "t", "content": [{"text": "a"}, {"json": {"k": "b"}}]}},
        {"citationsContent": {"content": [{"text": "c"}, {"text": "d"}]}},
    ]
    _, whole = read_whole(PROVIDER, CONVERSE, {"output": {"message": {"content": blocks}}})
    delta = {"contentBlockIndex": 0, "delta": {"toolResult": [{"text": "a"}, {"json": {"k": "b"}}]}}
    _, stream = read_stream(PROVIDER, STREAM, [("contentBlockDelta", delta)])
    assert [(s.text, s.kind) for s in whole] == [("a\nb", "tool_result"), ("cd", "text")]
    assert [(s.text, s.kind) for s in stream] == [("a\nb", "tool_result")]


@pytest.mark.parametrize(
    ("block", "texts"), [({"hologram": {"caption": "x"}}, ["x"]), ({"image": {"format": "png"}}, [])]
)
def test_rare_blocks_of_answers(block: dict[str, Any], texts: list[str]) -> None:
    _, segments = read_whole(PROVIDER, CONVERSE, {"output": {"message": {"content": [block]}}})
    assert [segment.text for segment in segments] == texts


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"message": "secret"}, "_OTHER"),
        ({"__type": "com.amazon#ThrottlingException", "message": "secret"}, "ThrottlingException"),
    ],
)
def test_errors_give_codes_never_messages(body: Any, code: str) -> None:
    whole, _ = read_whole(PROVIDER, CONVERSE, body)
    assert whole.error_type == code


def test_exception_in_a_stream() -> None:
    events = [*streamed()[:4], ("modelStreamErrorException", {"message": "secret"})]
    reader, _ = read_stream(PROVIDER, STREAM, events)
    assert (reader.error_type, reader.done) == ("modelStreamErrorException", False)


def test_refusal() -> None:
    assert json.loads(PROVIDER.refusal(CONVERSE, BLOCKED, 403)) == {
        "message": "Blocked by llmtrace policy: prompt_injection.high (decision 0190-abcd)"
    }


@given(JSON | mutated(REQUEST))
def test_hostile_requests(payload: Any) -> None:
    assert_parses_or_refuses(PROVIDER, CONVERSE, payload)


@given(JSON | mutated(ANSWER))
def test_hostile_answers(payload: Any) -> None:
    reader = PROVIDER.reader(CONVERSE)
    assert_reads_or_refuses(lambda: reader.body(payload), reader)


@given(st.lists(st.tuples(st.sampled_from([name for name, _ in streamed()]), JSON), max_size=4), st.binary(max_size=20))
def test_hostile_events(events: list[tuple[str, Any]], noise: bytes) -> None:
    reader = PROVIDER.reader(STREAM)
    for name, value in events:
        for data in (as_event(value), noise):
            assert_reads_or_refuses(lambda name=name, data=data: reader.event(name, data), reader)  # type: ignore[misc]


@given(st.data())
def test_hostile_variations_of_events(data: st.DataObject) -> None:
    reader = PROVIDER.reader(STREAM)
    for name, value in streamed(20):
        event = as_event(data.draw(mutated(value)))
        assert_reads_or_refuses(lambda name=name, event=event: reader.event(name, event), reader)  # type: ignore[misc]
