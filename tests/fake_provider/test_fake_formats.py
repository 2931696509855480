"""Formats that no SDK above reads, and hostile bodies for every endpoint."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from llmtrace_sdk.fake_provider import eventstream, routes
from llmtrace_sdk.fake_provider.answer import TEXTS
from llmtrace_sdk.fake_provider.http1 import Request
from llmtrace_sdk.fake_provider.state import MAX_PATHS, MAX_PREDICTIONS, State

PLAIN = TEXTS["plain"]


def test_gemini_streams_an_array_without_alt_sse(ask: Any) -> None:
    answer = ask("/v1beta/models/gemini-x:streamGenerateContent", {"contents": []})
    chunks = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert "".join(c["candidates"][0]["content"]["parts"][0]["text"] for c in chunks) == PLAIN
    assert "finishReason" in chunks[-1]["candidates"][0]
    assert "finishReason" not in chunks[0]["candidates"][0]


def test_gemini_batch_embedding_and_vertex_predict(ask: Any) -> None:
    batch = ask("/v1beta/models/e:batchEmbedContents", {"requests": [{}, {}]}).json()
    assert len(batch["embeddings"]) == 2
    vertex = ask("/v1/projects/p/locations/l/publishers/google/models/e:predict", {"instances": [{}]}).json()
    assert len(vertex["predictions"][0]["embeddings"]["values"]) == 16


def test_agent_harnesses_and_tags(ask: Any) -> None:
    assert ask("/hub/api/agent-harnesses").json() == {}
    assert ask("/api/tags").json()["models"]


@pytest.mark.parametrize(
    "path",
    ["/chat/completions", "/api/v1/chat/completions", "/inference/v1/chat/completions", "/openai/v1/chat/completions",
     "/models/owner/name/v1/chat/completions", "/v1beta/openai/chat/completions",
     "/v1/projects/p/locations/l/publishers/mistralai/models/m:rawPredict"],
)  # fmt: skip
def test_openai_chat_under_any_prefix(ask: Any, path: str) -> None:
    assert ask(path, {"messages": []}).json()["object"] == "chat.completion"


def test_mcp_notification_session_and_unknown_method(ask: Any) -> None:
    assert ask("/mcp", {"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 202
    opened = ask(
        "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}
    )
    assert opened.json()["result"]["protocolVersion"] == "2025-06-18"
    assert opened.headers["mcp-session-id"]
    assert ask("/mcp", {"jsonrpc": "2.0", "id": 2, "method": "x"}).json()["error"]["code"] == -32601
    assert ask("/mcp", method="DELETE").status == 200


def test_mcp_tool_result_follows_the_scenario(ask: Any) -> None:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "lookup", "arguments": {"query": "a"}},
    }
    assert ask("/mcp", body, "secret").json()["result"]["content"][0]["text"] == TEXTS["secret"]
    assert ask("/mcp", body, "echo").json()["result"]["content"][0]["text"] == "a"
    assert ask("/mcp", body, "refusal").json()["result"]["isError"] is True


def test_eventstream_frame_is_the_known_one() -> None:
    # Lengths and checksums worked out by hand with zlib from the layout in the module's docstring.
    frame = eventstream.frame(b"{}", "chunk")
    assert int.from_bytes(frame[:4], "big") == len(frame)
    assert frame[8:12] == __import__("zlib").crc32(frame[:8]).to_bytes(4, "big")
    assert frame[-4:] == __import__("zlib").crc32(frame[:-4]).to_bytes(4, "big")
    assert frame[12:36] == b"\x0b:event-type\x07\x00\x05chunk\x0d:co"


def hostile(choose: random.Random, depth: int = 0) -> Any:
    """A JSON value of the names that endpoints look for, with values of the wrong kinds."""
    kind = choose.randrange(8 if depth < 4 else 5)
    if kind >= 6:
        names = ("role", "content", "text", "parts", "name", "function", "parameters", "properties", "type", "prompt")
        return {choose.choice(names): hostile(choose, depth + 1) for _ in range(choose.randrange(4))}
    if kind == 5:
        return [hostile(choose, depth + 1) for _ in range(choose.randrange(3))]
    return (None, True, -1, "user", 1e308)[kind]


FIELDS = (
    "messages", "input", "prompt", "contents", "tools", "toolConfig", "n", "stream", "stream_options", "texts",
    "system", "dimensions", "generationConfig", "requests", "instances", "version", "model", "params", "method", "id",
    "arguments",
)  # fmt: skip
PATHS = [end for end, _, _ in routes._ROUTES["POST"]]
PATHS += [f"/models/m:{method}" for method in routes._GOOGLE_METHODS]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("asked", ["", "echo,tool,reasoning", "refusal,parts", "chunks=3,sse,usage=on"])
def test_no_body_makes_an_endpoint_fail(path: str, asked: str) -> None:
    choose = random.Random(path + asked)
    state = State()
    for _ in range(60):
        data = {field: hostile(choose) for field in choose.sample(FIELDS, 6)}
        request = Request("POST", "/model/m" + path, "HTTP/1.1", {"x-fake-scenario": asked})
        request.body = json.dumps(data).encode()
        reply, _ = routes.respond(request, state)
        assert reply.status < 500
        assert all(isinstance(piece, bytes) for piece in reply.events or ())


def test_state_is_bounded() -> None:
    state = State()
    for number in range(2 * MAX_PATHS):
        routes.respond(Request("GET", f"/{number}", "HTTP/1.1", {}), state)
        state.keep_prediction(str(number), None)
    assert len(state.by_path) == MAX_PATHS + 1
    assert sum(state.by_path.values()) == 2 * MAX_PATHS
    assert len(state.predictions) == MAX_PREDICTIONS
