from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_answers import (
    ANY,
    JSON,
    OBJECTS,
    cut,
    facts,
    read_stream,
    read_whole,
    repeatable,
)
from openai_chat_shapes import ANSWER, USAGE, chunk
from wire_formats import assert_reads_or_refuses

from llmtrace_sdk.core.model import Delta, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._openai_choices import TRACKED_LIMIT
from llmtrace_sdk.providers._reading import EMPTY
from llmtrace_sdk.providers.openai_chat import PROVIDER


class TestStream:
    def test_ordinary(self) -> None:
        reader, segments = read_stream(
            PROVIDER,
            [
                chunk({"role": "assistant", "content": ""}, service_tier="default"),
                chunk({"content": "Hel"}),
                chunk({"content": "lo"}),
                chunk({}, finish="stop", service_tier="default"),
                {"id": "chatcmpl-1", "model": "m", "choices": [], "usage": USAGE, "service_tier": "default"},
                b"[DONE]",
            ],
        )
        assert [(s.text, s.pointer) for s in segments] == [("Hello", "/choices/0/message/content")]
        assert facts(reader) == ("m", "chatcmpl-1", ["stop"], Usage(20, 9, 16, 2, 5), None, "default")
        assert reader.done

    def test_nothing_is_the_shared_nothing(self) -> None:
        reader = PROVIDER.reader(ANY)
        for event in (chunk({"role": "assistant", "content": ""}), chunk({}), {"choices": []}, {"type": "ping"}):
            assert reader.event("", json.dumps(event).encode()) is EMPTY
        assert reader.event("", b"[DONE]") is EMPTY
        assert reader.event("", b"") is EMPTY

    def test_content_event_yields_one_delta(self) -> None:
        reader = PROVIDER.reader(ANY)
        (delta,) = reader.event("", json.dumps(chunk({"content": "x"})).encode())
        assert delta == Delta("x", "text", 0, 0, "/choices/0/message/content")

    def test_model_and_id_are_the_first_that_say_something(self) -> None:
        first = {"id": "", "model": "", "choices": [], "prompt_filter_results": []}
        later = {"id": "other", "model": "other", "choices": [{"index": 0, "delta": {"content": "x"}}]}
        reader, _ = read_stream(PROVIDER, [first, chunk({"content": "x"}), later])
        assert (reader.model, reader.response_id) == ("m", "chatcmpl-1")

    def test_tool_calls_are_assembled_by_index(self) -> None:
        call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
        other = {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}}
        _, segments = read_stream(
            PROVIDER,
            [
                chunk({"tool_calls": [{"index": 0, **call}]}),
                chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}),
                chunk({"tool_calls": [{"index": 1, **other}]}),
                chunk({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}),
                chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
                chunk({}, finish="tool_calls"),
            ],
        )
        base = "/choices/0/message/tool_calls"
        assert [(s.pointer, s.text, s.name) for s in segments] == [
            (f"{base}/0/function/arguments", '{"a":1}', "f"),
            (f"{base}/1/function/arguments", "{}", "g"),
        ]

    @pytest.mark.parametrize("index", [{"index": 0}, {}])
    def test_calls_that_share_an_index_are_told_apart_by_id_and_name(self, index: dict[str, int]) -> None:
        calls = [{**index, "id": f"c{n}", "function": {"name": f"f{n}", "arguments": f'"{n}"'}} for n in range(3)]
        _, segments = read_stream(PROVIDER, [chunk({"tool_calls": [call]}) for call in calls])
        assert [(s.name, s.text, s.pointer[-20:]) for s in segments] == [
            (f"f{n}", f'"{n}"', f"/{n}/function/arguments"[-20:]) for n in range(3)
        ]

    def test_an_id_that_changes_without_a_name_is_the_same_call(self) -> None:
        first = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "1"}}
        more = {"index": 0, "id": "b", "function": {"arguments": "2"}}
        _, (segment,) = read_stream(PROVIDER, [chunk({"tool_calls": [call]}) for call in (first, more)])
        assert (segment.name, segment.text) == ("f", "12")

    def test_legacy_function_call(self) -> None:
        deltas = [{"name": "f", "arguments": ""}, {"arguments": '{"a":'}, {"arguments": "1}"}]
        _, (segment,) = read_stream(PROVIDER, [chunk({"function_call": delta}) for delta in deltas])
        assert (segment.text, segment.name, segment.pointer) == (
            '{"a":1}',
            "f",
            "/choices/0/message/function_call/arguments",
        )

    @pytest.mark.parametrize(
        ("deltas", "kind", "pointer"),
        [
            (
                [{"reasoning_content": "a", "content": None}, {"reasoning_content": "b"}],
                "reasoning",
                "/reasoning_content",
            ),
            ([{"reasoning": "a", "content": ""}, {"reasoning": "b"}], "reasoning", "/reasoning"),
            ([{"refusal": "a"}, {"refusal": "b"}], "refusal", "/refusal"),
            (
                [{"audio": {"transcript": "a"}}, {"audio": {"data": "AA"}}, {"audio": {"transcript": "b"}}],
                "text",
                "/audio/transcript",
            ),
            ([{"content": [{"type": "text", "text": "a"}]}, {"content": "b"}], "text", "/content"),
            (
                [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": t}]}]} for t in "ab"],
                "reasoning",
                "/content",
            ),
        ],
    )
    def test_other_texts(self, deltas: list[Any], kind: str, pointer: str) -> None:
        _, (segment,) = read_stream(PROVIDER, [chunk(delta) for delta in deltas])
        assert (segment.text, segment.kind, segment.pointer) == ("ab", kind, f"/choices/0/message{pointer}")

    @pytest.mark.parametrize(
        "other",
        [
            {"reasoning_content": "x"},
            {"reasoning": "x"},
            {"reasoning_details": [{"text": "x"}]},
            {"refusal": "x"},
            {"audio": {"transcript": "x"}},
            {"function_call": {"name": "f", "arguments": "x"}},
            {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "x"}}]},
        ],
    )
    def test_content_beside_something_else(self, other: dict[str, Any]) -> None:
        _, segments = read_stream(PROVIDER, [chunk({"content": "c", **other})])
        assert {s.text for s in segments} == {"c", "x"}

    def test_what_comes_beside_an_increment(self) -> None:
        usage = {"prompt_tokens": 1, "completion_tokens": 2}
        reader, (segment,) = read_stream(PROVIDER, [chunk({"content": "a"}, usage=usage)])
        assert (segment.text, reader.usage) == ("a", Usage(1, 2))
        reader, (segment,) = read_stream(PROVIDER, [chunk({"content": "a"}, choice={"error": {"code": "bad"}})])
        assert (segment.text, reader.error_type) == ("a", "bad")

    def test_a_message_without_increments_before_the_end(self) -> None:
        for choice in ({"message": {"content": "Hello"}}, {"message": {"content": "Hello"}, "delta": {}}):
            _, (segment,) = read_stream(PROVIDER, [chunk(None, choice=choice), chunk({}, finish="stop")])
            assert segment.text == "Hello"

    def test_choices_interleaved(self) -> None:
        events = [chunk({"content": f"{n}"}, index=n) for n in (1, 0, 2, 0, 1, 2)]
        ends = [chunk({}, index=n, finish=f"r{n}") for n in (2, 0, 1)]
        both = {"choices": [{"index": n, "delta": {"content": "!"}} for n in (0, 1)]}
        reader, segments = read_stream(PROVIDER, [*events, both, *ends])
        assert {s.pointer: s.text for s in segments} == {
            "/choices/0/message/content": "00!",
            "/choices/1/message/content": "11!",
            "/choices/2/message/content": "22",
        }
        assert reader.finish_reasons == ["r0", "r1", "r2"]

    def test_only_the_finished_object_is_sent(self) -> None:
        reader, (segment,) = read_stream(PROVIDER, [ANSWER, ANSWER, b"[DONE]"])
        assert (segment.text, segment.pointer) == ("Hello", "/choices/0/message/content")
        assert reader.usage.input_tokens == 20

    def test_the_finished_message_after_an_empty_delta(self) -> None:
        final = chunk({"role": "assistant", "content": ""}, finish="stop", choice={"message": {"content": "Hello"}})
        _, (segment,) = read_stream(PROVIDER, [final])
        assert segment.text == "Hello"

    def test_a_growing_message_beside_the_increments_is_not_read_twice(self) -> None:
        events = [
            chunk({"content": text}, choice={"message": {"content": sofar}}, usage={"prompt_tokens": 1})
            for text, sofar in (("Hel", "Hel"), ("lo", "Hello"), ("", "Hello"))
        ]
        _, (segment,) = read_stream(PROVIDER, [*events, ANSWER])
        assert segment.text == "Hello"

    def test_usage_in_groqs_place(self) -> None:
        final = chunk({}, finish="stop", x_groq={"id": "r", "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
        reader, _ = read_stream(PROVIDER, [final])
        assert reader.usage == Usage(3, 4)

    @pytest.mark.parametrize(
        ("event", "code"),
        [
            ({"error": {"message": "m", "type": "server_error", "code": None}}, "server_error"),
            ({"error": {"message": "m", "code": 502}, "choices": [{"index": 0, "delta": {"content": ""}}]}, "502"),
            ({"error": "text"}, "_OTHER"),
            (("error", {"message": "m", "code": "overloaded"}), "overloaded"),
            ({"object": "error", "message": "m", "type": "Internal"}, "Internal"),
        ],
    )
    def test_error_in_the_middle(self, event: Any, code: str) -> None:
        reader, (segment,) = read_stream(PROVIDER, [chunk({"content": "a"}), event])
        assert (reader.error_type, segment.text, reader.done) == (code, "a", False)

    @pytest.mark.parametrize(
        "data", [b"{", b'{"choices":[', b"\xff", b'{"choices":"\xff"}', b"nonsense", b"[1,2]", b'"text"']
    )
    def test_broken_events_are_unreadable_and_the_stream_goes_on(self, data: bytes) -> None:
        reader = PROVIDER.reader(ANY)
        with pytest.raises(Unreadable, match="unknown_shape" if data in (b"[1,2]", b'"text"') else "invalid_json"):
            reader.event("", data)
        (delta,) = reader.event("", json.dumps(chunk({"content": "x"})).encode())
        assert delta.text == "x"

    def test_members_of_odd_types_do_not_hide_the_text(self) -> None:
        event = chunk({"content": "x"}, choice={"index": "zero"})
        _, (segment,) = read_stream(PROVIDER, [event, {**chunk({"content": "y"}), "model": 7, "id": []}])
        assert segment.text == "xy"

    def test_lone_surrogates_are_read(self) -> None:
        data = b'{"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}'
        (delta,) = PROVIDER.reader(ANY).event("", data)
        assert delta.text.startswith("a")

    def test_deep_nesting_is_unreadable(self) -> None:
        data = b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        with pytest.raises(Unreadable, match="too_deep"):
            PROVIDER.reader(ANY).event("", data)

    def test_state_is_bounded(self) -> None:
        reader = PROVIDER.reader(ANY)
        for number in range(3 * TRACKED_LIMIT):
            call = {"index": number, "id": f"c{number}", "function": {"name": "f", "arguments": "1"}}
            event = chunk({"tool_calls": [call]}, index=number, finish="stop")
            assert [delta.text for delta in reader.event("", json.dumps(event).encode())] == ["1"]
            reader.event("", json.dumps({"choices": [{"index": number, "message": {"content": "x"}}]}).encode())
        assert len(reader.finish_reasons) == TRACKED_LIMIT
        assert len(reader._calls) <= TRACKED_LIMIT
        assert len(reader._told) <= TRACKED_LIMIT

    @repeatable
    @given(st.binary(max_size=64) | JSON.map(lambda v: json.dumps(v).encode()))
    def test_any_bytes_are_read_or_unreadable(self, data: bytes) -> None:
        reader = PROVIDER.reader(ANY)
        assert_reads_or_refuses(lambda: reader.event("", data), reader)

    @repeatable
    @given(
        st.lists(OBJECTS | st.fixed_dictionaries({"choices": st.lists(OBJECTS, max_size=2)}), max_size=5),
        st.sampled_from(["", "error"]),
    )
    def test_any_events_are_read_or_unreadable(self, events: list[Any], name: str) -> None:
        reader = PROVIDER.reader(ANY)
        for event in events:
            data = json.dumps(event).encode()
            assert_reads_or_refuses(lambda data=data: reader.event(name, data), reader)  # type: ignore[misc]


SAID = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)
CALLS = st.lists(st.tuples(st.sampled_from(["f", "g"]), SAID), max_size=3)
SIZES = st.lists(st.integers(1, 7), max_size=6)


@repeatable
@given(st.lists(st.tuples(st.none() | SAID, st.none() | SAID, st.none() | SAID, CALLS), min_size=1, max_size=3), SIZES)
def test_streamed_equals_whole(choices: list[Any], sizes: list[int]) -> None:
    whole, events = [], []
    for index, (content, thought, refusal, calls) in enumerate(choices):
        members = {"reasoning_content": thought, "content": content, "refusal": refusal}
        message: dict[str, Any] = {key: value for key, value in members.items() if value}
        for key, value in message.items():
            events += [chunk({key: piece}, index=index) for piece in cut(value, sizes)]
        made = [{"id": f"c{n}", "function": {"name": name, "arguments": args}} for n, (name, args) in enumerate(calls)]
        for at, call in enumerate(made):
            first = {
                "index": at,
                "id": call["id"],
                "type": "function",
                "function": {**call["function"], "arguments": ""},
            }
            events.append(chunk({"tool_calls": [first]}, index=index))
            for piece in cut(call["function"]["arguments"], sizes):
                events.append(chunk({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}, index=index))
        events.append(chunk({}, index=index, finish="stop"))
        whole.append({"index": index, "message": {**message, "tool_calls": made}, "finish_reason": "stop"})
    events.append({"choices": [], "usage": USAGE})
    expected, expected_segments = read_whole(
        PROVIDER, {"id": "chatcmpl-1", "model": "m", "choices": whole, "usage": USAGE}
    )
    reader, segments = read_stream(PROVIDER, events)
    assert segments == expected_segments
    assert facts(reader) == facts(expected)
