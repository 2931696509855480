from __future__ import annotations

from typing import Any

import pytest
from openai_answers import (
    assert_pointers,
    head,
    texts,
)
from openai_chat_shapes import only, parse

from llmtrace_sdk.providers.openai_chat import PROVIDER


class TestMatch:
    @pytest.mark.parametrize(
        ("path", "host", "provider", "model"),
        [
            ("/v1/chat/completions", "api.openai.com", "openai", None),
            ("/chat/completions", "localhost", "openai", None),
            ("/any/prefix/at/all/chat/completions", "unknown.example", "openai", None),
            ("/v1/chat/completions/", "localhost", "openai", None),
            ("/v1/agents/completions", "api.mistral.ai", "mistral_ai", None),
            ("/openai/deployments/gpt-4o/chat/completions", "r.openai.azure.com", "azure.ai.openai", "gpt-4o"),
            ("/v1beta/openai/chat/completions", "generativelanguage.googleapis.com", "gcp.gemini", None),
        ],
    )
    def test_hit(self, path: str, host: str, provider: str, model: str | None) -> None:
        endpoint = PROVIDER.match(head(path, host=host))
        assert endpoint is not None
        assert (endpoint.provider, endpoint.operation, endpoint.api) == (provider, "chat", "chat_completions")
        assert (endpoint.model, endpoint.framing, endpoint.stream, endpoint.signed) == (model, "sse", None, False)

    @pytest.mark.parametrize(
        ("path", "method"),
        [
            ("/v1/chat/completions", "GET"),
            ("/v1/chat/completions/chatcmpl-1", "POST"),
            ("/v1/completions", "POST"),
            ("/v1/fim/completions", "POST"),
            ("/v1/messages", "POST"),
            ("/api/chat", "POST"),
            ("", "POST"),
        ],
    )
    def test_miss(self, path: str, method: str) -> None:
        assert PROVIDER.match(head(path, method)) is None

    def test_signed_requests_are_told(self) -> None:
        host = "bedrock-runtime.us-west-2.amazonaws.com"
        signed = {"authorization": "AWS4-HMAC-SHA256 Credential=x"}
        path = "/openai/v1/chat/completions"
        endpoints = [PROVIDER.match(head(path, host=host, headers=h)) for h in (signed, {"authorization": "Bearer x"})]
        assert [endpoint and endpoint.signed for endpoint in endpoints] == [True, False]

    def test_name(self) -> None:
        assert PROVIDER.name == "openai_chat"


class TestMessages:
    @pytest.mark.parametrize(
        ("role", "channel"),
        [("system", "system"), ("developer", "system"), ("user", "user"), ("assistant", "assistant")],
    )
    def test_channel_of_a_role(self, role: str, channel: str) -> None:
        segment = only({"role": role, "content": "hi"})
        assert (segment.text, segment.channel, segment.kind, segment.pointer) == (
            "hi",
            channel,
            "text",
            "/messages/0/content",
        )

    @pytest.mark.parametrize(
        "message", [{"role": "tool", "content": "r"}, {"role": "function", "content": "r", "name": "f"}]
    )
    def test_results(self, message: dict[str, Any]) -> None:
        segment = only(message)
        assert (segment.channel, segment.kind, segment.name) == ("tool", "tool_result", message.get("name"))

    @pytest.mark.parametrize("role", [None, 7, "critic", ["user"], {}])
    def test_unknown_role_is_read_as_the_user_and_noted(self, role: Any) -> None:
        prompt = parse({"messages": [{"role": role, "content": "hi"}]})
        assert prompt.segments[0].channel == "user"
        assert prompt.notes == ("unknown_role",)

    @pytest.mark.parametrize("content", [None, "", [], "absent"])
    def test_no_content(self, content: Any) -> None:
        message = {"role": "user"} if content == "absent" else {"role": "user", "content": content}
        prompt = parse({"messages": [message]})
        assert (prompt.segments, prompt.notes, prompt.blobs) == ((), (), 0)

    def test_parts(self) -> None:
        content = [
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "file", "file": {"file_data": "AAAA", "filename": "x.pdf"}},
            {"type": "text", "text": "b"},
            "bare",
            {"text": "untyped"},
        ]
        body = {"messages": [{"role": "user", "content": content}]}
        prompt = parse(body)
        assert texts(prompt) == {
            "/messages/0/content/0/text": "a",
            "/messages/0/content/4/text": "b",
            "/messages/0/content/5": "bare",
            "/messages/0/content/6/text": "untyped",
        }
        assert (prompt.blobs, prompt.notes) == (3, ())
        assert_pointers(body, prompt.segments)

    def test_assistant_parts(self) -> None:
        content = [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True},
            {"type": "thinking", "thinking": "hm too"},
            {"type": "refusal", "refusal": "no"},
            {"type": "reference", "reference_ids": [1]},
            {"type": "text", "text": "yes"},
        ]
        body = {"messages": [{"role": "assistant", "content": content}]}
        prompt = parse(body)
        assert [(s.text, s.kind) for s in prompt.segments] == [
            ("hm", "reasoning"),
            ("hm too", "reasoning"),
            ("no", "refusal"),
            ("yes", "text"),
        ]
        assert prompt.notes == ()
        assert_pointers(body, prompt.segments)

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "novelty", "inner": {"deep": "secret"}},
            {"type": "text", "text": {"value": "secret"}},
            {"x": "secret"},
        ],
    )
    def test_an_unknown_part_is_noted_and_its_text_is_read_all_the_same(self, part: dict[str, Any]) -> None:
        body = {"messages": [{"role": "user", "content": [part]}]}
        prompt = parse(body)
        assert [s.text for s in prompt.segments] == ["secret"]
        assert prompt.notes == ("unknown_part",)
        assert_pointers(body, prompt.segments)

    @pytest.mark.parametrize("content", [7, True, 1.5])
    def test_content_that_is_no_text_is_noted(self, content: Any) -> None:
        assert parse({"messages": [{"role": "user", "content": content}]}).notes == ("unknown_part",)

    def test_a_message_that_is_no_object(self) -> None:
        prompt = parse({"messages": ["hello", None, {"role": "user", "content": "hi"}]})
        assert texts(prompt) == {"/messages/0": "hello", "/messages/2/content": "hi"}
        assert prompt.notes == ("unknown_part",)

    def test_what_the_model_said_before(self) -> None:
        message = {
            "role": "assistant",
            "content": None,
            "reasoning_content": "thought",
            "refusal": "no",
            "audio": {"id": "audio_1"},
            "function_call": {"name": "old", "arguments": '{"a":1}'},
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"b":2}'}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "raw"}},
                {"id": "c3", "type": "function", "function": {"name": "h", "arguments": {"city": "x"}}},
                {"id": "c4", "type": "novelty", "payload": "odd"},
            ],
        }
        results = [{"role": "tool", "tool_call_id": f"c{n}", "content": "r"} for n in (1, 2, 3, 9)]
        body = {"messages": [message, *results]}
        prompt = parse(body)
        place = "/messages/0"
        assert [(s.pointer.removeprefix(place), s.text, s.kind, s.name) for s in prompt.segments[:7]] == [
            ("/reasoning_content", "thought", "reasoning", None),
            ("/refusal", "no", "refusal", None),
            ("/function_call/arguments", '{"a":1}', "tool_call", "old"),
            ("/tool_calls/0/function/arguments", '{"b":2}', "tool_call", "f"),
            ("/tool_calls/1/custom/input", "raw", "tool_call", "g"),
            ("/tool_calls/2/function/arguments", '{"city":"x"}', "tool_call", "h"),
            ("/tool_calls/3/payload", "odd", "tool_call", None),
        ]
        assert {s.channel for s in prompt.segments if s.pointer.startswith(place)} == {"assistant"}
        assert [s.name for s in prompt.segments if s.kind == "tool_result"] == ["f", "g", "h", None]
        assert (prompt.blobs, prompt.notes) == (1, ("unknown_part",))
        assert_pointers(body, prompt.segments)

    def test_a_result_in_parts(self) -> None:
        segment = only({"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "r"}]})
        assert (segment.pointer, segment.kind, segment.channel) == ("/messages/0/content/0/text", "tool_result", "tool")
