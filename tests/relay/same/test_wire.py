"""Wire formats and codings of all kinds through the relay, byte by byte and chunk by chunk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.relay.raw import ask, post

from .ways import check, check_bytes

if TYPE_CHECKING:
    from .ways import Ways

CHAT = {"messages": [{"role": "user", "content": "Where does the ferry leave?"}]}
GEMINI = {"contents": [{"parts": [{"text": "Where does the ferry leave?"}]}]}
BEDROCK = {"messages": [{"role": "user", "content": [{"text": "Where does the ferry leave?"}]}]}
TOOL = {"type": "function", "function": {"name": "ferry", "parameters": {"type": "object", "properties": {}}}}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "gpt-4o", **CHAT}),
    "chat-stream": ("/v1/chat/completions", {"model": "gpt-4o", **CHAT, "stream": True}),
    "tools-stream": ("/v1/chat/completions", {"model": "gpt-4o+tool", **CHAT, "stream": True, "tools": [TOOL]}),
    "completions-stream": ("/v1/completions", {"model": "gpt-4o", "prompt": "Where?", "stream": True}),
    "responses": ("/v1/responses", {"model": "gpt-4o", "input": "Where?"}),
    "responses-stream": ("/v1/responses", {"model": "gpt-4o", "input": "Where?", "stream": True}),
    "messages": ("/v1/messages", {"model": "claude-x", "max_tokens": 50, **CHAT}),
    "messages-stream": ("/v1/messages", {"model": "claude-x", "max_tokens": 50, **CHAT, "stream": True}),
    "gemini": ("/v1beta/models/gemini-2.5-flash:generateContent", GEMINI),
    "gemini-stream": ("/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", GEMINI),
    "gemini-array": ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", GEMINI),
    "ollama-stream": ("/api/chat", {"model": "llama3.2", **CHAT}),
    "cohere-stream": ("/v2/chat", {"model": "command-r", **CHAT, "stream": True}),
    "bedrock": ("/model/anthropic.claude-v2%3A1/converse", BEDROCK),
    "bedrock-stream": ("/model/anthropic.claude-v2%3A1/converse-stream", BEDROCK),
    "embeddings": ("/v1/embeddings", {"model": "e", "input": ["Where?"]}),
    "models": ("/v1/models", {}),
    "nowhere": ("/v1/nowhere", {}),
}
CODINGS = ["", "gzip", "split=7", "crlf,comments", "chunks=40", "reasoning"]


def through(ways: Ways, path: str, body: dict[str, Any], scenario: str) -> None:
    """Make a call, and compare both ends."""
    fields = ("content-type: application/json", "authorization: Bearer sk-a", f"x-fake-scenario: {scenario}")
    got = ask(ways.relay.url, post(path, json.dumps(body).encode(), *fields))
    (sent,) = ways.behind.answers()
    if "huge" in scenario or (ways.mode == "block" and "status" in scenario and body.get("stream")):
        check_bytes(sent, got)
    else:
        check(ways.mode, sent, got)


@pytest.mark.parametrize("name", CALLS)
def test_what_the_upstream_says_is_what_the_client_gets(ways: Ways, name: str) -> None:
    path, body = CALLS[name]
    for scenario in CODINGS:
        through(ways, path, body, scenario)


@pytest.mark.parametrize("coding", ["deflate", "br", "zstd"])
@pytest.mark.parametrize("name", ["chat", "messages", "chat-stream"])
def test_other_codings_are_treated_alike(ways: Ways, name: str, coding: str) -> None:
    path, body = CALLS[name]
    through(ways, path, body, coding)


@pytest.mark.parametrize("status", [400, 401, 404, 409, 429, 500, 503, 529])
@pytest.mark.parametrize("name", ["chat", "messages-stream", "gemini"])
def test_errors_of_the_vendor_are_the_vendors(ways: Ways, name: str, status: int) -> None:
    path, body = CALLS[name]
    through(ways, path, body, f"status={status}")


@pytest.mark.parametrize("fault", ["bad-json", "bad-utf8", "deep=2000", "no-done", "type=text/plain", "huge=300000"])
@pytest.mark.parametrize("name", ["chat", "chat-stream", "messages-stream"])
def test_broken_answers_stay_broken(ways: Ways, name: str, fault: str) -> None:
    path, body = CALLS[name]
    through(ways, path, body, fault)
