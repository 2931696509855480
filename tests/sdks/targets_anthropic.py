"""The anthropic SDK: both colours, Bedrock, Vertex."""

from __future__ import annotations

from typing import Any

from tests.sdks.target import KEY, Ask, Call, Target

MODEL = "claude-test"
ERROR = "anthropic.BadRequestError"


def _asked(ask: Ask) -> Any:
    return {"model": ask.model(MODEL), "max_tokens": 100, "messages": ask.messages}


def _of_event(event: Any) -> str:
    return event.delta.text if event.type == "content_block_delta" else ""


def _messages(client: Any, ask: Ask) -> str:
    return client.messages.create(**_asked(ask)).content[0].text


def _stream(client: Any, ask: Ask) -> str:
    with client.messages.create(**_asked(ask), stream=True) as stream:
        return "".join(map(_of_event, stream))


def _stream_method(client: Any, ask: Ask) -> str:
    with client.messages.stream(**_asked(ask)) as stream:
        return "".join(stream.text_stream)


def _with_options(client: Any, ask: Ask) -> str:
    return _messages(client.with_options(timeout=20), ask)


async def _amessages(client: Any, ask: Ask) -> str:
    return (await client.messages.create(**_asked(ask))).content[0].text


async def _astream(client: Any, ask: Ask) -> str:
    async with await client.messages.create(**_asked(ask), stream=True) as stream:
        return "".join([_of_event(event) async for event in stream])


async def _astream_method(client: Any, ask: Ask) -> str:
    async with client.messages.stream(**_asked(ask)) as stream:
        return "".join([text async for text in stream.text_stream])


SYNC = (Call("messages", _messages), Call("stream", _stream), Call("stream-method", _stream_method))
ASYNC = (Call("messages", _amessages), Call("stream", _astream), Call("stream-method", _astream_method))


def _client(ask: Ask, name: str = "Anthropic") -> Any:
    import anthropic

    return getattr(anthropic, name)(api_key=KEY, base_url=ask.url)


def _bedrock(ask: Ask) -> Any:
    import anthropic

    keys = {"aws_access_key": KEY, "aws_secret_key": KEY, "aws_region": "us-east-1"}
    return anthropic.AnthropicBedrock(base_url=ask.url, **keys)


def _vertex(ask: Ask, name: str = "AnthropicVertex") -> Any:
    import anthropic

    place = {"region": "europe-west1", "project_id": "none", "access_token": KEY}
    return getattr(anthropic, name)(base_url=f"{ask.url}/v1", **place)


TARGETS = (
    Target(
        name="anthropic",
        needs=("anthropic",),
        make=_client,
        calls=(*SYNC, Call("with-options", _with_options)),
        error=ERROR,
    ),
    Target(
        name="anthropic-async",
        needs=("anthropic",),
        make=lambda ask: _client(ask, "AsyncAnthropic"),
        calls=ASYNC,
        error=ERROR,
        asynchronous=True,
    ),
    Target(
        name="anthropic-bedrock",
        needs=("anthropic", "boto3"),
        make=_bedrock,
        calls=(Call("messages", _messages), Call("stream", _stream)),
        error=ERROR,
    ),
    Target(name="anthropic-vertex", needs=("anthropic", "google.auth"), make=_vertex, calls=SYNC, error=ERROR),
    Target(
        name="anthropic-vertex-async",
        needs=("anthropic", "google.auth"),
        make=lambda ask: _vertex(ask, "AsyncAnthropicVertex"),
        calls=ASYNC,
        error=ERROR,
        asynchronous=True,
    ),
)
