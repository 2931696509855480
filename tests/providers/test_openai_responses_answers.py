from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_answers import (
    ANY,
    JSON,
    OBJECTS,
    Recorder,
    assert_pointers,
    cut,
    facts,
    read_stream,
    read_whole,
    repeatable,
    sse,
)
from wire_formats import assert_reads_or_refuses

from llmtrace_sdk.core.model import Decision, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._openai_events import PIECES_LIMIT
from llmtrace_sdk.providers._reading import EMPTY
from llmtrace_sdk.providers.openai_responses import PROVIDER

USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 16, "cache_write_tokens": 1},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 29,
}


def message(*said: str, refusal: str | None = None) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "output_text", "text": text, "annotations": []} for text in said]
    if refusal is not None:
        content.append({"type": "refusal", "refusal": refusal})
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}


def call(name: str, arguments: str) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": "fc",
        "call_id": "c",
        "name": name,
        "arguments": arguments,
        "status": "completed",
    }


def response(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    base = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "error": None}
    rest = {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "service_tier": "default", "usage": USAGE}
    return {**base, **rest, "output": list(output), **more}


INDEX_OF = {"reasoning_summary_text": "summary_index", "shell_call_command": "command_index"}


def increments(label: str, output: int, inner: int, text: str, member: str, sizes: list[int]) -> list[dict[str, Any]]:
    place = {"output_index": output, "item_id": "i", INDEX_OF.get(label, "content_index"): inner}
    events = [{"type": f"response.{label}.delta", "delta": piece, **place} for piece in cut(text, sizes)]
    return [*events, {"type": f"response.{label}.done", member: text, **place}]


def events_of(item: dict[str, Any], output: int, sizes: list[int]) -> list[dict[str, Any]]:
    """The events by which the API streams an item."""
    bare = {**item, "content": [], "summary": [], "arguments": "", "input": ""}
    events = [{"type": "response.output_item.added", "output_index": output, "item": {k: bare[k] for k in item}}]
    if item["type"] == "function_call":
        events += increments("function_call_arguments", output, 0, item["arguments"], "arguments", sizes)
    if item["type"] == "custom_tool_call":
        events += increments("custom_tool_call_input", output, 0, item["input"], "input", sizes)
    for at, part in enumerate(item.get("summary", [])):
        events += increments("reasoning_summary_text", output, at, part["text"], "text", sizes)
    for at, part in enumerate(item.get("content", [])):
        member = "refusal" if part["type"] == "refusal" else "text"
        events += increments(part["type"], output, at, part[member], member, sizes)
    return [*events, {"type": "response.output_item.done", "output_index": output, "item": item}]


def stream_of(final: dict[str, Any], sizes: list[int]) -> list[dict[str, Any]]:
    empty = {**final, "output": [], "usage": None, "status": "in_progress"}
    begin = [{"type": f"response.{word}", "response": empty} for word in ("created", "in_progress")]
    middle = [event for at, item in enumerate(final["output"]) for event in events_of(item, at, sizes)]
    events = [*begin, *middle, {"type": "response.completed", "response": final}]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


class TestWhole:
    def test_plain(self) -> None:
        payload = response(message("Hello", "more", refusal="no"))
        reader, segments = read_whole(PROVIDER, payload)
        assert [(s.pointer, s.text, s.kind, s.channel) for s in segments] == [
            ("/output/0/content/0/text", "Hello", "text", "assistant"),
            ("/output/0/content/1/text", "more", "text", "assistant"),
            ("/output/0/content/2/refusal", "no", "refusal", "assistant"),
        ]
        assert facts(reader) == ("m", "resp_1", ["completed"], Usage(20, 9, 16, 1, 5), None, "default")
        assert_pointers(payload, segments)

    def test_items(self) -> None:
        listed = {"name": "t", "description": "told by the server", "input_schema": {"type": "object"}}
        payload = response(
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]},
            call("f", "{}"),
            call("bare", ""),
            {"type": "mcp_list_tools", "server_label": "s", "tools": [listed]},
            {"type": "mcp_call", "name": "g", "arguments": "{}", "output": "found"},
            {"type": "web_search_call", "action": {"type": "search", "query": "q"}},
            {"type": "image_generation_call", "result": "AAAA"},
            {"type": "novel_call", "payload": "odd"},
        )
        _, segments = read_whole(PROVIDER, payload)
        assert [(s.pointer, s.text, s.kind, s.name) for s in segments] == [
            ("/output/0/summary/0/text", "hm", "reasoning", None),
            ("/output/1/arguments", "{}", "tool_call", "f"),
            ("/output/2/arguments", "", "tool_call", "bare"),
            ("/output/3/tools/0", 'told by the server\n{"input_schema":{"type":"object"}}', "tool_definition", "t"),
            ("/output/4/arguments", "{}", "tool_call", "g"),
            ("/output/4/output", "found", "tool_result", "g"),
            ("/output/5/action", '{"type":"search","query":"q"}', "tool_call", "web_search"),
            ("/output/6/revised_prompt", "", "tool_call", "image_generation"),
            ("/output/7/payload", "odd", "tool_call", None),
        ]

    @pytest.mark.parametrize(
        ("more", "reasons", "error"),
        [
            (
                {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
                ["max_output_tokens"],
                None,
            ),
            ({"status": "failed", "error": {"code": "server_error", "message": "m"}}, ["failed"], "server_error"),
            ({"status": "queued"}, [], None),
            ({"status": "cancelled"}, ["cancelled"], None),
        ],
    )
    def test_ends(self, more: dict[str, Any], reasons: list[str], error: str | None) -> None:
        reader, _ = read_whole(PROVIDER, response(**more))
        assert (reader.finish_reasons, reader.error_type) == (reasons, error)

    def test_error_body(self) -> None:
        reader, _ = read_whole(
            PROVIDER, {"error": {"message": "m", "type": "invalid_request_error", "code": "bad_thing"}}
        )
        assert reader.error_type == "bad_thing"

    @pytest.mark.parametrize("body", [None, 7, "x", [], {}, {"choices": []}, {"output": "x"}])
    def test_unknown_shape(self, body: Any) -> None:
        with pytest.raises(Unreadable) as caught:
            read_whole(PROVIDER, body)
        assert caught.value.reason == "unknown_shape"

    @repeatable
    @given(JSON | OBJECTS | st.fixed_dictionaries({"output": st.lists(OBJECTS, max_size=3)}))
    def test_any_json_is_read_or_unreadable(self, body: Any) -> None:
        reader = PROVIDER.reader(ANY)
        assert_reads_or_refuses(lambda: reader.body(body), reader)


SAID = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
ITEMS = st.lists(
    st.one_of(
        st.builds(lambda said, refusal: message(*said, refusal=refusal), st.lists(SAID, max_size=2), st.none() | SAID),
        st.builds(call, st.sampled_from("fg"), SAID | st.just("")),
        st.builds(lambda text: {"type": "custom_tool_call", "call_id": "c", "name": "h", "input": text}, SAID),
        st.builds(
            lambda text: {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": text}]}, SAID
        ),
        st.builds(lambda text: {"type": "shell_call", "id": "s", "action": {"commands": [text]}}, SAID),
    ),
    max_size=4,
)


class TestStream:
    @repeatable
    @given(ITEMS, st.lists(st.integers(1, 6), max_size=4), st.booleans())
    def test_streamed_equals_whole(self, output: list[Any], sizes: list[int], named: bool) -> None:
        final = response(*output)
        events = stream_of(final, sizes)
        expected, expected_segments = read_whole(PROVIDER, final)
        nameless = [{k: v for k, v in event.items() if k != "type"} for event in events]
        sent = [(e["type"], n) for e, n in zip(events, nameless, strict=True)] if named else events
        reader, segments = read_stream(PROVIDER, sent)
        assert segments == expected_segments
        assert facts(reader) == facts(expected)
        assert reader.done

    @pytest.mark.parametrize("keep", [1, 2, 3])
    def test_whatever_is_left_out_every_text_comes_once(self, keep: int) -> None:
        """Without increments, without .done events, without finished items: the next bigger object tells."""
        final = response(message("Hello"), call("f", "{}"))
        suffixes = (".delta", ".done", "output_item.done")
        events = [
            event
            for event in stream_of(final, [2])
            if not any(
                event["type"].endswith(s) and (s != ".done" or "item" not in event["type"]) for s in suffixes[:keep]
            )
        ]
        _, segments = read_stream(PROVIDER, events)
        assert sorted((s.text, s.name or "") for s in segments) == [("Hello", ""), ("{}", "f")]

    def test_only_the_final_object(self) -> None:
        for events in (
            [response(message("Hello"))],
            [{"type": "response.completed", "response": response(message("Hello"))}],
        ):
            _, (segment,) = read_stream(PROVIDER, [*events, *events])
            assert (segment.text, segment.pointer) == ("Hello", "/output/0/content/0/text")

    def test_a_call_is_named_before_its_arguments(self) -> None:
        events = stream_of(response(call("f", "{}")), [])
        reader = PROVIDER.reader(ANY)
        deltas = [delta for event in events[:3] for delta in reader.event("", json.dumps(event).encode())]
        (delta,) = deltas
        assert (delta.text, delta.kind, delta.name, delta.pointer) == ("", "tool_call", "f", "/output/0/arguments")

    @pytest.mark.parametrize(
        ("label", "pointer", "kind"),
        [
            ("output_text", "/output/2/content/1/text", "text"),
            ("refusal", "/output/2/content/1/refusal", "refusal"),
            ("reasoning_text", "/output/2/content/1/text", "reasoning"),
            ("reasoning_summary_text", "/output/2/summary/1/text", "reasoning"),
            ("shell_call_command", "/output/2/action/commands/1", "tool_call"),
            ("code_interpreter_call_code", "/output/2/code", "tool_call"),
            ("mcp_call_arguments", "/output/2/arguments", "tool_call"),
            ("audio.transcript", "/output/2/content/1/transcript", "text"),
        ],
    )
    def test_increments(self, label: str, pointer: str, kind: str) -> None:
        _, (segment,) = read_stream(PROVIDER, increments(label, 2, 1, "Hello", "text", [1, 2]))
        assert (segment.text, segment.pointer, segment.kind) == ("Hello", pointer, kind)

    def test_nothing_is_the_shared_nothing(self) -> None:
        reader = PROVIDER.reader(ANY)
        for event in (
            {"type": "response.created", "response": response()},
            {"type": "response.output_text.delta", "delta": ""},
            {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}},
            {"type": "response.web_search_call.searching"},
            {"type": "novelty"},
        ):
            assert reader.event("", json.dumps(event).encode()) is EMPTY

    @pytest.mark.parametrize(
        ("event", "code"),
        [
            ({"type": "error", "code": "rate_limit_exceeded", "message": "m"}, "rate_limit_exceeded"),
            ({"type": "error", "error": {"type": "server_error", "message": "m"}}, "server_error"),
            ({"type": "error", "message": "secret"}, "_OTHER"),
            (("error", {"code": "x_y", "message": "m"}), "x_y"),
            ({"error": {"code": 502, "message": "m"}}, "502"),
            (
                {
                    "type": "response.failed",
                    "response": response(status="failed", error={"code": "bad", "message": "m"}),
                },
                "bad",
            ),
        ],
    )
    def test_errors(self, event: Any, code: str) -> None:
        reader, _ = read_stream(PROVIDER, [event])
        assert reader.error_type == code

    def test_incomplete(self) -> None:
        final = response(message("Hel"), status="incomplete", incomplete_details={"reason": "content_filter"})
        reader, (segment,) = read_stream(PROVIDER, [{"type": "response.incomplete", "response": final}])
        assert (reader.done, reader.finish_reasons, segment.text) == (True, ["content_filter"], "Hel")

    def test_done_mark(self) -> None:
        reader, _ = read_stream(PROVIDER, [b"[DONE]"])
        assert reader.done

    def test_odd_members_do_not_hide_the_text(self) -> None:
        event = {"type": "response.output_text.delta", "output_index": "zero", "content_index": None, "delta": "x"}
        _, (segment,) = read_stream(PROVIDER, [event])
        assert (segment.text, segment.pointer) == ("x", "/output/0/content/0/text")

    @pytest.mark.parametrize("data", [b"{", b"\xff", b"nonsense", b"[1]", b"7", b'{"type":"\xff"}'])
    def test_broken_events_are_unreadable(self, data: bytes) -> None:
        with pytest.raises(Unreadable, match="unknown_shape" if data in (b"[1]", b"7") else "invalid_json"):
            PROVIDER.reader(ANY).event("", data)

    def test_state_is_bounded(self) -> None:
        reader = PROVIDER.reader(ANY)
        for number in range(PIECES_LIMIT + 500):
            for event in events_of(call("f", "x"), number, []):
                reader.event("", json.dumps(event).encode())
        sizes = [len(held) for held in (reader._parts, reader._filled, reader._running, reader._names)]
        assert max(sizes) <= PIECES_LIMIT

    @repeatable
    @given(
        st.lists(OBJECTS | st.fixed_dictionaries({"type": JSON, "response": OBJECTS}), max_size=4),
        st.binary(max_size=32),
    )
    def test_any_events_are_read_or_unreadable(self, events: list[Any], data: bytes) -> None:
        reader = PROVIDER.reader(ANY)
        for value in (*[json.dumps(event).encode() for event in events], data):
            assert_reads_or_refuses(lambda value=value: reader.event("", value), reader)  # type: ignore[misc]

    def test_the_client_and_we_read_one_stream_alike(self) -> None:
        final = response(message("Hello there"), call("f", '{"a":1}'))
        events = stream_of(final, [3, 3])
        recorder = Recorder(sse(events, named=True, done=False), "text/event-stream")
        with httpx2.Client(transport=httpx2.MockTransport(recorder)) as http:
            client = openai.OpenAI(api_key="test", http_client=http)
            with client.responses.create(model="m", input="hi", stream=True) as stream:
                seen = list(stream)
        assert json.loads(recorder.requests[0].content)["stream"] is True
        said = "".join(event.delta for event in seen if event.type == "response.output_text.delta")
        asked = "".join(event.delta for event in seen if event.type == "response.function_call_arguments.delta")
        _, segments = read_stream(PROVIDER, [(event["type"], event) for event in events])
        assert [segment.text for segment in segments] == [said, asked] == ["Hello there", '{"a":1}']


def test_the_client_raises_its_own_error_for_a_refusal() -> None:
    decision = Decision(id="d-1", action="block", verdict="block", reason="secrets.critical")
    recorder = Recorder(PROVIDER.refusal(ANY, decision, 400), status=400)
    with httpx2.Client(transport=httpx2.MockTransport(recorder)) as http:
        client = openai.OpenAI(api_key="test", http_client=http)
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model="m", input="hi")
    assert caught.value.code == "llmtrace_blocked"
    assert "secrets.critical" in caught.value.message
