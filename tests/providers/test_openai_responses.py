from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_answers import ANY, JSON, OBJECTS, assert_pointers, head, read_whole, real_request, repeatable, texts
from pydantic import BaseModel
from wire_formats import assert_parses_or_refuses

from llmtrace_sdk.core.model import Prompt, Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._openai_items import _PLACES
from llmtrace_sdk.providers.openai_responses import PROVIDER

ANSWER = {"id": "resp_1", "object": "response", "model": "m", "status": "completed", "output": []}


def parse(body: Any) -> Any:
    return PROVIDER.parse_request(ANY, body)


def items(*values: Any) -> Any:
    body = {"model": "m", "input": list(values)}
    prompt = parse(body)
    assert_pointers(body, prompt.segments)
    return prompt


class TestMatch:
    @pytest.mark.parametrize(
        ("path", "host", "provider"),
        [
            ("/v1/responses", "api.openai.com", "openai"),
            ("/openai/responses", "r.openai.azure.com", "azure.ai.openai"),
            ("/openai/v1/responses", "r.services.ai.azure.com", "azure.ai.openai"),
            ("/api/v1/responses", "openrouter.ai", "openrouter"),
            ("/responses", "localhost", "openai"),
        ],
    )
    def test_create(self, path: str, host: str, provider: str) -> None:
        endpoint = PROVIDER.match(head(path, host=host))
        assert endpoint is not None
        assert (endpoint.provider, endpoint.operation, endpoint.api) == (provider, "chat", "responses")

    @pytest.mark.parametrize(
        ("path", "host"),
        [
            ("/v1/responses/resp_123", "api.openai.com"),
            ("/v1/responses/resp_123", "unknown.example"),
            ("/v1/responses/5f0c", "api.x.ai"),
        ],
    )
    def test_fetch(self, path: str, host: str) -> None:
        endpoint = PROVIDER.match(head(path, "GET", host=host))
        assert endpoint is not None
        assert (endpoint.operation, endpoint.api) == ("fetch_response", "responses")
        assert PROVIDER.parse_request(endpoint, None) == Prompt()

    @pytest.mark.parametrize(
        ("path", "method", "host"),
        [
            ("/v1/responses", "GET", "api.openai.com"),
            ("/v1/responses/resp_1", "POST", "api.openai.com"),
            ("/v1/responses/resp_1", "DELETE", "api.openai.com"),
            ("/v1/responses/resp_1/cancel", "POST", "api.openai.com"),
            ("/v1/responses/resp_1/input_items", "GET", "api.openai.com"),
            ("/v1/responses/", "GET", "api.openai.com"),
            ("/surveys/9/responses/41", "GET", "forms.example.com"),
            ("/v1/files/abc", "GET", "api.openai.com"),
        ],
    )
    def test_no_match(self, path: str, method: str, host: str) -> None:
        assert PROVIDER.match(head(path, method, host)) is None


class TestInput:
    def test_strings(self) -> None:
        prompt = parse({"model": "m", "instructions": "be kind", "input": "hi"})
        assert texts(prompt) == {"/instructions": "be kind", "/input": "hi"}
        assert [s.channel for s in prompt.segments] == ["system", "user"]

    def test_messages(self) -> None:
        prompt = items(
            {"role": "developer", "content": "d"},
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "u"}, {"type": "input_image"}],
            },
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
            },
            {"role": "user", "content": [{"type": "input_file", "file_data": "AA"}, {"type": "input_audio"}]},
            "bare",
        )
        assert [(s.pointer, s.text, s.channel, s.kind) for s in prompt.segments] == [
            ("/input/0/content", "d", "system", "text"),
            ("/input/1/content/0/text", "u", "user", "text"),
            ("/input/2/content/0/text", "a", "assistant", "text"),
            ("/input/2/content/1/refusal", "no", "assistant", "refusal"),
            ("/input/4", "bare", "user", "text"),
        ]
        assert (prompt.blobs, prompt.notes) == (3, ())

    def test_calls_and_results(self) -> None:
        prompt = items(
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "r1"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "raw"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "r2"}]},
            {"type": "function_call_output", "call_id": "lost", "output": [{"type": "input_image"}]},
            {
                "type": "mcp_call",
                "name": "h",
                "server_label": "s",
                "arguments": '{"q":1}',
                "output": "r3",
                "error": None,
            },
        )
        assert [(s.pointer, s.text, s.channel, s.kind, s.name) for s in prompt.segments] == [
            ("/input/0/arguments", "{}", "assistant", "tool_call", "f"),
            ("/input/1/output", "r1", "tool", "tool_result", "f"),
            ("/input/2/input", "raw", "assistant", "tool_call", "g"),
            ("/input/3/output/0/text", "r2", "tool", "tool_result", "g"),
            ("/input/5/arguments", '{"q":1}', "assistant", "tool_call", "h"),
            ("/input/5/output", "r3", "tool", "tool_result", "h"),
        ]
        assert (prompt.blobs, prompt.notes) == (1, ())

    @pytest.mark.parametrize(
        ("item", "found", "name", "blobs"),
        [
            ({"type": "shell_call", "action": {"commands": ["ls", "pwd"]}}, ["ls", "pwd"], "shell", 0),
            ({"type": "shell_call_output", "output": [{"stdout": "a", "stderr": "b"}]}, ["a", "b"], "shell", 0),
            ({"type": "local_shell_call", "action": {"command": ["ls", "-l"]}}, ['["ls","-l"]'], "local_shell", 0),
            ({"type": "local_shell_call_output", "output": "o"}, ["o"], "local_shell", 0),
            ({"type": "apply_patch_call", "operation": {"diff": "+x", "path": "p"}}, ["+x", "p"], "apply_patch", 0),
            ({"type": "apply_patch_call_output", "output": "ok"}, ["ok"], "apply_patch", 0),
            (
                {"type": "computer_call", "action": {"type": "type", "text": "t"}},
                ['{"type":"type","text":"t"}'],
                "computer",
                0,
            ),
            ({"type": "computer_call_output", "output": {"type": "computer_screenshot"}}, [], None, 1),
            ({"type": "web_search_call", "action": {"query": "q"}}, ['{"query":"q"}'], "web_search", 0),
            ({"type": "file_search_call", "queries": ["q"], "results": [{"text": "t"}]}, ["q", "t"], "file_search", 0),
            (
                {
                    "type": "code_interpreter_call",
                    "code": "1+1",
                    "outputs": [{"type": "logs", "logs": "2"}, {"type": "image"}],
                },
                ["1+1", "2"],
                "code_interpreter",
                1,
            ),
            (
                {"type": "image_generation_call", "result": "AA", "revised_prompt": "cat"},
                ["cat"],
                "image_generation",
                1,
            ),
            ({"type": "tool_search_call", "arguments": {"q": "x"}}, ['{"q":"x"}'], "tool_search", 0),
            ({"type": "program", "code": "c"}, ["c"], "program", 0),
            ({"type": "program_output", "result": "r"}, ["r"], "program", 0),
            ({"type": "mcp_approval_request", "name": "h", "arguments": "{}"}, ["{}"], "h", 0),
            ({"type": "mcp_approval_response", "approve": False, "reason": "why"}, ["why"], None, 0),
            ({"type": "reasoning", "summary": [{"text": "s"}], "content": [{"text": "c"}]}, ["s", "c"], None, 0),
            ({"type": "reasoning", "summary": [], "encrypted_content": "zzz"}, [], None, 0),
            ({"type": "compaction", "encrypted_content": "zzz"}, [], None, 1),
            ({"type": "item_reference", "id": "i"}, [], None, 0),
            ({"id": "i"}, [], None, 0),
        ],
    )
    def test_an_item(self, item: dict[str, Any], found: list[str], name: str | None, blobs: int) -> None:
        prompt = items(item)
        assert [s.text for s in prompt.segments] == found
        assert {s.name for s in prompt.segments} <= {name}
        assert (prompt.blobs, prompt.notes) == (blobs, ())

    def test_every_type_of_item_the_client_knows_is_known(self) -> None:
        from openai.types.responses import response_input_item_param, response_output_item

        unions = (response_input_item_param.ResponseInputItemParam, response_output_item.ResponseOutputItem)
        annotated = [kind for union in unions for kind in getattr(union, "__args__", ())]
        members = [inner for kind in annotated for inner in (getattr(kind, "__args__", ()) or (kind,))]
        labels = set()
        for member in members:
            hint = member.__annotations__.get("type")
            text = getattr(hint, "__forward_arg__", str(hint))
            labels.update(word for word in text.replace("'", '"').split('"') if word.islower() and "_" in word)
        assert len(labels) > 20
        assert labels <= _PLACES.keys()

    @pytest.mark.parametrize("kind", ["novelty", "novel_call", "novel_call_output"])
    def test_an_unknown_item_is_noted_and_read_all_the_same(self, kind: str) -> None:
        prompt = items({"type": kind, "id": "i", "payload": {"deep": "secret"}})
        assert [s.text for s in prompt.segments] == ["secret"]
        assert prompt.notes == ("unknown_part",)

    @pytest.mark.parametrize("value", [7, None, ["x"]])
    def test_an_item_that_is_no_object(self, value: Any) -> None:
        assert items(value).notes == (() if value is None else ("unknown_part",))

    def test_stored_prompt(self) -> None:
        variables = {"city/~": "x", "doc": {"type": "input_text", "text": "y"}, "pic": {"type": "input_image"}}
        body = {"prompt": {"id": "pmpt_1", "version": "2", "variables": variables}}
        prompt = parse(body)
        assert texts(prompt) == {"/prompt/variables/city~1~0": "x", "/prompt/variables/doc/text": "y"}
        assert {s.channel for s in prompt.segments} == {"user"}
        assert prompt.blobs == 1
        assert_pointers(body, prompt.segments)


class TestRequest:
    def test_tools(self) -> None:
        server = {"type": "mcp", "server_label": "s", "server_url": "https://mcp.example", "server_description": "does"}
        secret = {"authorization": "sk-secret", "headers": {"x-key": "sk-secret"}}
        inner = {"type": "function", "name": "inner", "description": "i", "parameters": {"type": "object"}}
        body = {
            "input": "x",
            "tools": [
                {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
                {**server, **secret, "allowed_tools": ["a"]},
                {"type": "web_search"},
                {"type": "custom", "name": "c", "description": "cd", "format": {"type": "text"}},
                {"type": "namespace", "name": "n", "description": "nd", "tools": [inner]},
            ],
        }
        prompt = parse(body)
        assert prompt.tools == ("f", "s", "web_search", "c", "n", "inner")
        assert {s.pointer: s.text for s in prompt.segments if s.kind == "tool_definition"} == {
            "/tools/0": 'd\n{"type":"object"}',
            "/tools/1": 'does\n{"server_url":"https://mcp.example","allowed_tools":["a"]}',
            "/tools/3": 'cd\n{"format":{"type":"text"}}',
            "/tools/4": "nd",
            "/tools/4/tools/0": 'i\n{"type":"object"}',
        }
        assert not any("sk-secret" in s.text for s in prompt.segments)

    def test_tools_that_come_as_items(self) -> None:
        tool = {"name": "t", "description": "from the server", "input_schema": {"type": "object"}}
        prompt = items(
            {"type": "mcp_list_tools", "server_label": "s", "tools": [tool]},
            {"type": "additional_tools", "tools": [tool]},
        )
        assert [(s.pointer, s.kind, s.name) for s in prompt.segments] == [
            ("/input/0/tools/0", "tool_definition", "t"),
            ("/input/1/tools/0", "tool_definition", "t"),
        ]
        assert prompt.tools == ("t", "t")

    @pytest.mark.parametrize(
        ("conversation", "found"),
        [("conv_1", "conv_1"), ({"id": "conv_1"}, "conv_1"), (None, None), ({}, None), (7, None)],
    )
    def test_settings(self, conversation: Any, found: str | None) -> None:
        body = {
            "model": "m",
            "input": "x",
            "stream": True,
            "max_output_tokens": 9,
            "temperature": 0.5,
            "reasoning": {"effort": "high", "summary": "auto"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
            "previous_response_id": "resp_0",
            "conversation": conversation,
            "service_tier": "priority",
        }
        prompt = parse(body)
        assert prompt.stream
        assert prompt.settings == Settings(
            max_tokens=9,
            temperature=0.5,
            reasoning_level="high",
            output_type="json",
            previous_response_id="resp_0",
            conversation_id=found,
            service_tier="priority",
        )

    @pytest.mark.parametrize("body", [None, [], "x", {}, {"model": "m"}, {"input": None}, {"messages": []}])
    def test_unknown_shape(self, body: Any) -> None:
        with pytest.raises(Unreadable) as caught:
            parse(body)
        assert caught.value.reason == "unknown_shape"

    @pytest.mark.parametrize("member", ["previous_response_id", "conversation"])
    def test_going_on_without_input(self, member: str) -> None:
        assert parse({member: "x"}).segments == ()

    @repeatable
    @given(JSON | OBJECTS | st.fixed_dictionaries({"input": st.lists(OBJECTS, max_size=4), "tools": JSON}))
    def test_any_request_is_read_or_unreadable(self, body: Any) -> None:
        assert_parses_or_refuses(PROVIDER, ANY, body)


class Town(BaseModel):
    name: str


class TestRealClient:
    def test_items_tools_and_images(self) -> None:
        conversation: Any = [
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": "x"}],
            },
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "42"},
        ]
        tools: Any = [
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True},
            {"type": "mcp", "server_label": "s", "server_url": "https://mcp.example", "require_approval": "never"},
        ]
        sent, body = real_request(
            lambda client: client.responses.create(
                model="m",
                instructions="be kind",
                input=conversation,
                tools=tools,
                max_output_tokens=4,
                reasoning={"effort": "low"},
            ),
            ANSWER,
        )
        endpoint = PROVIDER.match(sent)
        assert endpoint is not None
        prompt = PROVIDER.parse_request(endpoint, body)
        assert [(s.pointer, s.kind, s.name) for s in prompt.segments] == [
            ("/instructions", "text", None),
            ("/input/0/content/0/text", "text", None),
            ("/input/1/arguments", "tool_call", "f"),
            ("/input/2/output", "tool_result", "f"),
            ("/tools/0", "tool_definition", "f"),
            ("/tools/1", "tool_definition", "s"),
        ]
        assert (prompt.blobs, prompt.settings.max_tokens, prompt.settings.reasoning_level) == (1, 4, "low")

    def test_structured_output(self) -> None:
        _, body = real_request(lambda client: client.responses.parse(model="m", input="hi", text_format=Town), ANSWER)
        assert (parse(body).settings.output_type, texts(parse(body))) == ("json", {"/input": "hi"})

    def test_stored_prompt_and_conversation(self) -> None:
        _, body = real_request(
            lambda client: client.responses.create(
                prompt={"id": "p", "variables": {"who": "you"}}, conversation="conv_1"
            ),
            ANSWER,
        )
        prompt = parse(body)
        assert (texts(prompt), prompt.settings.conversation_id) == ({"/prompt/variables/who": "you"}, "conv_1")

    def test_fetch_and_azure(self) -> None:
        sent, body = real_request(lambda client: client.responses.retrieve("resp_1"), ANSWER)
        endpoint = PROVIDER.match(sent)
        assert endpoint is not None
        assert (endpoint.operation, body) == ("fetch_response", None)
        sent, _ = real_request(
            lambda client: client.responses.create(model="dep", input="hi"),
            ANSWER,
            client=openai.AzureOpenAI,
            azure_endpoint="https://r.openai.azure.com",
            api_version="2026-01-01",
        )
        endpoint = PROVIDER.match(sent)
        assert endpoint is not None
        assert endpoint.provider == "azure.ai.openai"

    def test_an_echoed_answer_is_read(self) -> None:
        reader, _ = read_whole(PROVIDER, json.loads(json.dumps(ANSWER)))
        assert (reader.response_id, reader.model) == ("resp_1", "m")
