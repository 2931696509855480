"""The streams that are stopped: every wire format that has them."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.endings_rig import AWS, NDJSON, Shape

HELLO: Final[list[dict[str, Any]]] = [{"role": "user", "content": "hello"}]
ASKED: Final = {"model": "{model}", "stream": True, "messages": HELLO}
CHAT: Final = Shape("chat", "/v1/chat/completions", ASKED)
TWO: Final = CHAT._replace(name="chat of two", scenario="plain,tool,n=2,chunks=2,usage=on")
SAID: Final = CHAT._replace(name="chat without tools", scenario="plain,chunks=3,usage=on")
COMPLETIONS: Final = Shape("completions", "/v1/completions", {"model": "{model}", "stream": True, "prompt": "hello"})
RESPONSES: Final = Shape("responses", "/v1/responses", {"model": "{model}", "stream": True, "input": "hello"})
MESSAGES: Final = Shape("messages", "/v1/messages", ASKED | {"max_tokens": 99})
GEMINI: Final = Shape(
    "gemini",
    "/v1beta/models/{model}:streamGenerateContent",
    {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
    query="?alt=sse",
)
OLLAMA: Final = Shape("ollama", "/api/chat", ASKED, NDJSON)
GENERATE: Final = Shape("ollama generate", "/api/generate", {"model": "{model}", "prompt": "hello"}, NDJSON)
COHERE: Final = Shape("cohere", "/v2/chat", ASKED)
CONVERSED: Final = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
CONVERSE: Final = Shape("converse", "/model/{model}/converse-stream", CONVERSED, AWS)
INVOKE: Final = Shape(
    "invoke claude",
    "/model/{model}/invoke-with-response-stream",
    {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": HELLO},
    AWS,
    model="anthropic.claude",
)
INVOKE_NOVA: Final = INVOKE._replace(
    name="invoke nova", request=CONVERSED | {"inferenceConfig": {}}, model="amazon.nova"
)
MCP: Final = Shape(
    "mcp",
    "/mcp",
    {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "lookup", "arguments": {"query": "x"}}},
    query="?fake=sse",
)


def _line(sort: str, *, last: bool = False, **more: Any) -> bytes:
    return json.dumps({"is_finished": last, "event_type": sort, **more}).encode() + b"\n"


COHERE_V1: Final = Shape(
    "cohere v1",
    "/v1/chat",
    {"model": "command", "stream": True, "message": "hello"},
    NDJSON,
    host="api.cohere.com",
    canned=(
        _line("stream-start", generation_id="g1"),
        _line("text-generation", text="The ferry leaves"),
        _line("text-generation", text=" at nine."),
        _line("stream-end", last=True, finish_reason="COMPLETE", response={"text": "The ferry leaves at nine."}),
    ),
)
REPLICATE: Final = Shape(
    "replicate",
    "/v1/files/some-stream",
    {},
    host="stream.replicate.com",
    canned=(
        b"event: output\nid: 1:0\ndata: The ferry leaves\n\n",
        b"event: output\nid: 2:0\ndata:  at nine.\n\n",
        b"event: done\nid: 3:0\ndata: {}\n\n",
    ),
)
