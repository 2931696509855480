"""A stream that is stopped at any of its events, as the SDKs of the matrix read it: to its end, with the reason."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

import llmtrace_sdk as llmtrace
from tests import endings_shapes as shapes
from tests.endings_rig import Shape, reasons, serving, stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.fake_provider import FakeProvider

pytestmark = [pytest.mark.matrix, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(autouse=True)
def _strict() -> None:
    llmtrace.configure(enforcement={"mode": "block", "unscanned": "block"})


def _needed(module: str) -> Any:
    return pytest.importorskip(module, exc_type=ImportError)


def cohere(url: str) -> str:
    client = _needed("cohere").ClientV2(api_key="none", base_url=url)
    last = list(client.chat_stream(model="m", messages=shapes.HELLO))[-1]
    assert last.type == "message-end"
    assert last.delta.finish_reason != "ERROR" or "llmtrace" in last.delta.error
    return str(last.delta.finish_reason)


def cohere_v1(url: str) -> str:
    client = _needed("cohere").Client(api_key="none", base_url=url)
    events = list(client.chat_stream(model="m", message="hello"))
    assert events[0].event_type == "stream-start"
    assert events[-1].event_type == "stream-end"
    said = "".join(event.text for event in events if event.event_type == "text-generation")
    assert events[-1].response.text == said
    return str(events[-1].finish_reason)


def mistral(url: str) -> str:
    with _needed("mistralai.client").Mistral(api_key="none", server_url=url) as client:
        chunks = list(client.chat.stream(model="m", messages=shapes.HELLO))
    return str([choice for chunk in chunks for choice in chunk.data.choices][-1].finish_reason)


def _bedrock(url: str) -> Any:
    config = _needed("botocore.config").Config(retries={"max_attempts": 0})
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    return _needed("boto3").client("bedrock-runtime", region_name="eu-west-1", endpoint_url=url, config=config, **keys)


def converse(url: str) -> str:
    client = _bedrock(url)
    answer = client.converse_stream(modelId="m", messages=shapes.CONVERSED["messages"])
    events = list(answer["stream"])
    client.close()
    assert "messageStart" in events[0]
    (stop,) = [event["messageStop"] for event in events if "messageStop" in event]
    if stop["stopReason"] == "guardrail_intervened":
        assert stop["additionalModelResponseFields"]["llmtrace"]["reason"] == "unscanned"
    return str(stop["stopReason"])


def invoke(url: str) -> str:
    client = _bedrock(url)
    answer = client.invoke_model_with_response_stream(modelId="m", body=b"{}")
    events = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    client.close()
    assert events[0]["type"] == "message_start"
    assert events[-1]["type"] == "message_stop"
    (stop,) = [event["delta"] for event in events if event["type"] == "message_delta"]
    return str(stop["stop_reason"])


def replicate(url: str) -> str:
    client = _needed("replicate").Client(api_token="none", base_url=url)
    with client._client.stream("GET", f"{url}/stream/1") as answer:
        last = list(_needed("replicate.stream").EventSource(client, answer))[-1]
    client._client.close()
    assert last.event.value == "done"
    return str(json.loads(last.data).get("reason", "succeeded"))


class Row(NamedTuple):
    """What reads streams of a shape, the reason that it should give, and the vendor's own."""

    read: Callable[[str], str]
    shape: Shape
    reason: str
    own: str


ROWS: Final = [
    Row(cohere, shapes.COHERE, "ERROR", "TOOL_CALL"),
    Row(cohere_v1, shapes.COHERE_V1, "ERROR_TOXIC", "COMPLETE"),
    Row(mistral, shapes.SAID, "content_filter", "stop"),
    Row(converse, shapes.CONVERSE, "guardrail_intervened", "tool_use"),
    Row(invoke, shapes.INVOKE, "refusal", "tool_use"),
    Row(replicate, shapes.REPLICATE, "error", "succeeded"),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.read.__name__ for row in ROWS])
def test_an_sdk_reads_it_to_its_end(row: Row, provider: FakeProvider) -> None:
    events = row.shape.events(provider)
    sent = [b"".join(events)]
    with serving(lambda _: (row.shape.media, sent[0])) as url:
        assert row.read(url) == row.own
        for at in range(len(events)):
            cut = stopped(row.shape, events, at)
            assert cut.ending is not None
            sent[0] = cut.whole
            ended = reasons(row.shape, cut.whole)
            assert row.read(url) == (row.reason if row.reason in ended else row.own)
            assert row.reason in ended or row.own in reasons(row.shape, b"".join(events[:at]))


def test_a_model_whose_vendor_has_no_such_end() -> None:
    """Bedrock itself says it, and its SDK raises that."""
    shape = shapes.INVOKE._replace(request={"prompt": "hello"}, model="meta.llama3")
    with serving(lambda _: (shape.media, stopped(shape, [b"\x00" * 16], 0).whole)) as url:
        client = _bedrock(url)
        answer = client.invoke_model_with_response_stream(modelId="m", body=b"{}")
        raised = _needed("botocore.exceptions").EventStreamError
        with pytest.raises(raised, match=r"validationException.*Blocked by llmtrace"):
            list(answer["body"])
        answer["body"].close()
        client.close()


@pytest.mark.parametrize("at", [0, 1])
def test_a_tool_call_has_an_error(at: int, provider: FakeProvider) -> None:
    mcp, transport = _needed("mcp"), _needed("mcp.client.streamable_http")
    httpx2, errors = _needed("httpx2"), _needed("mcp.shared.exceptions")
    seen: list[bytes] = []

    def answer(body: bytes) -> tuple[str, bytes]:
        asked = json.loads(body or b"{}")
        shape = shapes.MCP._replace(request=asked)
        if "id" not in asked:
            return shape.media, b""
        events = shape.events(provider)
        if asked["method"] != "tools/call":
            return shape.media, b"".join(events)
        seen.append(stopped(shape, events, at).whole)
        return shape.media, seen[-1]

    async def main(url: str) -> None:
        async with httpx2.AsyncClient(timeout=10) as http:
            carrier = transport.streamable_http_client(f"{url}/mcp", http_client=http)
            async with mcp.Client(carrier) as client:
                with pytest.raises(Exception, match="Blocked by llmtrace policy") as raised:
                    await client.call_tool("lookup", {"query": "x"})
                assert type(raised.value).__module__ == errors.__name__

    with serving(answer) as url:
        asyncio.run(main(url))
    assert len(seen) == 1
