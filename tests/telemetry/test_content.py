"""Captured content on spans, in events and for completion hooks."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from llmtrace_sdk.core.model import CallRecord, Content, Segment
from llmtrace_sdk.telemetry.content import ATTRIBUTE_LIMIT_BYTES
from llmtrace_sdk.telemetry.options import TelemetryOptions

from .rig import Rig, blocked, decided, finding, record

SEED = "seeded-9f3c"
MAIL = "ann@example.org"
CONTENT = Content(
    input=(
        Segment(f"be kind {SEED}", "system", "/system"),
        Segment("weather of a city", "system", "/tools/0", "tool_definition", "get_weather"),
        Segment("be brief", "system", "/messages/0/content"),
        Segment(f"mail {MAIL} {SEED}", "user", "/messages/1/content/0/text"),
        Segment("second part", "user", "/messages/1/content/1/text"),
        Segment('{"city":"Oslo"}', "assistant", "/messages/2/tool_calls/0", "tool_call", "get_weather"),
        Segment("rain", "tool", "/messages/3/content", "tool_result", "get_weather"),
    ),
    output=(
        Segment("thinking", "assistant", "/choices/0/message/reasoning", "reasoning"),
        Segment(f"answer {SEED}", "assistant", "/choices/0/message/content"),
        Segment("other", "assistant", "/choices/1/message/content"),
    ),
)
FOUND = finding(
    type="pii_detected", category="sensitive_info_disclosure", pointer="/messages/1/content/0/text", start=5, end=20
)
TOLD = record(content=CONTENT, findings=(FOUND,), decision=decided("log"))


def options(capture: Any = "SPAN_ONLY", form: Any = "redacted", **more: Any) -> TelemetryOptions:
    return TelemetryOptions(capture=capture, content=form, **more)


def on_span(told: CallRecord, form: str = "redacted") -> dict[str, Any]:
    rig = Rig(options(form=form))
    rig.tell(told)
    attributes = rig.span("chat gpt-4o").attributes or {}
    return {k: json.loads(v) for k, v in attributes.items() if k.endswith(("messages", "instructions", "definitions"))}  # type: ignore[arg-type]


def test_redacted_is_what_one_gets_without_asking_for_more() -> None:
    assert on_span(TOLD) == {
        "gen_ai.system_instructions": [{"type": "text", "content": f"be kind {SEED}"}],
        "gen_ai.tool.definitions": [{"type": "function", "name": "get_weather", "description": "weather of a city"}],
        "gen_ai.input.messages": [
            {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
            {
                "role": "user",
                "parts": [
                    {"type": "text", "content": f"mail [REDACTED:pii_detected] {SEED}"},
                    {"type": "text", "content": "second part"},
                ],
            },
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "id": None, "name": "get_weather", "arguments": '{"city":"Oslo"}'}],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": None, "response": "rain"}]},
        ],
        "gen_ai.output.messages": [
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "thinking"},
                    {"type": "text", "content": f"answer {SEED}"},
                ],
            },
            {"role": "assistant", "parts": [{"type": "text", "content": "other"}]},
        ],
    }


def test_full_is_verbatim() -> None:
    parts = on_span(TOLD, "full")["gen_ai.input.messages"][1]["parts"]
    assert parts[0] == {"type": "text", "content": f"mail {MAIL} {SEED}"}


def test_hash_holds_no_text() -> None:
    found = on_span(TOLD, "hash")
    part = found["gen_ai.input.messages"][1]["parts"][0]
    assert set(part) == {"type", "content", "hashed", "length"}
    assert part["length"] == len(CONTENT.input[3].text)
    assert SEED not in json.dumps(found)
    assert "Oslo" not in json.dumps(found)


def test_blocked_content_is_never_shown_but_in_full() -> None:
    told = blocked(content=CONTENT)
    assert SEED not in json.dumps(on_span(told))
    assert SEED not in json.dumps(on_span(told, "hash"))
    assert SEED in json.dumps(on_span(told, "full"))


def test_parts_and_attributes_are_bounded_and_stay_json() -> None:
    many = tuple(Segment(f"{n:04d}" + "é" * 10_000, "user", f"/messages/{n}/content") for n in range(50))
    content = Content(input=many, output=many)
    rig = Rig(options(form="full"))
    rig.tell(record(content=content))
    attributes = rig.span("chat gpt-4o").attributes or {}
    for name, first in (("gen_ai.input.messages", None), ("gen_ai.output.messages", "0000")):
        text = attributes[name]
        assert isinstance(text, str)
        assert len(text.encode()) <= ATTRIBUTE_LIMIT_BYTES
        parts = [part for message in json.loads(text) for part in message["parts"]]
        assert all(part["truncated"] for part in parts)
        assert all(len(part["content"].encode()) <= 8192 for part in parts)
        assert len(parts) >= 6
        if first is None:  # the latest of a conversation is what matters
            assert parts[-1]["content"].startswith("0049")
        else:
            assert parts[0]["content"].startswith(first)


def test_what_cannot_be_encoded_is_replaced() -> None:
    told = record(content=Content(output=(Segment("lone \ud800 surrogate", "assistant", "/content/0"),)))
    assert on_span(told)["gen_ai.output.messages"][0]["parts"][0]["content"] == "lone ? surrogate"


@pytest.mark.parametrize(
    ("capture", "span", "event"),
    [
        ("NO_CONTENT", False, False),
        ("SPAN_ONLY", True, False),
        ("EVENT_ONLY", False, True),
        ("SPAN_AND_EVENT", True, True),
    ],
)
def test_where_content_goes(capture: str, span: bool, event: bool) -> None:
    rig = Rig(options(capture))
    rig.tell(TOLD)
    assert ("gen_ai.input.messages" in (rig.span("chat gpt-4o").attributes or {})) is span
    details = [log for log in rig.logs() if log.event_name == "gen_ai.client.inference.operation.details"]
    assert bool(details) is event
    if event:
        (log,) = details
        assert log.attributes["gen_ai.request.model"] == "gpt-4o"
        assert log.attributes["gen_ai.usage.input_tokens"] == 12
        assert log.attributes["gen_ai.output.messages"][1]["parts"][0]["content"] == "other"


def test_an_enriched_call_leaves_content_to_the_other_library() -> None:
    rig = Rig(options("SPAN_AND_EVENT"))
    with rig.tracer_provider.get_tracer("com.anthropic.sdk.python").start_as_current_span("outer"):
        span = rig.start()
    rig.telemetry.deliver(TOLD, span)
    assert "messages" not in (rig.span("outer").to_json() + rig.span("llmtrace.guard input").to_json()).replace(
        "/messages/", ""
    )
    assert [log.event_name for log in rig.logs()] == ["llmtrace.finding"]


class Hook:
    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def on_completion(self, **content: Any) -> None:
        self.calls.append(content)


def test_a_completion_hook_gets_redacted_messages_as_dataclasses() -> None:
    hook = Hook()
    rig = Rig(options(), completion_hook=hook)
    rig.tell(TOLD)
    (call,) = hook.calls
    assert call["inputs"][1].role == "user"
    assert call["inputs"][1].parts[0].content == f"mail [REDACTED:pii_detected] {SEED}"
    assert call["inputs"][2].parts[0].arguments == '{"city":"Oslo"}'
    assert call["inputs"][3].parts[0].response == "rain"
    assert call["outputs"][0].parts[0].type == "reasoning"
    assert call["system_instruction"][0].content == f"be kind {SEED}"
    assert call["tool_definitions"][0].name == "get_weather"
    assert call["span"].get_span_context() == rig.span("chat gpt-4o").context
    assert dataclasses.asdict(call["inputs"][0])["parts"][0]["content"] == "be brief"


def test_the_hook_has_the_signature_of_util_genai() -> None:
    from inspect import signature

    from opentelemetry.util.genai.completion_hook import CompletionHook as Theirs

    from llmtrace_sdk.telemetry.completion import CompletionHook as Ours

    assert list(signature(Ours.on_completion).parameters) == list(signature(Theirs.on_completion).parameters)


def test_the_parts_have_the_fields_of_util_genai() -> None:
    from opentelemetry.util.genai import types

    from llmtrace_sdk.telemetry import completion

    pairs = [
        (completion.TextPart, types.TextPart),
        (completion.ToolCallPart, types.ToolCallRequestPart),
        (completion.ToolCallResponsePart, types.ToolCallResponsePart),
        (completion.ToolDefinition, types.FunctionToolDefinition),
        (completion.ChatMessage, types.InputMessage),
        (completion.ChatMessage, types.OutputMessage),
    ]
    for ours, theirs in pairs:
        assert {f.name for f in dataclasses.fields(theirs)} <= {f.name for f in dataclasses.fields(ours)}


def test_a_hook_that_raises_is_counted_and_costs_nothing_else() -> None:
    class Broken:
        def on_completion(self, **content: Any) -> None:
            raise ValueError("broken")

    rig = Rig(options(), completion_hook=Broken())
    rig.telemetry.deliver(TOLD, rig.start())
    assert [component for component, _ in rig.faults] == ["telemetry"]
    rig.faults.clear()
    assert rig.span("chat gpt-4o").end_time == TOLD.ended_ns
    assert [value for _, value in rig.points("llmtrace.decisions")] == [1]
