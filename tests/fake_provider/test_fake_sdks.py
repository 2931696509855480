"""Other vendors' real SDKs, each where it is installed."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_sdk.fake_provider.answer import REASONING, TEXTS

if TYPE_CHECKING:
    from llmtrace_sdk.fake_provider import FakeProvider

pytestmark = pytest.mark.matrix

ASK: Any = [{"role": "user", "content": "When does the ferry leave?"}]
PLAIN = TEXTS["plain"]


def test_ollama(fake: FakeProvider) -> None:
    client = pytest.importorskip("ollama").Client(host=fake.url)
    with closing(client._client):
        _ollama(client)


def _ollama(client: Any) -> None:
    whole = client.chat(model="llama3.2+reasoning,plain,tool", messages=ASK)
    assert (whole.message.content, whole.message.thinking) == (PLAIN, REASONING)
    assert whole.message.tool_calls[0].function.name == "get_weather"
    assert whole.eval_count > len(PLAIN) // 4
    parts = list(client.chat(model="llama3.2", messages=ASK, stream=True))
    assert "".join(part.message.content for part in parts) == PLAIN
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert "".join(part.response for part in client.generate(model="m", prompt="When?", stream=True)) == PLAIN
    assert len(client.embed(model="m", input=["one", "two"]).embeddings) == 2
    assert client.list().models[0].model == "llama3.2:latest"


def test_cohere(fake: FakeProvider) -> None:
    cohere, httpx = pytest.importorskip("cohere"), pytest.importorskip("httpx")
    with httpx.Client() as transport:
        _cohere(cohere.ClientV2(api_key="none", base_url=fake.url, httpx_client=transport))


def _cohere(client: Any) -> None:
    whole = client.chat(model="command-r+reasoning,plain,tool", messages=ASK)
    assert [item.type for item in whole.message.content] == ["thinking", "text"]
    assert whole.message.tool_calls[0].function.arguments == '{"city":"Lisbon","unit":"celsius"}'
    assert (whole.finish_reason, whole.usage.tokens.output_tokens > 0) == ("TOOL_CALL", True)
    events = list(client.chat_stream(model="command-r", messages=ASK))
    assert "".join(e.delta.message.content.text for e in events if e.type == "content-delta") == PLAIN
    assert (events[0].type, events[-1].type) == ("message-start", "message-end")
    assert events[-1].delta.usage.billed_units.input_tokens > 0
    embedded = client.embed(model="e", texts=["one"], input_type="search_query", embedding_types=["float"])
    assert len(embedded.embeddings.float_) == 1


def test_mistral(fake: FakeProvider) -> None:
    mistral = pytest.importorskip("mistralai.client").Mistral
    with mistral(api_key="none", server_url=fake.url) as client:
        whole = client.chat.complete(model="mistral-small+parts,reasoning", messages=ASK)
        assert [part.type for part in whole.choices[0].message.content] == ["thinking", "text"]
        events = list(client.chat.stream(model="mistral-small+usage=on", messages=ASK))
    said = [choice.delta.content for event in events for choice in event.data.choices]
    assert "".join(text for text in said if text) == PLAIN
    assert events[-1].data.usage.total_tokens > 0


def test_groq(fake: FakeProvider) -> None:
    with pytest.importorskip("groq").Groq(api_key="none", base_url=fake.url) as client:
        assert client.chat.completions.create(model="g", messages=ASK).choices[0].message.content == PLAIN
        chunks = client.chat.completions.create(model="g", messages=ASK, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == PLAIN
    assert fake.stats()["last"]["path"] == "/openai/v1/chat/completions"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_replicate(fake: FakeProvider) -> None:
    client = pytest.importorskip("replicate").Client(api_token="none", base_url=fake.url)
    with closing(client._client):
        _replicate(client)


def _replicate(client: Any) -> None:
    assert "".join(client.run("owner/model", input={"prompt": "When?"})) == PLAIN
    assert "".join(client.run("owner/model:" + "f" * 64, input={"prompt": "When?"})) == PLAIN
    prediction = client.models.predictions.create(model="owner/model+echo", input={"prompt": "Say this"})
    assert "".join(prediction.output) == "Say this"
    assert client.predictions.get(prediction.id).status == "succeeded"
    assert "".join(str(event) for event in prediction.stream()) == "Say this"


def test_huggingface(fake: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    # The first call also asks the hub itself, and keeps what it says in a file.
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "ENDPOINT", fake.url)
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", os.devnull)
    client = hub.InferenceClient(base_url=fake.url + "/v1", api_key="none")
    assert client.chat_completion(messages=ASK, model="m").choices[0].message.content == PLAIN
    chunks = client.chat_completion(messages=ASK, model="m", stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == PLAIN
    pytest.importorskip("huggingface_hub.utils").close_session()


@pytest.fixture
def bedrock(fake: FakeProvider) -> Any:
    boto3 = pytest.importorskip("boto3")
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "us-east-1"}
    with closing(boto3.client("bedrock-runtime", endpoint_url=fake.url, **keys)) as client:
        yield client


def test_bedrock_converse(bedrock: Any) -> None:
    asked = {"modelId": "amazon.nova-lite-v1:0+reasoning,plain,tool"}
    messages = [{"role": "user", "content": [{"text": "When?"}]}]
    whole = bedrock.converse(messages=messages, **asked)
    thought, text, tool = whole["output"]["message"]["content"]
    assert thought["reasoningContent"]["reasoningText"]["text"] == REASONING
    assert text["text"] == PLAIN
    assert tool["toolUse"]["input"] == {"city": "Lisbon", "unit": "celsius"}
    assert whole["usage"]["cacheReadInputTokens"] >= 0
    events = list(bedrock.converse_stream(messages=messages, **asked)["stream"])
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert "".join(delta.get("text", "") for delta in deltas) == PLAIN
    assert "".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta).startswith('{"city"')
    assert events[-1]["metadata"]["usage"]["totalTokens"] > 0


def test_bedrock_invoke(bedrock: Any) -> None:
    asked = {"modelId": "anthropic.claude-3-haiku-20240307-v1:0", "body": json.dumps({"messages": ASK})}
    whole = json.loads(bedrock.invoke_model(**asked)["body"].read())
    assert whole["content"][0]["text"] == PLAIN
    frames = bedrock.invoke_model_with_response_stream(**asked)["body"]
    events = [json.loads(frame["chunk"]["bytes"]) for frame in frames]
    assert "".join(e["delta"].get("text", "") for e in events if e["type"] == "content_block_delta") == PLAIN
    assert events[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == len(PLAIN) // 4


def test_bedrock_error(bedrock: Any) -> None:
    with pytest.raises(bedrock.exceptions.AccessDeniedException, match="status 403"):
        bedrock.converse(modelId="m+status=403", messages=[{"role": "user", "content": [{"text": "a"}]}])


async def _mcp(fake: FakeProvider, query: str) -> tuple[list[str], str, str]:
    mcp = pytest.importorskip("mcp")
    transport = pytest.importorskip("mcp.client.streamable_http").streamable_http_client
    async with transport(f"{fake.url}/mcp{query}") as streams, mcp.ClientSession(*streams[:2]) as session:
        await session.initialize()
        tools = await session.list_tools()
        repeated = await session.call_tool("repeat", {"query": "again"})
        looked_up = await session.call_tool("lookup", {"query": "ferry"})
        names = [tool.name for tool in tools.tools]
        return names, repeated.content[0].text, looked_up.content[0].text


@pytest.mark.parametrize("query", ["", "?fake=sse", "?fake=sse,crlf,gzip"])
def test_mcp(fake: FakeProvider, query: str) -> None:
    assert asyncio.run(_mcp(fake, query)) == (["lookup", "repeat"], "again", PLAIN)
    assert os.getpid() != fake.pid
