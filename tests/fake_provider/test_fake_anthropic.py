"""The real anthropic SDK reads messages, whole and streamed, from the API and from Vertex and Bedrock paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

anthropic = pytest.importorskip("anthropic")

from llmtrace_sdk.fake_provider.answer import REASONING, REFUSAL, TEXTS  # noqa: E402

if TYPE_CHECKING:
    from llmtrace_sdk.fake_provider import FakeProvider

ASK: Any = [{"role": "user", "content": "When does the ferry leave?"}]
TOOL = {
    "name": "forecast",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}},
}


@pytest.fixture
def client(fake: FakeProvider) -> Any:
    with anthropic.Anthropic(base_url=fake.url, api_key="none", max_retries=0) as made:
        yield made


def create(client: Any, model: str, **more: Any) -> Any:
    return client.messages.create(model=model, max_tokens=100, messages=ASK, **more)


def streamed(client: Any, model: str, **more: Any) -> Any:
    with client.messages.stream(model=model, max_tokens=100, messages=ASK, **more) as stream:
        return stream.get_final_message()


@pytest.mark.parametrize("way", [create, streamed])
def test_message(client: Any, way: Any) -> None:
    message = way(client, "claude-x")
    assert message.content[0].text == TEXTS["plain"]
    assert message.stop_reason == "end_turn"
    assert message.model == "claude-x"
    assert message.usage.output_tokens == len(TEXTS["plain"]) // 4
    given = message.usage.input_tokens + message.usage.cache_read_input_tokens
    assert message.usage.cache_read_input_tokens == given // 4


@pytest.mark.parametrize("way", [create, streamed])
def test_thinking_text_and_tool(client: Any, way: Any) -> None:
    message = way(client, "claude-x+reasoning,plain,tool", tools=[TOOL])
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.content[0].thinking == REASONING
    assert message.content[0].signature
    assert message.content[2].name == "forecast"
    assert message.content[2].input == {"place": "Lisbon"}
    assert message.stop_reason == "tool_use"


@pytest.mark.parametrize("way", [create, streamed])
def test_refusal(client: Any, way: Any) -> None:
    message = way(client, "claude-x+refusal")
    assert message.stop_reason == "refusal"
    assert message.content[0].text == REFUSAL


def test_event_sequence(client: Any) -> None:
    events = [event.type for event in create(client, "claude-x+chunks=2", stream=True)]
    middle = ["content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"]
    assert [kind for kind in events if kind != "ping"] == [
        "message_start", *middle, "message_delta", "message_stop",
    ]  # fmt: skip


@pytest.mark.parametrize("scenario", ["gzip", "crlf,comments", "split=3", "echo", "no-done"])
def test_awkward_streams(client: Any, scenario: str) -> None:
    text = "When does the ferry leave?" if scenario == "echo" else TEXTS["plain"]
    assert streamed(client, f"claude-x+{scenario}").content[0].text == text


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, "BadRequestError"), (403, "PermissionDeniedError"), (429, "RateLimitError"), (529, "APIStatusError")],
)
def test_errors(client: Any, status: int, error: str) -> None:
    with pytest.raises(getattr(anthropic, error)) as caught:
        create(client, f"claude-x+status={status}")
    assert caught.value.status_code == status
    assert caught.value.body["type"] == "error"


def test_count_tokens(client: Any) -> None:
    assert client.messages.count_tokens(model="claude-x", messages=ASK).input_tokens > 0


@pytest.mark.parametrize("way", [create, streamed])
def test_vertex(fake: FakeProvider, way: Any) -> None:
    pytest.importorskip("google.auth")
    with anthropic.AnthropicVertex(
        base_url=fake.url + "/v1", region="r", project_id="p", access_token="none", max_retries=0
    ) as client:
        assert way(client, "claude-x@1").content[0].text == TEXTS["plain"]


@pytest.mark.parametrize("way", [create, streamed])
def test_bedrock(fake: FakeProvider, way: Any) -> None:
    pytest.importorskip("botocore")
    with anthropic.AnthropicBedrock(
        base_url=fake.url, aws_region="us-east-1", aws_access_key="none", aws_secret_key="none", max_retries=0
    ) as client:
        message = way(client, "anthropic.claude-x-v1:0+tool,plain", tools=[TOOL])
    assert message.content[0].text == TEXTS["plain"]
    assert message.content[1].input == {"place": "Lisbon"}
