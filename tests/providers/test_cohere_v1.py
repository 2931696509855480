from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_formats import (
    JSON,
    as_event,
    assert_parses_or_refuses,
    assert_pointers,
    assert_reads_or_refuses,
    matched,
    mutated,
    pieces,
    read_stream,
    read_whole,
    rows,
    told,
)

from llmtrace_sdk.core.model import Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers.cohere import PROVIDER

CHAT = matched(PROVIDER, "/v1/chat", "api.cohere.com")
REQUEST: dict[str, Any] = {
    "message": "hello",
    "preamble": "Be brief.",
    "stream": False,
    "chat_history": [
        {"role": "USER", "message": "before"},
        {"role": "CHATBOT", "message": "said", "tool_calls": [{"name": "look_up", "parameters": {"q": "x"}}]},
    ],
    "documents": [{"title": "T", "text": "D"}],
    "tools": [{"name": "look_up", "description": "Looks up", "parameter_definitions": {"q": {"type": "str"}}}],
    "tool_results": [{"call": {"name": "look_up", "parameters": {"q": "x"}}, "outputs": [{"r": "found"}]}],
    "connectors": [{"id": "web-search"}],
}
SAID = "Grüße, 😀!"
CALLS = [{"name": "weather", "parameters": {"city": "Bern"}}]
ANSWER: dict[str, Any] = {
    "text": SAID,
    "generation_id": "g-1",
    "finish_reason": "COMPLETE",
    "tool_calls": CALLS,
    "meta": {"tokens": {"input_tokens": 12, "output_tokens": 34}},
}


def streamed(size: int = 3, *, chunked: bool = False) -> list[dict[str, Any]]:
    """The answer above as the API streams it, a line each."""
    events: list[dict[str, Any]] = [{"event_type": "stream-start", "generation_id": "g-1"}]
    events += [{"event_type": "text-generation", "text": piece} for piece in pieces(SAID, size)]
    if chunked:
        deltas: list[dict[str, Any]] = [{"index": 0, "name": "weather"}]
        deltas += [{"index": 0, "parameters": piece} for piece in pieces('{"city":"Bern"}', size)]
        events += [{"event_type": "tool-calls-chunk", "tool_call_delta": delta} for delta in deltas]
    events.append({"event_type": "tool-calls-generation", "tool_calls": CALLS})
    return [*events, {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": ANSWER}]


def test_request() -> None:
    prompt = PROVIDER.parse_request(CHAT, REQUEST)
    assert rows(prompt) == [
        ("/preamble", "Be brief.", "system", "text", None),
        ("/chat_history/0/message", "before", "user", "text", None),
        ("/chat_history/1/message", "said", "assistant", "text", None),
        ("/chat_history/1/tool_calls/0/parameters", '{"q":"x"}', "assistant", "tool_call", "look_up"),
        ("/message", "hello", "user", "text", None),
        ("/tool_results/0/outputs/0/r", "found", "tool", "tool_result", "look_up"),
        ("/documents/0/title", "T", "data", "text", None),
        ("/documents/0/text", "D", "data", "text", None),
        ("/tools/0", 'Looks up\n{"q":{"type":"str"}}', "system", "tool_definition", "look_up"),
    ]
    assert_pointers(REQUEST, prompt.segments)
    assert (prompt.stream, prompt.notes) == (False, ("remote_tools",))


@pytest.mark.parametrize("body", [None, [], {}, {"message": 3}, {"messages": []}])
def test_unknown_shape(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.parse_request(CHAT, body)


@given(size=st.integers(1, 40), chunked=st.booleans())
def test_streamed_is_whole(size: int, chunked: bool) -> None:
    whole, whole_segments = read_whole(PROVIDER, CHAT, ANSWER)
    assert [(s.pointer, s.text, s.kind, s.name) for s in whole_segments] == [
        ("/text", SAID, "text", None),
        ("/tool_calls/0/parameters", '{"city":"Bern"}', "tool_call", "weather"),
    ]
    assert (whole.usage, whole.finish_reasons, whole.response_id) == (Usage(12, 34), ["COMPLETE"], "g-1")
    reader, segments = read_stream(PROVIDER, CHAT, [("", item) for item in streamed(size, chunked=chunked)])
    assert segments == whole_segments
    assert told(reader) == told(whole)


def test_whole_answer_on_one_line_is_read_as_an_event() -> None:
    _, whole_segments = read_whole(PROVIDER, CHAT, ANSWER)
    reader, segments = read_stream(PROVIDER, CHAT, [("", ANSWER)])
    assert (segments, reader.done) == (whole_segments, True)


def test_calls_are_read_before_the_end() -> None:
    _, whole = read_whole(PROVIDER, CHAT, ANSWER)
    for events in (streamed(99)[:-1], streamed(99, chunked=True)[:-2]):
        reader, segments = read_stream(PROVIDER, CHAT, [("", event) for event in events])
        assert (segments, reader.done) == (whole, False)


@pytest.mark.parametrize("body", [None, [], {}, {"choices": []}])
def test_unknown_answer(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.reader(CHAT).body(body)


def test_embeddings_have_usage_and_no_text() -> None:
    endpoint = matched(PROVIDER, "/v1/embed", "api.cohere.com")
    body = {"id": "e", "embeddings": [[0.1]], "meta": {"billed_units": {"input_tokens": 3}}}
    reader, segments = read_whole(PROVIDER, endpoint, body)
    assert (segments, reader.usage) == ((), Usage(3))


def test_end_alone_tells_everything() -> None:
    _, whole = read_whole(PROVIDER, CHAT, ANSWER)
    _, segments = read_stream(PROVIDER, CHAT, [("", streamed()[-1])])
    assert segments == whole


@pytest.mark.parametrize("event", [{"event_type": "tool-calls-chunk"}, {"event_type": "search-results"}, {}])
def test_events_without_text(event: Any) -> None:
    assert not PROVIDER.reader(CHAT).event("", as_event(event))


def test_error() -> None:
    reader, _ = read_whole(PROVIDER, CHAT, {"message": "secret sentence"})
    assert reader.error_type == "_OTHER"


@given(JSON | mutated(REQUEST))
def test_hostile_requests(payload: Any) -> None:
    assert_parses_or_refuses(PROVIDER, CHAT, payload)


@given(JSON | mutated(ANSWER))
def test_hostile_answers(payload: Any) -> None:
    reader = PROVIDER.reader(CHAT)
    assert_reads_or_refuses(lambda: reader.body(payload), reader)


@given(st.lists(st.binary(max_size=20) | (JSON | mutated(*streamed(chunked=True))).map(as_event), max_size=4))
def test_hostile_events(events: list[bytes]) -> None:
    reader = PROVIDER.reader(CHAT)
    for data in events:
        assert_reads_or_refuses(lambda data=data: reader.event("", data), reader)  # type: ignore[misc]
