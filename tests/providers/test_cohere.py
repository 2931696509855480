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
from llmtrace_sdk.providers.cohere import PROVIDER
from llmtrace_sdk.typing import Endpoint

HOST = "api.cohere.com"
CHAT = matched(PROVIDER, "/v2/chat", HOST)
EMBED = matched(PROVIDER, "/v2/embed", HOST)

REQUEST: dict[str, Any] = {
    "model": "command-x",
    "stream": True,
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hello"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ],
        },
        {
            "role": "assistant",
            "tool_plan": "I will look it up.",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look_up", "arguments": '{"q": "x"}'}}],
        },
        {
            "role": "tool",
            "tool_call_id": "1",
            "content": [
                {"type": "document", "document": {"id": "d", "data": {"text": "found"}}},
                {"type": "text", "text": "more"},
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "plain"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hmm"}, {"type": "text", "text": "So:"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "look_up", "description": "Looks up", "parameters": {"a": 1}}}],
    "documents": ["plain doc", {"id": "x", "data": {"title": "T", "snippet": "S"}}],
    "response_format": {"type": "json_object"},
    "max_tokens": 5,
    "stop_sequences": ["a"],
    "temperature": 0.1,
    "seed": 1,
    "k": 5,
    "p": 0.5,
    "frequency_penalty": 0.2,
    "presence_penalty": 0.3,
}
SAID, THOUGHT, PLAN, ARGUMENTS = "Grüße, 😀!", "Let me think.", "I will call it.", '{"city": "Bern"}'
ANSWER: dict[str, Any] = {
    "id": "r-1",
    "finish_reason": "TOOL_CALL",
    "message": {
        "role": "assistant",
        "tool_plan": PLAN,
        "content": [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": SAID}],
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}],
    },
    "usage": {
        "billed_units": {"input_tokens": 1.0, "output_tokens": 2.0},
        "tokens": {"input_tokens": 12.0, "output_tokens": 34.0},
        "cached_tokens": 5.0,
    },
}


def streamed(size: int = 3) -> list[tuple[str, Any]]:
    """The answer above as the API streams it."""

    def event(sort: str, index: int, message: dict[str, Any]) -> dict[str, Any]:
        return {"type": sort, "index": index, "delta": {"message": message}}

    start = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": ""}}
    events: list[dict[str, Any]] = [{"type": "message-start", "id": "r-1", "delta": {"message": {"role": "assistant"}}}]
    events += [event("tool-plan-delta", 0, {"tool_plan": piece}) for piece in pieces(PLAN, size)]
    events.append(event("content-start", 0, {"content": {"type": "thinking", "thinking": ""}}))
    events += [event("content-delta", 0, {"content": {"thinking": piece}}) for piece in pieces(THOUGHT, size)]
    events += [
        {"type": "content-end", "index": 0},
        event("content-start", 1, {"content": {"type": "text", "text": ""}}),
    ]
    events += [event("content-delta", 1, {"content": {"text": piece}}) for piece in pieces(SAID, size)]
    events += [{"type": "content-end", "index": 1}, event("tool-call-start", 0, {"tool_calls": start})]
    events += [
        event("tool-call-delta", 0, {"tool_calls": {"function": {"arguments": piece}}})
        for piece in pieces(ARGUMENTS, size)
    ]
    events.append({"type": "tool-call-end", "index": 0})
    end = {"finish_reason": "TOOL_CALL", "usage": ANSWER["usage"]}
    return [(e["type"], e) for e in [*events, {"type": "message-end", "id": "r-1", "delta": end}]]


@pytest.mark.parametrize(
    ("path", "host", "endpoint"),
    [
        ("/v2/chat", HOST, Endpoint("cohere", "chat", "chat_v2")),
        ("/relay/v2/chat", "127.0.0.1", Endpoint("cohere", "chat", "chat_v2")),
        ("/v2/embed", HOST, Endpoint("cohere", "embeddings", "embed")),
        ("/v1/chat", "api.cohere.ai", Endpoint("cohere", "chat", "chat_v1", framing="ndjson")),
        ("/v1/embed", HOST, Endpoint("cohere", "embeddings", "embed")),
    ],
)
def test_match(path: str, host: str, endpoint: Endpoint) -> None:
    assert matched(PROVIDER, path, host) == endpoint


@pytest.mark.parametrize(
    ("method", "path", "host"),
    [
        ("GET", "/v2/chat", HOST),
        ("POST", "/v1/chat", "127.0.0.1"),
        ("POST", "/v1/chat", "api.cohere.com.evil.example"),
        ("POST", "/api/chat", HOST),
        ("POST", "/v2/rerank", HOST),
    ],
)
def test_no_match(method: str, path: str, host: str) -> None:
    assert PROVIDER.match(head(path, method, host)) is None


def test_chat_request() -> None:
    prompt = PROVIDER.parse_request(CHAT, REQUEST)
    assert rows(prompt) == [
        ("/messages/0/content", "Be brief.", "system", "text", None),
        ("/messages/1/content/0/text", "hello", "user", "text", None),
        ("/messages/2/tool_plan", "I will look it up.", "assistant", "reasoning", None),
        ("/messages/2/tool_calls/0/function/arguments", '{"q": "x"}', "assistant", "tool_call", "look_up"),
        ("/messages/3/content/0/document/data/text", "found", "tool", "tool_result", "look_up"),
        ("/messages/3/content/1/text", "more", "tool", "tool_result", "look_up"),
        ("/messages/4/content", "plain", "tool", "tool_result", "look_up"),
        ("/messages/5/content/0/thinking", "hmm", "assistant", "reasoning", None),
        ("/messages/5/content/1/text", "So:", "assistant", "text", None),
        ("/documents/0", "plain doc", "data", "text", None),
        ("/documents/1/data/title", "T", "data", "text", None),
        ("/documents/1/data/snippet", "S", "data", "text", None),
        ("/tools/0", 'Looks up\n{"a":1}', "system", "tool_definition", "look_up"),
    ]
    assert_pointers(REQUEST, prompt.segments)
    assert (prompt.model, prompt.stream, prompt.tools) == ("command-x", True, ("look_up",))
    assert (prompt.blobs, prompt.notes) == (1, ())
    assert prompt.settings == Settings(
        max_tokens=5,
        temperature=0.1,
        top_p=0.5,
        top_k=5,
        frequency_penalty=0.2,
        presence_penalty=0.3,
        seed=1,
        stop_sequences=("a",),
        output_type="json",
    )


@pytest.mark.parametrize(
    ("body", "found", "blobs"),
    [
        ({"texts": ["a", "b"], "output_dimension": 4}, [("/texts/0", "a"), ("/texts/1", "b")], 0),
        (
            {
                "inputs": [
                    {"content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]}
                ]
            },
            [("/inputs/0/content/0/text", "a")],
            1,
        ),
        ({"images": ["data:x"]}, [], 1),
    ],
)
def test_embed_request(body: Any, found: list[tuple[str, str]], blobs: int) -> None:
    prompt = PROVIDER.parse_request(EMBED, {"model": "embed-x", "embedding_types": ["float"], **body})
    assert [row[:2] for row in rows(prompt)] == found
    assert (prompt.blobs, prompt.settings.encoding_formats) == (blobs, ("float",))
    assert prompt.settings.dimensions == body.get("output_dimension")


@pytest.mark.parametrize(
    ("message", "texts", "notes"),
    [
        ({"role": "oracle", "content": "x"}, ["x"], ("unknown_role",)),
        ("x", ["x"], ("unknown_part",)),
        ({"role": "user", "content": [{"type": 3, "text": "x"}]}, ["x"], ("unknown_part",)),
    ],
)
def test_odd_messages_are_noted_and_read(message: Any, texts: list[str], notes: tuple[str, ...]) -> None:
    prompt = PROVIDER.parse_request(CHAT, {"messages": [message]})
    assert [segment.text for segment in prompt.segments] == texts
    assert prompt.notes == notes


@pytest.mark.parametrize("endpoint", [CHAT, EMBED])
@pytest.mark.parametrize("body", [None, [], {}, {"messages": "x"}])
def test_unknown_shape(endpoint: Endpoint, body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.parse_request(endpoint, body)


def test_whole_answer() -> None:
    reader, segments = read_whole(PROVIDER, CHAT, ANSWER)
    assert [(s.pointer, s.text, s.kind, s.name) for s in segments] == [
        ("/message/tool_plan", PLAN, "reasoning", None),
        ("/message/content/0/thinking", THOUGHT, "reasoning", None),
        ("/message/content/1/text", SAID, "text", None),
        ("/message/tool_calls/0/function/arguments", ARGUMENTS, "tool_call", "weather"),
    ]
    assert told(reader) == {
        "model": None,
        "response_id": "r-1",
        "finish_reasons": ["TOOL_CALL"],
        "usage": Usage(12, 34, 5),
        "error_type": None,
        "service_tier": None,
        "done": True,
    }


@given(size=st.integers(1, 40), named=st.booleans())
def test_streamed_is_whole(size: int, named: bool) -> None:
    whole, whole_segments = read_whole(PROVIDER, CHAT, ANSWER)
    events = [(name if named else "", value) for name, value in streamed(size)]
    reader, segments = read_stream(PROVIDER, CHAT, events)
    assert segments == whole_segments
    assert told(reader) == told(whole)


def test_done_only_at_the_end() -> None:
    reader, _ = read_stream(PROVIDER, CHAT, streamed()[:-1])
    assert not reader.done


def test_embeddings_have_usage_and_no_text() -> None:
    body = {"id": "e", "embeddings": {"float": [[0.1]]}, "texts": ["a"], "meta": {"billed_units": {"input_tokens": 3}}}
    reader, segments = read_whole(PROVIDER, EMBED, body)
    assert (segments, reader.usage, reader.response_id) == ((), Usage(3), "e")


@pytest.mark.parametrize("body", [None, [], {}, {"choices": []}])
def test_unknown_answer(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.reader(CHAT).body(body)


def test_billed_units_when_nothing_else_is_told() -> None:
    reader, _ = read_whole(
        PROVIDER, CHAT, {**ANSWER, "usage": {"billed_units": {"input_tokens": 1, "output_tokens": 2}}}
    )
    assert reader.usage == Usage(1, 2)


def test_thought_and_text_in_one_increment() -> None:
    event = {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"thinking": "a", "text": "b"}}}}
    _, segments = read_stream(PROVIDER, CHAT, [("content-delta", event)])
    assert [(s.text, s.kind) for s in segments] == [("a", "reasoning"), ("b", "text")]


def test_rare_parts() -> None:
    _, segments = read_whole(PROVIDER, CHAT, {"message": {"content": [{"type": "hologram", "caption": "x"}]}})
    assert [segment.text for segment in segments] == ["x"]


@pytest.mark.parametrize("event", [{"type": "tool-call-delta"}, {"type": "citation-start"}, {"type": "debug"}, b""])
def test_events_without_text(event: Any) -> None:
    reader = PROVIDER.reader(CHAT)
    assert not reader.event("", event if isinstance(event, bytes) else as_event(event))
    assert (reader.done, reader.error_type) == (False, None)


@pytest.mark.parametrize(
    ("body", "code"), [({"message": "secret"}, "_OTHER"), ({"message": "secret", "code": "rate_limit"}, "rate_limit")]
)
def test_errors_give_codes_never_messages(body: Any, code: str) -> None:
    whole, _ = read_whole(PROVIDER, CHAT, body)
    reader, _ = read_stream(PROVIDER, CHAT, [*streamed()[:4], ("", body)])
    assert (whole.error_type, reader.error_type, reader.done) == (code, code, False)


def test_error_at_the_end_of_a_stream() -> None:
    end = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "secret sentence"}}
    reader, _ = read_stream(PROVIDER, CHAT, [("message-end", end)])
    assert (reader.error_type, reader.finish_reasons) == ("ERROR", ["ERROR"])


def test_refusal() -> None:
    assert json.loads(PROVIDER.refusal(CHAT, BLOCKED, 400)) == {
        "message": "Blocked by llmtrace policy: prompt_injection.high (decision 0190-abcd)",
        "code": "llmtrace_blocked",
    }


@given(st.sampled_from([CHAT, EMBED]), JSON | mutated(REQUEST, {"inputs": [{"content": [{"type": "text"}]}]}))
def test_hostile_requests(endpoint: Endpoint, payload: Any) -> None:
    assert_parses_or_refuses(PROVIDER, endpoint, payload)


@given(JSON | mutated(ANSWER))
def test_hostile_answers(payload: Any) -> None:
    reader = PROVIDER.reader(CHAT)
    assert_reads_or_refuses(lambda: reader.body(payload), reader)


@given(
    st.lists(st.binary(max_size=20) | (JSON | mutated(*(value for _, value in streamed()))).map(as_event), max_size=4)
)
def test_hostile_events(events: list[bytes]) -> None:
    reader = PROVIDER.reader(CHAT)
    for data in events:
        assert_reads_or_refuses(lambda data=data: reader.event("", data), reader)  # type: ignore[misc]
