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
from llmtrace_sdk.providers._reading import EMPTY
from llmtrace_sdk.providers.ollama import PROVIDER
from llmtrace_sdk.typing import Endpoint

CHAT = matched(PROVIDER, "/api/chat")
GENERATE = matched(PROVIDER, "/api/generate")
EMBED = matched(PROVIDER, "/api/embed")
EMBEDDINGS = matched(PROVIDER, "/api/embeddings")

REQUEST: dict[str, Any] = {
    "model": "llama-x",
    "stream": False,
    "options": {
        "temperature": 0.1,
        "num_predict": 5,
        "stop": ["x"],
        "top_k": 3,
        "top_p": 0.5,
        "seed": 7,
        "presence_penalty": 0.2,
        "frequency_penalty": 0.3,
    },
    "format": "json",
    "think": "high",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hello", "images": ["QUFB"]},
        {
            "role": "assistant",
            "thinking": "hmm",
            "tool_calls": [{"function": {"name": "look_up", "arguments": {"q": "x"}}}],
        },
        {"role": "tool", "content": "found", "tool_name": "look_up"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "look_up", "description": "Looks things up", "parameters": {"type": "object"}},
        }
    ],
}
SAID, THOUGHT = "Grüße, 😀!", "Let me think."
MESSAGE = {
    "role": "assistant",
    "content": SAID,
    "thinking": THOUGHT,
    "tool_calls": [
        {"function": {"name": "f", "arguments": {"a": 1}}},
        {"function": {"name": "g", "arguments": {"b": 2}}},
    ],
}
END = {"model": "llama-x", "done": True, "done_reason": "stop", "prompt_eval_count": 12, "eval_count": 34}


def streamed(size: int = 3) -> list[dict[str, Any]]:
    """The message above as the server streams it."""
    messages: list[dict[str, Any]] = [{"content": "", "thinking": piece} for piece in pieces(THOUGHT, size)]
    messages += [{"content": piece} for piece in pieces(SAID, size)]
    messages += [{"content": "", "tool_calls": [call]} for call in MESSAGE["tool_calls"]]
    chunks = [{"model": "llama-x", "message": {"role": "assistant", **m}, "done": False} for m in messages]
    return [*chunks, {**END, "message": {"role": "assistant", "content": ""}}]


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/api/chat", "chat"),
        ("/relay/ollama/api/generate", "text_completion"),
        ("/api/embed", "embeddings"),
        ("/api/embeddings", "embeddings"),
    ],
)
def test_match(path: str, operation: str) -> None:
    api = path.rpartition("/")[2]
    assert matched(PROVIDER, path) == Endpoint("ollama", operation, api, framing="ndjson")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/chat"), ("POST", "/api/pull"), ("POST", "/v1/chat/completions"), ("POST", "/chat")],
)
def test_no_match(method: str, path: str) -> None:
    assert PROVIDER.match(head(path, method)) is None


def test_chat_request() -> None:
    prompt = PROVIDER.parse_request(CHAT, REQUEST)
    assert rows(prompt) == [
        ("/messages/0/content", "Be brief.", "system", "text", None),
        ("/messages/1/content", "hello", "user", "text", None),
        ("/messages/2/thinking", "hmm", "assistant", "reasoning", None),
        ("/messages/2/tool_calls/0/function/arguments", '{"q":"x"}', "assistant", "tool_call", "look_up"),
        ("/messages/3/content", "found", "tool", "tool_result", "look_up"),
        ("/tools/0", 'Looks things up\n{"type":"object"}', "system", "tool_definition", "look_up"),
    ]
    assert_pointers(REQUEST, prompt.segments)
    assert (prompt.model, prompt.stream, prompt.tools) == ("llama-x", False, ("look_up",))
    assert (prompt.blobs, prompt.notes) == (1, ())
    assert prompt.settings == Settings(
        max_tokens=5,
        temperature=0.1,
        top_p=0.5,
        top_k=3,
        frequency_penalty=0.3,
        presence_penalty=0.2,
        seed=7,
        stop_sequences=("x",),
        reasoning_level="high",
        output_type="json",
    )


def test_completion_request() -> None:
    body = {
        "model": "l",
        "prompt": "p",
        "suffix": "s",
        "system": "sys",
        "template": "t",
        "context": [1, 2],
        "images": ["QQ=="],
    }
    prompt = PROVIDER.parse_request(GENERATE, body)
    assert rows(prompt) == [
        ("/system", "sys", "system", "text", None),
        ("/template", "t", "system", "text", None),
        ("/prompt", "p", "user", "text", None),
        ("/suffix", "s", "user", "text", None),
    ]
    assert (prompt.blobs, prompt.notes) == (1, ("token_context",))


@pytest.mark.parametrize(("said", "streams"), [({}, True), ({"stream": True}, True), ({"stream": False}, False)])
@pytest.mark.parametrize("endpoint", [CHAT, GENERATE])
def test_streams_unless_told_otherwise(endpoint: Endpoint, said: dict[str, Any], streams: bool) -> None:
    assert PROVIDER.parse_request(endpoint, {"model": "l", **said}).stream is streams


@pytest.mark.parametrize(
    ("endpoint", "body", "found"),
    [
        (EMBED, {"input": "a", "dimensions": 5}, [("/input", "a")]),
        (EMBED, {"input": ["a", "b"]}, [("/input/0", "a"), ("/input/1", "b")]),
        (EMBEDDINGS, {"prompt": "a"}, [("/prompt", "a")]),
        (EMBEDDINGS, {"input": ["a"]}, [("/input/0", "a")]),
    ],
)
def test_embedding_requests(endpoint: Endpoint, body: Any, found: list[tuple[str, str]]) -> None:
    prompt = PROVIDER.parse_request(endpoint, {"model": "l", **body})
    assert [row[:2] for row in rows(prompt)] == found
    assert (prompt.stream, prompt.settings.dimensions) == (False, body.get("dimensions"))


@pytest.mark.parametrize(
    ("message", "texts", "notes"),
    [
        ({"role": "oracle", "content": "x"}, ["x"], ("unknown_role",)),
        ("x", ["x"], ("unknown_part",)),
        ({"role": "user", "content": ["x"]}, [], ("unknown_part",)),
        ({"role": "assistant", "tool_calls": [{}]}, [], ("unknown_part",)),
    ],
)
def test_odd_messages_are_noted(message: Any, texts: list[str], notes: tuple[str, ...]) -> None:
    prompt = PROVIDER.parse_request(CHAT, {"messages": [message]})
    assert [segment.text for segment in prompt.segments] == texts
    assert prompt.notes == notes


@pytest.mark.parametrize("body", [None, [], 3, {"messages": "x"}])
def test_unknown_shape(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.parse_request(CHAT, body)


def test_whole_answer() -> None:
    reader, segments = read_whole(PROVIDER, CHAT, {**END, "message": MESSAGE})
    assert {(s.pointer, s.text, s.kind, s.name) for s in segments} == {
        ("/message/thinking", THOUGHT, "reasoning", None),
        ("/message/content", SAID, "text", None),
        ("/message/tool_calls/0/function/arguments", '{"a":1}', "tool_call", "f"),
        ("/message/tool_calls/1/function/arguments", '{"b":2}', "tool_call", "g"),
    }
    assert told(reader) == {
        "model": "llama-x",
        "response_id": None,
        "finish_reasons": ["stop"],
        "usage": Usage(12, 34),
        "error_type": None,
        "service_tier": None,
        "done": True,
    }


@given(size=st.integers(1, 40))
def test_streamed_is_whole(size: int) -> None:
    whole, whole_segments = read_whole(PROVIDER, CHAT, {**END, "message": MESSAGE})
    reader, segments = read_stream(PROVIDER, CHAT, [("", item) for item in streamed(size)])
    assert set(segments) == set(whole_segments)
    assert told(reader) == told(whole)


@given(size=st.integers(1, 40))
def test_streamed_completion_is_whole(size: int) -> None:
    whole, whole_segments = read_whole(PROVIDER, GENERATE, {**END, "response": SAID, "thinking": THOUGHT})
    chunks: list[dict[str, Any]] = [{"thinking": piece, "response": ""} for piece in pieces(THOUGHT, size)]
    chunks += [{"response": piece} for piece in pieces(SAID, size)]
    events = [("", {"model": "llama-x", "done": False, **item}) for item in chunks]
    reader, segments = read_stream(PROVIDER, GENERATE, [*events, ("", {**END, "response": ""})])
    assert set(segments) == set(whole_segments)
    assert told(reader) == told(whole)


def test_whole_answer_on_one_line_is_read_as_an_event() -> None:
    reader, segments = read_stream(PROVIDER, CHAT, [("", {**END, "message": MESSAGE})])
    whole, whole_segments = read_whole(PROVIDER, CHAT, {**END, "message": MESSAGE})
    assert segments == whole_segments
    assert told(reader) == told(whole)


def test_done_only_at_the_end() -> None:
    reader, _ = read_stream(PROVIDER, CHAT, [("", item) for item in streamed()[:-1]])
    assert not reader.done


@pytest.mark.parametrize("extra", [{"response": "hidden"}, {"message": {"content": "y", "thinking": "hidden"}}])
def test_nothing_hides_behind_a_text(extra: dict[str, Any]) -> None:
    chunk = {"model": "l", "message": {"content": "y"}, "done": False}
    _, segments = read_stream(PROVIDER, CHAT, [("", chunk), ("", {**chunk, **extra})])
    assert "hidden" in "".join(segment.text for segment in segments)


def test_embeddings_have_usage_and_no_text() -> None:
    body = {"model": "l", "embeddings": [[0.1]], "prompt_eval_count": 8}
    reader, segments = read_whole(PROVIDER, EMBED, body)
    assert (segments, reader.usage, reader.model) == ((), Usage(8), "l")


@pytest.mark.parametrize(
    ("body", "code"),
    [({"error": "secret sentence"}, "_OTHER"), ({"error": {"code": "bad_model", "message": "secret"}}, "bad_model")],
)
def test_errors_give_codes_never_messages(body: Any, code: str) -> None:
    whole, _ = read_whole(PROVIDER, CHAT, body)
    reader, _ = read_stream(PROVIDER, CHAT, [("", item) for item in [*streamed()[:3], body]])
    assert (whole.error_type, reader.error_type, reader.done) == (code, code, False)


def test_chunk_without_text_is_the_shared_nothing() -> None:
    reader = PROVIDER.reader(CHAT)
    reader.event("", as_event(streamed()[0]))
    assert reader.event("", as_event({"message": {"content": ""}, "done": False})) is EMPTY


def test_refusal() -> None:
    body = json.loads(PROVIDER.refusal(CHAT, BLOCKED, 400))
    assert body == {
        "error": "Blocked by llmtrace policy: prompt_injection.high (decision 0190-abcd)",
        "code": "llmtrace_blocked",
    }


@pytest.mark.parametrize("body", [None, "x", [], {}, {"choices": []}])
def test_unknown_answer(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.reader(CHAT).body(body)


@given(st.sampled_from([CHAT, GENERATE, EMBED, EMBEDDINGS]), JSON | mutated(REQUEST, {"prompt": "x", "input": ["a"]}))
def test_hostile_requests(endpoint: Endpoint, payload: Any) -> None:
    assert_parses_or_refuses(PROVIDER, endpoint, payload)


@given(JSON | mutated({**END, "message": MESSAGE}))
def test_hostile_answers(payload: Any) -> None:
    reader = PROVIDER.reader(CHAT)
    assert_reads_or_refuses(lambda: reader.body(payload), reader)


@given(st.lists(st.binary(max_size=20) | (JSON | mutated(*streamed())).map(as_event), max_size=4))
def test_hostile_events(events: list[bytes]) -> None:
    reader = PROVIDER.reader(CHAT)
    for data in events:
        assert_reads_or_refuses(lambda data=data: reader.event("", data), reader)  # type: ignore[misc]
