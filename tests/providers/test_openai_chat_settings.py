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
    assert_pointers,
    head,
    repeatable,
    texts,
)
from openai_chat_shapes import parse
from wire_formats import assert_parses_or_refuses

from llmtrace_sdk.core.model import Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers.openai_chat import PROVIDER


class TestTools:
    def test_definitions(self) -> None:
        schema = {"type": "object", "properties": {"city": {"type": "string", "description": "a town"}}}
        grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: WORD"}}
        body = {
            "messages": [],
            "tools": [
                {"type": "function", "function": {"name": "weather", "description": "tells", "parameters": schema}},
                {"type": "custom", "custom": {"name": "shell", "description": "runs", "format": grammar}},
                {"type": "function", "function": {"name": "silent"}},
                {"type": "web_search_preview"},
                {"name": "flat", "description": "d", "input_schema": {"type": "object"}},
                {"google_search": "odd"},
                7,
            ],
            "functions": [{"name": "legacy", "description": "old"}],
        }
        prompt = parse(body)
        assert prompt.tools == ("weather", "shell", "silent", "web_search_preview", "flat", "legacy")
        assert [(s.pointer, s.text, s.name) for s in prompt.segments] == [
            ("/tools/0", "tells\n" + json.dumps(schema, separators=(",", ":")), "weather"),
            ("/tools/1", "runs\n" + json.dumps({"format": grammar}, separators=(",", ":")), "shell"),
            ("/tools/4", 'd\n{"input_schema":{"type":"object"}}', "flat"),
            ("/tools/5/google_search", "odd", None),
            ("/functions/0", "old", "legacy"),
        ]
        assert {(s.channel, s.kind) for s in prompt.segments} == {("system", "tool_definition")}
        assert prompt.notes == ("unknown_part",)
        assert_pointers({**body, "tools": body["tools"]}, prompt.segments)

    def test_huge_numbers_in_a_schema(self) -> None:
        parameters = {"properties": {"n": {"maximum": 10**40, "description": "x"}}}
        prompt = parse(
            {"messages": [], "tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]}
        )
        assert str(10**40) in prompt.segments[0].text


class TestRequest:
    @pytest.mark.parametrize(
        "body", [None, [], "x", 7, {}, {"model": "m"}, {"messages": None}, {"messages": "x"}, {"prompt": 1}]
    )
    def test_unknown_shape(self, body: Any) -> None:
        with pytest.raises(Unreadable) as caught:
            parse(body)
        assert caught.value.reason == "unknown_shape"

    def test_prompt_in_place_of_messages(self) -> None:
        assert texts(parse({"prompt": "hi"})) == {"/prompt": "hi"}

    def test_prediction_and_documents_are_data(self) -> None:
        body = {
            "messages": [],
            "prediction": {"type": "content", "content": [{"type": "text", "text": "class A"}]},
            "documents": ["plain", {"title": "t", "text": "body"}],
        }
        prompt = parse(body)
        assert texts(prompt) == {
            "/prediction/content/0/text": "class A",
            "/documents/0": "plain",
            "/documents/1/title": "t",
            "/documents/1/text": "body",
        }
        assert {s.channel for s in prompt.segments} == {"data"}

    def test_settings(self) -> None:
        body = {
            "model": "m",
            "messages": [],
            "stream": True,
            "max_tokens": 7,
            "max_completion_tokens": 8,
            "temperature": 1,
            "top_p": 0.5,
            "top_k": 40,
            "frequency_penalty": 0.1,
            "presence_penalty": -0.1,
            "seed": 3,
            "stop": ["a", "b"],
            "n": 2,
            "reasoning_effort": "high",
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
            "service_tier": "flex",
        }
        prompt = parse(body)
        assert (prompt.model, prompt.stream) == ("m", True)
        assert prompt.settings == Settings(
            max_tokens=8,
            temperature=1.0,
            top_p=0.5,
            top_k=40,
            frequency_penalty=0.1,
            presence_penalty=-0.1,
            seed=3,
            stop_sequences=("a", "b"),
            choice_count=2,
            reasoning_level="high",
            output_type="json",
            service_tier="flex",
        )

    @pytest.mark.parametrize(
        ("member", "field", "value"),
        [
            ({"max_tokens": 7}, "max_tokens", 7),
            ({"max_tokens": None}, "max_tokens", None),
            ({"max_tokens": "7"}, "max_tokens", None),
            ({"stop": "x"}, "stop_sequences", ("x",)),
            ({"stop": None}, "stop_sequences", ()),
            ({"stop": [1, "a", None]}, "stop_sequences", ("a",)),
            ({"random_seed": 5}, "seed", 5),
            ({"reasoning": {"effort": "low"}}, "reasoning_level", "low"),
            ({"response_format": {"type": "text"}}, "output_type", "text"),
            ({"response_format": {"type": "json_object"}}, "output_type", "json"),
            ({"response_format": {"type": ["x"]}}, "output_type", None),
            ({"modalities": ["text", "audio"]}, "output_type", "speech"),
            ({"modalities": ["text", "image"]}, "output_type", "image"),
            ({"modalities": ["text"]}, "output_type", None),
            ({"temperature": 10**400}, "temperature", None),
            ({"temperature": True}, "temperature", None),
            ({"seed": 10**400}, "seed", None),
        ],
    )
    def test_one_setting(self, member: dict[str, Any], field: str, value: Any) -> None:
        assert getattr(parse({"messages": [], **member}).settings, field) == value

    def test_deployment_stands_in_for_the_model(self) -> None:
        endpoint = PROVIDER.match(head("/openai/deployments/dep-1/chat/completions", host="r.openai.azure.com"))
        assert parse({"messages": []}, endpoint).model == "dep-1"
        assert parse({"messages": [], "model": "m"}, endpoint).model == "m"

    @repeatable
    @given(JSON)
    def test_any_json_is_read_or_unreadable(self, body: Any) -> None:
        assert_parses_or_refuses(PROVIDER, ANY, body)

    @repeatable
    @given(OBJECTS, st.lists(OBJECTS | JSON, max_size=4), st.lists(OBJECTS | JSON, max_size=3))
    def test_any_members_are_read(self, body: dict[str, Any], messages: list[Any], tools: list[Any]) -> None:
        whole = {**body, "messages": messages, "tools": tools}
        assert {segment.pointer.split("/")[1] for segment in parse(whole).segments} <= whole.keys()
        assert_parses_or_refuses(PROVIDER, ANY, whole)

    def test_a_text_is_found_however_deep_it_is(self) -> None:
        part: Any = {"type": "thinking", "thinking": "x"}
        for _ in range(5000):
            part = {"type": "thinking", "thinking": [part]}
        body = {"messages": [{"role": "assistant", "content": [part]}]}
        (segment,) = parse(body).segments
        assert segment.text == "x"
        assert_pointers(body, [segment])
