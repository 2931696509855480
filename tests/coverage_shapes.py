"""Requests and answers of every endpoint, whole and streamed: between them they have every kind of text it declares."""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmtrace_sdk.providers import (
    anthropic,
    bedrock,
    cohere,
    gemini,
    mcp,
    ollama,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
    replicate,
)
from llmtrace_sdk.typing import Covers, Endpoint, RequestHead, covers_of

if TYPE_CHECKING:
    from collections.abc import Callable

PROVIDER_TESTS = Path(__file__).with_name("providers")
if str(PROVIDER_TESTS) not in sys.path:
    sys.path.insert(0, str(PROVIDER_TESTS))


def _shapes(name: str) -> Any:
    return import_module(name)


Events = list[list[Any]]
"""A streamed answer: name and value of each event; a value that is bytes is sent as it is."""


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Case:
    """One endpoint. `wrap` is what its stream puts around the JSON of an event."""

    provider: Any
    path: str
    requests: list[Any]
    wholes: list[Any]
    streams: list[Events]
    host: str = "127.0.0.1"
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    wrap: Callable[[Any], Any] = _as_it_is

    @property
    def head(self) -> RequestHead:
        """The head of its requests."""
        return RequestHead(self.method, "https", self.host, None, self.path, self.headers)

    @property
    def endpoint(self) -> Endpoint:
        """What the wire format says it is."""
        found: Endpoint | None = self.provider.match(self.head)
        assert found is not None
        return found

    @property
    def covers(self) -> Covers:
        """What the wire format declares about it."""
        found = covers_of(self.provider, self.endpoint)
        assert found is not None
        return found

    @property
    def name(self) -> str:
        """For the names of tests."""
        return self.covers.row(self.provider.name, streamed=False).removesuffix(".whole")

    def data(self, value: Any) -> bytes:
        """An event's payload as its reader gets it."""
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return value.encode()
        return json.dumps(value, separators=(",", ":")).encode()


def _events(values: Any, name: str = "") -> Events:
    return [list(value) if isinstance(value, tuple) else [name, value] for value in values]


def _in_bytes(value: Any) -> Any:
    return {"bytes": base64.b64encode(json.dumps(value).encode()).decode(), "p": "abc"}


_chat = _shapes("openai_chat_shapes")
_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city":"Bern"}'}}
_TOOL = {"type": "function", "function": {"name": "f", "description": "Tells", "parameters": {"type": "object"}}}
CHAT_REQUEST = {
    "model": "gpt-x",
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "hello"}]},
        {"role": "assistant", "content": "So:", "reasoning_content": "hmm", "refusal": "Never", "tool_calls": [_CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
    ],
    "tools": [_TOOL],
    "prediction": {"type": "content", "content": "predicted"},
}
_SAID = {"role": "assistant", "content": "Hello", "reasoning_content": "Thought", "refusal": "Never"}
CHAT_ANSWER = {
    **_chat.ANSWER,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {**_SAID, "tool_calls": [_CALL]}}],
}
CHAT_STREAM = _events([
    *(_chat.chunk({key: _SAID[key]}) for key in ("reasoning_content", "content", "refusal")),
    _chat.chunk({"tool_calls": [{"index": 0, **_CALL}]}),
    _chat.chunk({}, finish="stop"),
    b"[DONE]",
])  # fmt: skip
_COMPLETION = {"id": "cmpl-1", "object": "text_completion", "model": "m"}

_answers = _shapes("test_openai_responses_answers")


def _begun(event: dict[str, Any]) -> dict[str, Any]:
    """An item is empty when it is added."""
    if event["type"] != "response.output_item.added":
        return event
    empty = {key: value for key, value in event["item"].items() if key not in ("tools", "output")}
    return {**event, "item": {**empty, "arguments": ""}}


RESPONSE = _answers.response(
    {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Thought"}]},
    _answers.message("Hello", refusal="Never"),
    _answers.call("f", '{"city":"Bern"}'),
    {"type": "mcp_list_tools", "server_label": "s", "tools": [{"name": "t", "description": "told by the server"}]},
    {"type": "mcp_call", "id": "m", "name": "g", "server_label": "s", "arguments": '{"a":1}', "output": "found"},
)
RESPONSES_STREAM = _events((event["type"], _begun(event)) for event in _answers.stream_of(RESPONSE, [3]))
RESPONSES_REQUEST = {
    "model": "gpt-x",
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": "hello"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hmm"}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "So:"}, {"type": "refusal", "refusal": "Never"}],
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"city":"Bern"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "found"},
    ],
    "tools": [{"type": "function", "name": "f", "description": "Tells", "parameters": {"type": "object"}}],
}

_claude = _shapes("anthropic_messages")
_CLAUDE_BODY = {key: value for key, value in _claude.REQUEST.items() if key not in ("model", "stream")}
_google = _shapes("gemini_shapes")
_cohere, _cohere_v1, _ollama = _shapes("test_cohere"), _shapes("test_cohere_v1"), _shapes("test_ollama")
_converse, _mcp, _replicate = _shapes("test_bedrock"), _shapes("test_mcp"), _shapes("test_replicate")

_OLLAMA_REQUEST = {
    **_ollama.REQUEST,
    "messages": [*_ollama.REQUEST["messages"], {"role": "assistant", "content": "So:"}],
}
_OLLAMA_END = {**_ollama.END, "response": ""}
_GENERATED = {"response": "Hello", "thinking": "Thought"}
_INVOKE_REQUESTS = [{**_CLAUDE_BODY, "anthropic_version": "bedrock-2023-05-31"}, CHAT_REQUEST]
_VERTEX = "/v1/projects/p/locations/l/publishers/google/models/text-embedding-x:predict"
_MCP_REQUESTS = [
    _mcp.CALL,
    _mcp.request("prompts/get", {"name": "p", "arguments": {"topic": "on the topic"}}),
    {"jsonrpc": "2.0", "id": 1, "result": {"role": "assistant", "content": {"type": "text", "text": "said"}}},
]
_EMBEDDED = {"object": "list", "model": "m", "data": [{"embedding": [0.1], "index": 0}]}
_AWS, _COHERE = "bedrock-runtime.us-east-1.amazonaws.com", "api.cohere.com"


_GEMINI_REQUESTS = [_google.REQUEST, {"contents": [{"role": "model", "parts": [{"text": "So:"}]}]}]


def _gemini(method: str, requests: list[Any], wholes: list[Any], streams: list[Events] | None = None) -> Case:
    return Case(gemini.PROVIDER, f"/v1beta/models/gemini-x:{method}", requests, wholes, streams or [])


def _bedrock(method: str, requests: list[Any], wholes: list[Any], streams: list[Events], **more: Any) -> Case:
    return Case(bedrock.PROVIDER, f"/model/some.model/{method}", requests, wholes, streams, _AWS, **more)


CASES = (
    Case(openai_chat.PROVIDER, "/v1/chat/completions", [CHAT_REQUEST], [CHAT_ANSWER], [CHAT_STREAM]),
    Case(
        openai_completions.PROVIDER,
        "/v1/completions",
        [{"model": "m", "prompt": "hello", "suffix": "the end"}],
        [{**_COMPLETION, "choices": [{"index": 0, "text": "Hello", "finish_reason": "stop"}]}],
        [_events([{**_COMPLETION, "choices": [{"index": 0, "text": text}]} for text in ("Hel", "lo")] + [b"[DONE]"])],
    ),
    Case(
        openai_embeddings.PROVIDER,
        "/v1/embeddings",
        [
            {"model": "m", "input": ["hello"]},
            {"model": "m", "messages": [{"role": role, "content": role} for role in ("system", "user", "assistant")]},
        ],
        [_EMBEDDED],
        [],
    ),
    Case(openai_responses.PROVIDER, "/v1/responses", [RESPONSES_REQUEST], [RESPONSE], [RESPONSES_STREAM]),
    Case(
        openai_responses.PROVIDER, "/v1/responses/resp_1", [None], [RESPONSE], [RESPONSES_STREAM], method="GET"
    ),
    Case(
        anthropic.PROVIDER, "/v1/messages", [_claude.REQUEST], [_claude.MESSAGE], [_events(_claude.streamed(99))]
    ),
    _gemini("generateContent", _GEMINI_REQUESTS, [_google.ANSWER]),
    _gemini(
        "streamGenerateContent", _GEMINI_REQUESTS, [[_google.ANSWER]], [_events(_google.streamed(99))]
    ),
    _gemini("embedContent", [{"content": {"parts": [{"text": "hello"}]}}], [{"embedding": {"values": [0.1]}}]),
    _gemini(
        "batchEmbedContents",
        [{"requests": [{"content": {"parts": [{"text": "hello"}]}}]}],
        [{"embeddings": [{"values": [0.1]}]}],
    ),
    Case(
        gemini.PROVIDER, _VERTEX, [{"instances": [{"content": "hello"}]}], [{"predictions": [{"embeddings": {}}]}], []
    ),
    Case(cohere.PROVIDER, "/v2/chat", [_cohere.REQUEST], [_cohere.ANSWER], [_events(_cohere.streamed(99))]),
    Case(
        cohere.PROVIDER,
        "/v1/chat",
        [_cohere_v1.REQUEST],
        [_cohere_v1.ANSWER],
        [_events(_cohere_v1.streamed(99, chunked=True))],
        _COHERE,
    ),
    Case(cohere.PROVIDER, "/v2/embed", [{"model": "m", "texts": ["hello"]}], [{"id": "e", "embeddings": {}}], []),
    Case(
        ollama.PROVIDER,
        "/api/chat",
        [_OLLAMA_REQUEST],
        [{**_ollama.END, "message": _ollama.MESSAGE}],
        [_events(_ollama.streamed(99))],
    ),
    Case(
        ollama.PROVIDER,
        "/api/generate",
        [{"model": "m", "prompt": "hello", "suffix": "the end", "system": "Be brief."}],
        [{**_ollama.END, **_GENERATED}],
        [_events([{"model": "m", "done": False, key: text} for key, text in _GENERATED.items()] + [_OLLAMA_END])],
    ),
    Case(ollama.PROVIDER, "/api/embed", [{"model": "m", "input": ["hello"]}], [{"model": "m", "embeddings": []}], []),
    Case(ollama.PROVIDER, "/api/embeddings", [{"model": "m", "prompt": "hello"}], [{"embedding": []}], []),
    _bedrock("converse", [_converse.REQUEST], [{
        **_converse.ANSWER,
        "output": {"message": {"content": [
            *_converse.ANSWER["output"]["message"]["content"], {"toolResult": {"content": [{"text": "found"}]}}
        ]}},
    }], []),
    _bedrock("converse-stream", [_converse.REQUEST], [{"message": "no"}], [[
        *_events(_converse.streamed(99))[:-2],
        ["contentBlockDelta", {"contentBlockIndex": 3, "delta": {"toolResult": [{"text": "found"}]}}],
        *_events(_converse.streamed(99))[-2:],
    ]]),
    _bedrock("invoke", _INVOKE_REQUESTS, [_claude.MESSAGE, CHAT_ANSWER], []),
    _bedrock(
        "invoke-with-response-stream",
        _INVOKE_REQUESTS,
        [{"message": "no"}],
        [_events((value for _, value in _claude.streamed(99)), "chunk"), [["chunk", v] for _, v in CHAT_STREAM[:-1]]],
        wrap=_in_bytes,
    ),
    Case(
        mcp.PROVIDER,
        "/mcp",
        _MCP_REQUESTS,
        [_mcp.RESULT, _mcp.TOOLS],
        [[["message", _mcp.PROGRESS], ["message", value]] for value in (_mcp.RESULT, _mcp.TOOLS)],
        headers={"accept": _mcp.BOTH},
    ),
    Case(replicate.PROVIDER, "/v1/predictions", [_replicate.REQUEST], [_replicate.PREDICTION], []),
    Case(
        replicate.PROVIDER,
        "/v1/predictions/p-1",
        [None],
        [_replicate.PREDICTION],
        [],
        method="GET",
    ),
    Case(
        replicate.PROVIDER,
        "/v1/files/p-1",
        [None],
        [],
        [[["output", "Hello"], ["output", " there"], ["done", {}]]],
        host="stream.replicate.com",
        method="GET",
    ),
)  # fmt: skip
