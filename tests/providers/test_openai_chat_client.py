from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from openai_answers import (
    ANY,
    Recorder,
    assert_pointers,
    facts,
    read_stream,
    real_request,
    sse,
    texts,
)
from openai_chat_shapes import ANSWER, USAGE, chunk, parse
from pydantic import BaseModel

from llmtrace_sdk.core.model import Decision
from llmtrace_sdk.providers.openai_chat import PROVIDER


class Town(BaseModel):
    name: str
    people: int


class TestRealClient:
    def test_tools_images_and_results(self) -> None:
        messages: Any = [
            {"role": "developer", "content": "be kind"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is this"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ],
            },
            {
                "role": "assistant",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        ]
        tools: Any = [
            {"type": "function", "function": {"name": "look", "description": "looks", "parameters": {"type": "object"}}}
        ]
        sent, body = real_request(
            lambda client: client.chat.completions.create(
                model="gpt-x", messages=messages, tools=tools, max_completion_tokens=5, stop=["\n"], n=2, seed=7
            ),
            ANSWER,
        )
        endpoint = PROVIDER.match(sent)
        assert endpoint is not None
        assert endpoint.provider == "openai"
        prompt = PROVIDER.parse_request(endpoint, body)
        assert [(s.pointer, s.text, s.channel, s.kind, s.name) for s in prompt.segments] == [
            ("/messages/0/content", "be kind", "system", "text", None),
            ("/messages/1/content/0/text", "what is this", "user", "text", None),
            ("/messages/2/tool_calls/0/function/arguments", "{}", "assistant", "tool_call", "look"),
            ("/messages/3/content", "a cat", "tool", "tool_result", "look"),
            ("/tools/0", 'looks\n{"type":"object"}', "system", "tool_definition", "look"),
        ]
        assert (prompt.model, prompt.stream, prompt.blobs, prompt.tools) == ("gpt-x", False, 1, ("look",))
        assert (prompt.settings.max_tokens, prompt.settings.choice_count, prompt.settings.seed) == (5, 2, 7)
        assert_pointers(body, prompt.segments)

    def test_structured_output(self) -> None:
        answer = json.loads(json.dumps(ANSWER))
        answer["choices"][0]["message"]["content"] = '{"name": "x", "people": 1}'
        _, body = real_request(
            lambda client: client.chat.completions.parse(
                model="m", messages=[{"role": "user", "content": "hi"}], response_format=Town
            ),
            answer,
        )
        prompt = parse(body)
        assert (prompt.settings.output_type, texts(prompt)) == ("json", {"/messages/0/content": "hi"})

    def test_azure(self) -> None:
        sent, body = real_request(
            lambda client: client.chat.completions.create(model="dep", messages=[{"role": "user", "content": "hi"}]),
            ANSWER,
            client=openai.AzureOpenAI,
            azure_endpoint="https://r.openai.azure.com",
            api_version="2026-01-01",
        )
        endpoint = PROVIDER.match(sent)
        assert endpoint is not None
        assert (endpoint.provider, endpoint.model) == ("azure.ai.openai", "dep")
        assert PROVIDER.parse_request(endpoint, body).model == "dep"

    def test_the_client_and_we_read_one_stream_alike(self) -> None:
        events = [
            chunk({"role": "assistant", "content": ""}),
            *[chunk({"content": piece}) for piece in ("The ", "weather", ": ")],
            chunk(
                {
                    "tool_calls": [
                        {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
                    ]
                }
            ),
            *[chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in ('{"a"', ":1}")],
            chunk({}, finish="tool_calls"),
            {**chunk(None), "choices": [], "usage": USAGE},
        ]
        recorder = Recorder(sse(events), "text/event-stream")
        with httpx2.Client(transport=httpx2.MockTransport(recorder)) as http:
            client = openai.OpenAI(api_key="test", http_client=http)
            with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "hi"}]) as stream:
                final = stream.get_final_completion()
        assert parse(json.loads(recorder.requests[0].content)).stream
        reader, segments = read_stream(PROVIDER, events)
        message = final.choices[0].message
        assert message.tool_calls is not None
        function: Any = message.tool_calls[0]
        assert [s.text for s in segments] == [message.content, function.function.arguments]
        assert segments[1].name == function.function.name
        assert facts(reader)[:3] == (final.model, final.id, [final.choices[0].finish_reason])

    def test_the_client_raises_its_own_error_for_a_refusal(self) -> None:
        decision = Decision(id="d-1", action="block", verdict="block", reason="prompt_injection.high")
        recorder = Recorder(PROVIDER.refusal(ANY, decision, 403), status=403)
        with httpx2.Client(transport=httpx2.MockTransport(recorder)) as http:
            client = openai.OpenAI(api_key="test", http_client=http)
            with pytest.raises(openai.PermissionDeniedError) as caught:
                client.chat.completions.create(model="m", messages=[{"role": "user", "content": "my secret"}])
        assert len(recorder.requests) == 1
        error = caught.value
        assert (error.code, error.type, error.param) == ("llmtrace_blocked", "invalid_request_error", None)
        assert "prompt_injection.high" in error.message
        assert "d-1" in error.message
        assert "secret" not in error.message
