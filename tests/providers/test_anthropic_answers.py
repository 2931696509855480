from __future__ import annotations

from typing import Any

import pytest
from anthropic_messages import ARGUMENTS, MESSAGE, SAID, THOUGHT, streamed
from hypothesis import given
from hypothesis import strategies as st
from wire_formats import JSON, as_event, assert_reads_or_refuses, mutated, read_stream, read_whole, told

from llmtrace_sdk.core.model import Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._reading import EMPTY
from llmtrace_sdk.providers.anthropic import PROVIDER
from llmtrace_sdk.typing import Endpoint

ENDPOINT = Endpoint("anthropic", "chat", "messages")


def test_whole_answer() -> None:
    reader, segments = read_whole(PROVIDER, ENDPOINT, MESSAGE)
    assert [(s.pointer, s.text, s.kind, s.name) for s in segments] == [
        ("/content/0/thinking", THOUGHT, "reasoning", None),
        ("/content/1/text", SAID, "text", None),
        ("/content/2/input", ARGUMENTS, "tool_call", "weather"),
        ("/content/3/content", "https://y\nY", "tool_result", None),
    ]
    assert told(reader) == {
        "model": "claude-x-2026",
        "response_id": "msg_1",
        "finish_reasons": ["tool_use"],
        "usage": Usage(1110, 30, 100, 1000, 7),
        "error_type": None,
        "service_tier": "standard",
        "done": True,
    }


@given(size=st.integers(1, 40), named=st.booleans())
def test_streamed_is_whole(size: int, named: bool) -> None:
    whole, whole_segments = read_whole(PROVIDER, ENDPOINT, MESSAGE)
    events = [(name if named else "", value) for name, value in streamed(size)]
    reader, segments = read_stream(PROVIDER, ENDPOINT, events)
    assert segments == whole_segments
    assert told(reader) == told(whole)


def test_increment_of_an_unheard_of_sort_is_not_clean() -> None:
    event = {"type": "content_block_delta", "index": 0, "delta": {"type": "hologram_delta", "text": "x"}}
    with pytest.raises(Unreadable, match="unknown_part"):
        PROVIDER.reader(ENDPOINT).event("", as_event(event))


def test_done_only_at_the_end() -> None:
    reader, _ = read_stream(PROVIDER, ENDPOINT, streamed()[:-1])
    assert not reader.done


def test_increment_without_a_start_gives_its_pointer() -> None:
    event = {"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta", "text": "x"}}
    _, segments = read_stream(PROVIDER, ENDPOINT, [("", event)])
    assert [(s.pointer, s.text) for s in segments] == [("/content/4/text", "x")]


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ({"type": "hologram", "scene": {"caption": "x"}}, [("/content/0", "x")]),
        ({"type": "redacted_thinking", "data": "opaque"}, []),
        ({"type": "container_upload", "file_id": "f"}, []),
    ],
)
def test_rare_blocks(block: dict[str, Any], found: list[tuple[str, str]]) -> None:
    _, segments = read_whole(PROVIDER, ENDPOINT, {"content": [block]})
    assert [(s.pointer, s.text) for s in segments] == found


@pytest.mark.parametrize("body", [None, "x", [], {}, {"choices": []}])
def test_unknown_answer(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.reader(ENDPOINT).body(body)


def test_compaction() -> None:
    _, whole = read_whole(PROVIDER, ENDPOINT, {"content": [{"type": "compaction", "content": "so far"}]})
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "compaction", "content": None}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "compaction_delta", "content": "so far"}}
    _, segments = read_stream(PROVIDER, ENDPOINT, [("", start), ("content_block_delta", delta)])
    assert [(s.pointer, s.text) for s in whole] == [("/content/0/content", "so far")]
    assert segments == whole


@pytest.mark.parametrize(("index", "place"), [(2.0, 2), (None, 0), ("2", 0)])
def test_increments_with_odd_members_are_read(index: Any, place: int) -> None:
    delta = {"type": "text_delta", "text": "x", "thinking": 3}
    event = {"type": "content_block_delta", "index": index, "delta": delta}
    _, segments = read_stream(PROVIDER, ENDPOINT, [("content_block_delta", event)])
    assert [(s.pointer, s.text) for s in segments] == [(f"/content/{place}/text", "x")]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ping"},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "citations_delta", "citation": {"cited_text": "x"}},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ""}},
        {"type": "something_new", "text": "x"},
        b"",
        b"[DONE]",
    ],
)
def test_events_without_text(event: Any) -> None:
    assert PROVIDER.reader(ENDPOINT).event("", event if isinstance(event, bytes) else as_event(event)) is EMPTY


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "secret"}}, "overloaded_error"),
        ({"error": {"message": "secret"}}, "_OTHER"),
        ({"error": {"type": "a secret sentence with spaces"}}, "_OTHER"),
        ({"error": {"code": 529}}, "529"),
    ],
)
def test_errors_give_codes_never_messages(body: Any, code: str) -> None:
    whole, _ = read_whole(PROVIDER, ENDPOINT, body)
    reader, _ = read_stream(PROVIDER, ENDPOINT, [*streamed()[:5], ("error", body)])
    assert (whole.error_type, reader.error_type, reader.done) == (code, code, False)


@given(JSON | mutated(MESSAGE))
def test_hostile_answers(payload: Any) -> None:
    reader = PROVIDER.reader(ENDPOINT)
    assert_reads_or_refuses(lambda: reader.body(payload), reader)


@given(
    st.lists(st.binary(max_size=20) | (JSON | mutated(*(value for _, value in streamed()))).map(as_event), max_size=4)
)
def test_hostile_events(events: list[bytes]) -> None:
    reader = PROVIDER.reader(ENDPOINT)
    for data in events:
        for name in ("", "content_block_delta", "message_delta"):
            assert_reads_or_refuses(lambda data=data, name=name: reader.event(name, data), reader)  # type: ignore[misc]


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b'{"a":' * 100_000, b'{"type":"content_block_start","content_block":' * 5000]
)
def test_deep_events_are_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable, match="too_deep"):
        PROVIDER.reader(ENDPOINT).event("", data)
