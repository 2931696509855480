from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_formats import (
    BLOCKED,
    JSON,
    as_event,
    assert_parses_or_refuses,
    assert_pointers,
    assert_reads_or_refuses,
    head,
    matched,
    mutated,
    read_stream,
    read_whole,
    rows,
    told,
)

from llmtrace_sdk.core.model import Prompt
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers.mcp import PROVIDER
from llmtrace_sdk.typing import Endpoint

BOTH = "application/json, text/event-stream"
ENDPOINT = matched(PROVIDER, "/mcp", headers={"accept": BOTH})
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


def request(method: str, params: Any = None, label: int = 3) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": label, "method": method, "params": {**(params or {}), "_meta": META}}


def answer(result: Any, label: int = 3) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": label, "result": {**result, "resultType": "complete", "_meta": META}}


CALL = request("tools/call", {"name": "add", "arguments": {"a": 1, "note": "two"}})
RESULT = answer(
    {
        "content": [
            {"type": "text", "text": "three"},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "demo://a", "text": "inside"}},
            {"type": "resource", "resource": {"uri": "demo://b", "blob": "AAAA"}},
            {"type": "resource_link", "uri": "demo://c", "name": "C", "description": "about"},
        ],
        "structuredContent": {"result": "3 as data"},
        "isError": False,
    }
)
TOOLS = answer(
    {
        "tools": [
            {
                "name": "add",
                "title": "Adder",
                "description": "Adds numbers",
                "inputSchema": {"type": "object"},
                "outputSchema": {"type": "string"},
            },
            {"name": "bare", "inputSchema": {}},
        ]
    }
)
PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "message": "working"}}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/mcp", {"accept": BOTH}),
        ("/relay/x/mcp", {"accept": "text/event-stream, application/json;q=0.5"}),
        ("/anything", {"mcp-protocol-version": "2025-06-18"}),
        ("/", {"Mcp-Session-Id": "abc"}),
    ],
)
def test_match(path: str, headers: dict[str, str]) -> None:
    assert matched(PROVIDER, path, headers=headers) == Endpoint("mcp", "execute_tool", "mcp")


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/mcp", {"accept": "text/event-stream", "mcp-session-id": "abc"}),
        ("DELETE", "/mcp", {"mcp-session-id": "abc"}),
        ("POST", "/mcp", {"accept": "application/json"}),
        ("POST", "/tools", {"accept": BOTH}),
        ("POST", "/v1/chat/completions", {"accept": BOTH}),
    ],
)
def test_no_match(method: str, path: str, headers: dict[str, str]) -> None:
    assert PROVIDER.match(head(path, method, headers=headers)) is None


@pytest.mark.parametrize(
    ("body", "found", "tools"),
    [
        (CALL, [("/params/arguments", '{"a":1,"note":"two"}', "assistant", "tool_call", "add")], ("add",)),
        (request("tools/call", {"name": "ping"}), [], ("ping",)),
        (
            request("prompts/get", {"name": "p", "arguments": {"topic": "t"}}),
            [("/params/arguments/topic", "t", "user", "text", None)],
            (),
        ),
        (
            request("completion/complete", {"ref": {}, "argument": {"name": "n", "value": "v"}}),
            [("/params/argument/value", "v", "user", "text", None)],
            (),
        ),
        (
            {"jsonrpc": "2.0", "id": 1, "result": {"role": "assistant", "content": {"type": "text", "text": "said"}}},
            [("/result/content/text", "said", "assistant", "text", None)],
            (),
        ),
        (
            {"jsonrpc": "2.0", "id": 1, "result": {"action": "accept", "content": {"name": "Ann"}}},
            [("/result/content/name", "Ann", "user", "text", None)],
            (),
        ),
        (
            request(
                "tools/call", {"name": "f", "inputResponses": {"a/b": {"action": "accept", "content": {"n": "x"}}}}
            ),
            [("/params/inputResponses/a~1b/content/n", "x", "user", "text", None)],
            ("f",),
        ),
        (
            [PROGRESS, CALL],
            [("/1/params/arguments", '{"a":1,"note":"two"}', "assistant", "tool_call", "add")],
            ("add",),
        ),
    ],
)
def test_requests(body: Any, found: list[Any], tools: tuple[str, ...]) -> None:
    prompt = PROVIDER.parse_request(ENDPOINT, body)
    assert rows(prompt) == found
    assert_pointers(body, prompt.segments)
    assert (prompt.tools, prompt.notes) == (tools, ())


@pytest.mark.parametrize(
    "body",
    [
        request("initialize", {"protocolVersion": "2025-06-18", "clientInfo": {"name": "mcp"}}),
        request("server/discover"),
        request("tools/list"),
        request("resources/read", {"uri": "demo://x"}),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
    ],
)
def test_handshakes_have_no_segments(body: Any) -> None:
    assert PROVIDER.parse_request(ENDPOINT, body) == Prompt()


@pytest.mark.parametrize("body", [None, 3, "x", {}, {"method": "tools/call"}, [3]])
def test_unknown_shape(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.parse_request(ENDPOINT, body)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            RESULT,
            [
                ("/result/content/0/text", "three", "tool_result", None),
                ("/result/content/2/resource/text", "inside", "tool_result", None),
                ("/result/content/4", "demo://c\nC\nabout", "tool_result", None),
                ("/result/structuredContent", "3 as data", "tool_result", None),
            ],
        ),
        (
            TOOLS,
            [
                (
                    "/result/tools/0",
                    'Adder\nAdds numbers\n{"inputSchema":{"type":"object"},"outputSchema":{"type":"string"}}',
                    "tool_definition",
                    "add",
                ),
                ("/result/tools/1", "", "tool_definition", "bare"),
            ],
        ),
        (
            answer({"contents": [{"uri": "demo://x", "text": "resource text"}, {"uri": "demo://y", "blob": "AAAA"}]}),
            [
                ("/result/contents/0/text", "resource text", "tool_result", None),
                ("/result/contents/1", "demo://y", "tool_result", None),
            ],
        ),
        (
            answer({"messages": [{"role": "user", "content": {"type": "text", "text": "write"}}]}),
            [("/result/messages/0/content/text", "write", "tool_result", None)],
        ),
        (
            answer({"prompts": [{"name": "p", "description": "d"}], "resources": [{"uri": "u", "description": "e"}]}),
            [
                ("/result/prompts/0", "d", "tool_definition", "p"),
                ("/result/resources/0", "e", "tool_definition", "u"),
            ],
        ),
        (
            answer({"serverInfo": {"name": "s"}, "instructions": "Use me for all."}),
            [("/result/instructions", "Use me for all.", "tool_definition", None)],
        ),
        (
            answer({"inputRequests": {"k": {"method": "elicitation/create", "params": {"message": "Your name?"}}}}),
            [("/result/inputRequests/k/params/message", "Your name?", "tool_result", None)],
        ),
        (
            [PROGRESS, answer({"content": [{"type": "text", "text": "in a batch"}]})],
            [("/1/result/content/0/text", "in a batch", "tool_result", None)],
        ),
    ],
)
def test_answers_whole_and_streamed(body: Any, found: list[Any]) -> None:
    whole, whole_segments = read_whole(PROVIDER, ENDPOINT, body)
    reader, segments = read_stream(PROVIDER, ENDPOINT, [("message", PROGRESS), ("message", body)])
    assert [(s.pointer, s.text, s.kind, s.name) for s in whole_segments] == found
    assert segments == whole_segments
    assert told(reader) == told(whole)
    assert (whole.error_type, whole.done) == (None, True)


def test_what_a_server_asks_before_it_answers() -> None:
    asked = request(
        "sampling/createMessage",
        {"systemPrompt": "You are", "messages": [{"role": "user", "content": [{"type": "text", "text": "please"}]}]},
    )
    events = [("message", asked), ("message", answer({"content": [{"type": "text", "text": "done"}]}))]
    reader, segments = read_stream(PROVIDER, ENDPOINT, events[:1])
    assert not reader.done
    _, segments = read_stream(PROVIDER, ENDPOINT, events)
    assert [(s.pointer, s.text) for s in segments] == [
        ("/params/systemPrompt", "You are"),
        ("/params/messages/0/content/0/text", "please"),
        ("/result/content/0/text", "done"),
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (answer({"content": [{"type": "text", "text": "secret"}], "isError": True}), "tool_error"),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "secret"}}, "-32602"),
        ({"error": "invalid_token", "error_description": "secret"}, "invalid_token"),
        ({"jsonrpc": "2.0", "id": 1, "error": {"message": "secret"}}, "_OTHER"),
    ],
)
def test_errors_give_codes_never_messages(body: Any, code: str) -> None:
    whole, _ = read_whole(PROVIDER, ENDPOINT, body)
    reader, _ = read_stream(PROVIDER, ENDPOINT, [("message", body)])
    assert (whole.error_type, reader.error_type, reader.done) == (code, code, True)


def test_refusal() -> None:
    assert json.loads(PROVIDER.refusal(ENDPOINT, BLOCKED, 400)) == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {
            "code": -32001,
            "message": "Blocked by llmtrace policy: prompt_injection.high (decision 0190-abcd)",
            "data": {"code": "llmtrace_blocked"},
        },
    }


@pytest.mark.parametrize("body", [None, 3, "x", {}, {"choices": []}])
def test_unknown_answer(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.reader(ENDPOINT).body(body)


@given(JSON | mutated(CALL, [CALL], request("prompts/get", {"arguments": {"a": "b"}, "inputResponses": {"k": {}}})))
def test_hostile_requests(payload: Any) -> None:
    assert_parses_or_refuses(PROVIDER, ENDPOINT, payload)


@given(JSON | mutated(RESULT, TOOLS, [RESULT]))
def test_hostile_answers(payload: Any) -> None:
    reader = PROVIDER.reader(ENDPOINT)
    assert_reads_or_refuses(lambda: reader.body(payload), reader)


@given(st.lists(st.binary(max_size=20) | (JSON | mutated(RESULT, TOOLS, PROGRESS)).map(as_event), max_size=4))
def test_hostile_events(events: list[bytes]) -> None:
    reader = PROVIDER.reader(ENDPOINT)
    for data in events:
        assert_reads_or_refuses(lambda data=data: reader.event("message", data), reader)  # type: ignore[misc]
