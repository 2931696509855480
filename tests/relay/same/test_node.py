"""The vendors' SDKs for Node through the relay: the bytes, chunks and results that they have without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .ways import check

if TYPE_CHECKING:
    from tests.relay.clients.node import Node

    from .ways import Ways

SAID = [{"role": "user", "content": "Where does the ferry leave?"}]
FERRY = {"type": "object", "properties": {"pier": {"type": "string"}}}
CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": SAID}
TOOLS = {**CHAT, "model": "gpt-4o-mini+tool", "tools": [{"type": "function", "function": {"name": "ferry"}}]}
ANSWER = {"model": "gpt-4o-mini", "input": "Where does the ferry leave?"}
MESSAGES: dict[str, Any] = {"model": "claude-x", "max_tokens": 100, "messages": SAID}
CLAUDE_TOOLS = {**MESSAGES, "model": "claude-x+tool", "tools": [{"name": "ferry", "input_schema": FERRY}]}
STREAM = {"stream": True}
CALLS = {
    "chat": ("openai", "chat", CHAT),
    "chat-stream": ("openai", "chat", CHAT | STREAM),
    "chat-stream-usage": ("openai", "chat", CHAT | STREAM | {"stream_options": {"include_usage": True}}),
    "tools": ("openai", "chat", TOOLS),
    "tools-stream": ("openai", "chat", TOOLS | STREAM),
    "responses": ("openai", "responses", ANSWER),
    "responses-stream": ("openai", "responses", ANSWER | STREAM),
    "messages": ("anthropic", "messages", MESSAGES),
    "messages-stream": ("anthropic", "messages", MESSAGES | STREAM),
    "messages-helped": ("anthropic", "helped", MESSAGES),
    "claude-tools": ("anthropic", "messages", CLAUDE_TOOLS),
    "claude-tools-stream": ("anthropic", "messages", CLAUDE_TOOLS | STREAM),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_node_sdk_gets_what_it_gets_without(ways: Ways, node: Node, name: str) -> None:
    client, call, body = CALLS[name]
    for scenario in ({}, {"x-fake-scenario": "gzip"}, {"x-fake-scenario": "split=11"}):
        expected = node.call(client, ways.provider.url, call, body, headers=scenario)
        got = node.call(client, ways.url, call, body, headers=scenario)
        assert expected["finish"]
        assert {**got, "headers": None} == {**expected, "headers": None}
        sent, came = ways.behind.answers(), ways.before.answers()
        assert sent
        for one, other in zip(sent, came, strict=True):
            check(ways.mode, one, other)


@pytest.mark.parametrize("status", [400, 401, 404, 422])
@pytest.mark.parametrize("name", ["chat", "messages"])
def test_an_error_of_the_vendor_is_the_one_that_the_sdk_knows(ways: Ways, node: Node, name: str, status: int) -> None:
    client, call, body = CALLS[name]
    scenario = {"x-fake-scenario": f"status={status}"}
    expected = node.call(client, ways.provider.url, call, body, headers=scenario)["error"]
    got = node.call(client, ways.url, call, body, headers=scenario)["error"]
    assert got["status"] == status
    assert {**got, "headers": None} == {**expected, "headers": None}
    assert len(ways.behind.answers()) == len(ways.before.answers())
