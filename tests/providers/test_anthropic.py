from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from anthropic_messages import MESSAGE, REQUEST, SEGMENTS, streamed
from hypothesis import given
from wire_formats import (
    BLOCKED,
    JSON,
    Recorder,
    assert_parses_or_refuses,
    assert_pointers,
    head,
    matched,
    mutated,
    read_stream,
    rows,
    sse,
)

from llmtrace_sdk.core.model import Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers.anthropic import PROVIDER
from llmtrace_sdk.typing import Endpoint

ENDPOINT = Endpoint("anthropic", "chat", "messages", end_mark=b"event: message_stop")
VERTEX = "/v1/projects/p/locations/us-east5/publishers/anthropic/models"


@pytest.mark.parametrize(
    ("path", "host", "endpoint"),
    [
        ("/v1/messages", "api.anthropic.com", ENDPOINT),
        ("/relay/anthropic/v1/messages", "127.0.0.1", ENDPOINT),
        (
            "/anthropic/v1/messages",
            "bedrock-mantle.us-east-1.api.aws",
            Endpoint("aws.bedrock", "chat", "messages", signed=True, end_mark=b"event: message_stop"),
        ),
        (
            f"{VERTEX}/claude-x@2026:rawPredict",
            "h",
            Endpoint("gcp.vertex_ai", "chat", "messages", "claude-x@2026", stream=False),
        ),
        (
            f"{VERTEX}/claude-x%402026:streamRawPredict",
            "h",
            Endpoint("gcp.vertex_ai", "chat", "messages", "claude-x@2026", stream=True),
        ),
    ],
)
def test_match(path: str, host: str, endpoint: Endpoint) -> None:
    assert matched(PROVIDER, path, host) == endpoint


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/messages"),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/chat/completions"),
        ("POST", f"{VERTEX}/count-tokens:rawPredict"),
        ("POST", "/v1/projects/p/locations/l/publishers/mistralai/models/m:rawPredict"),
        ("GET", f"{VERTEX}/claude:rawPredict"),
    ],
)
def test_no_match(method: str, path: str) -> None:
    assert PROVIDER.match(head(path, method)) is None


def test_request_segments() -> None:
    prompt = PROVIDER.parse_request(ENDPOINT, REQUEST)
    assert rows(prompt) == SEGMENTS
    assert_pointers(REQUEST, prompt.segments)
    assert (prompt.model, prompt.stream, prompt.tools) == ("claude-x", True, ("look_up", "web_search"))
    assert (prompt.blobs, prompt.notes) == (3, ())


def test_request_settings() -> None:
    assert PROVIDER.parse_request(ENDPOINT, REQUEST).settings == Settings(
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop_sequences=("END",),
        reasoning_level="high",
        output_type="json",
        service_tier="auto",
    )


@pytest.mark.parametrize(
    ("block", "found", "notes"),
    [
        ({"type": "compaction", "content": "so far"}, [("content", "so far", "assistant", "text", None)], ()),
        ({"text": "odd", "kind": 1}, [("text", "odd", "user", "text", None)], ("unknown_part",)),
        ({"type": "mcp_tool_use", "name": "f", "input": {}}, [("input", "{}", "assistant", "tool_call", "f")], ()),
        (
            {"type": "mcp_tool_listing", "mcp_server_name": "s", "tools": [{"name": "f", "description": "d"}]},
            [("tools/0", "d", "system", "tool_definition", "f")],
            (),
        ),
        (
            {"type": "tool_addition", "tool": {"name": "f", "description": "d", "input_schema": {}}},
            [("tool", "d", "system", "tool_definition", "f")],
            (),
        ),
        ({"type": "browser_state", "tabs": [{"title": "Tab"}]}, [("tabs/0/title", "Tab", "user", "text", None)], ()),
        ({"type": "tool_reference", "tool_name": "x"}, [], ()),
        (
            {
                "type": "web_fetch_tool_result",
                "content": {
                    "type": "web_fetch_result",
                    "url": "u",
                    "content": {"type": "document", "source": {"type": "text", "data": "page"}},
                },
            },
            [
                ("content/url", "u", "data", "tool_result", None),
                ("content/content/source/data", "page", "data", "tool_result", None),
            ],
            (),
        ),
        (
            {
                "type": "web_fetch_tool_result",
                "content": {"url": "u", "content": {"type": "document", "source": {"type": "base64", "data": "AAAA"}}},
            },
            [("content/url", "u", "data", "tool_result", None)],
            (),
        ),
    ],
)  # fmt: skip
def test_rare_blocks(block: dict[str, Any], found: list[Any], notes: tuple[str, ...]) -> None:
    body = {"messages": [{"role": "user", "content": [block]}]}
    prompt = PROVIDER.parse_request(ENDPOINT, body)
    expected = [(f"/messages/0/content/0/{place}", *rest) for place, *rest in found]
    assert [row for row in rows(prompt) if not row[0].endswith("source/type")] == expected
    assert prompt.notes == notes


@pytest.mark.parametrize(
    ("body", "notes"),
    [
        ({"messages": [{"role": "narrator", "content": "x"}]}, ("unknown_role",)),
        ({"messages": ["x"]}, ("unknown_role",)),
        ({"messages": [{"role": "user", "content": 7}]}, ("unknown_part",)),
        ({"messages": [{"role": "user", "content": [3]}]}, ("unknown_part",)),
        ({"messages": [], "mcp_servers": [{"url": "https://s"}]}, ("remote_tools",)),
    ],
)
def test_odd_requests_are_noted(body: Any, notes: tuple[str, ...]) -> None:
    assert PROVIDER.parse_request(ENDPOINT, body).notes == notes


def test_nesting_is_bounded() -> None:
    block: dict[str, Any] = {"type": "text", "text": "deep"}
    for _ in range(50):
        block = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    prompt = PROVIDER.parse_request(ENDPOINT, {"messages": [{"role": "user", "content": [block]}]})
    assert prompt.notes == ("unknown_part",)
    assert any("deep" in segment.text for segment in prompt.segments)


@pytest.mark.parametrize("body", [None, [], "x", 3, {}, {"messages": {}}, {"prompt": "x"}])
def test_unknown_shape(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.parse_request(ENDPOINT, body)


def test_the_path_wins_over_the_body() -> None:
    endpoint = matched(PROVIDER, f"{VERTEX}/claude-x:streamRawPredict")
    prompt = PROVIDER.parse_request(endpoint, {"messages": [], "model": "other"})
    assert (prompt.model, prompt.stream) == ("claude-x", True)


@pytest.mark.parametrize("status", [400, 403, 451])
def test_refusal_reaches_the_application_as_its_own_error(status: int) -> None:
    recorder = Recorder(PROVIDER.refusal(ENDPOINT, BLOCKED, status), status=status)
    with recorder.client() as http:
        client = anthropic.Anthropic(api_key="k", http_client=http, max_retries=0)
        with pytest.raises(anthropic.APIStatusError) as caught:
            client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
    assert caught.value.body["type"] == "error"  # type: ignore[index]
    error = caught.value.body["error"]  # type: ignore[index]
    assert error["code"] == "llmtrace_blocked"
    assert BLOCKED.reason in error["message"]
    assert BLOCKED.id in error["message"]
    assert error["type"] == ("permission_error" if status == 403 else "invalid_request_error")


def test_the_real_client_sends_what_is_read() -> None:
    recorder = Recorder(MESSAGE)
    with recorder.client() as http:
        client = anthropic.Anthropic(api_key="k", http_client=http, max_retries=0)
        sent = {key: value for key, value in REQUEST.items() if key != "stream"}
        sampling = {key: sent.pop(key) for key in ("temperature", "top_p", "top_k")}
        client.messages.create(**sent, extra_body=sampling)
    request, body = recorder.only()
    endpoint = PROVIDER.match(request)
    assert endpoint == ENDPOINT
    prompt = PROVIDER.parse_request(endpoint, body)
    assert rows(prompt) == SEGMENTS
    assert not prompt.stream


def test_the_real_client_reads_the_same_stream() -> None:
    recorder = Recorder(sse(streamed()), "text/event-stream")
    with recorder.client() as http:
        client = anthropic.Anthropic(api_key="k", http_client=http, max_retries=0)
        with client.messages.stream(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}]) as stream:
            message = stream.get_final_message()
    reader, segments = read_stream(PROVIDER, ENDPOINT, streamed())
    assert [block.text for block in message.content if block.type == "text"] == [segments[1].text]
    assert [block.input for block in message.content if block.type == "tool_use"] == [json.loads(segments[2].text)]
    assert message.usage.output_tokens == reader.usage.output_tokens
    _, body = recorder.only()
    assert PROVIDER.parse_request(ENDPOINT, body).stream


@given(JSON | mutated(REQUEST))
def test_hostile_requests(payload: Any) -> None:
    assert_parses_or_refuses(PROVIDER, ENDPOINT, payload)
