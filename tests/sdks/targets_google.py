"""google-genai: the client, its async side, and parts of it given instead of the whole."""

from __future__ import annotations

from typing import Any

from tests.sdks.target import KEY, Ask, Call, Target, joined

MODEL = "gemini-2.5-flash"
ERROR = "google.genai.errors.ClientError"


def _client(ask: Ask) -> Any:
    from google import genai

    return genai.Client(api_key=KEY, http_options={"base_url": ask.url})


def _generate(client: Any, ask: Ask) -> str:
    return client.models.generate_content(model=ask.model(MODEL), contents=ask.text).text


def _stream(client: Any, ask: Ask) -> str:
    chunks = client.models.generate_content_stream(model=ask.model(MODEL), contents=ask.text)
    return "".join(chunk.text or "" for chunk in chunks)


def _chat(client: Any, ask: Ask) -> str:
    return client.chats.create(model=ask.model(MODEL)).send_message(ask.text).text


async def _agenerate(client: Any, ask: Ask) -> str:
    return (await client.aio.models.generate_content(model=ask.model(MODEL), contents=ask.text)).text


async def _astream(client: Any, ask: Ask) -> str:
    stream = await client.aio.models.generate_content_stream(model=ask.model(MODEL), contents=ask.text)
    return await joined(stream, lambda chunk: chunk.text)


async def _close(client: Any) -> None:
    await client.aio.aclose()
    client.close()


SYNC = (Call("generate", _generate), Call("stream", _stream), Call("chat", _chat))
ASYNC = (Call("generate", _agenerate), Call("stream", _astream))
NEEDS = ("google.genai",)

TARGETS = (
    Target(name="google", needs=NEEDS, make=_client, calls=SYNC, error=ERROR, close=_close),
    Target(name="google-async", needs=NEEDS, make=_client, calls=ASYNC, error=ERROR, close=_close, asynchronous=True),
    Target(
        name="google-models",
        needs=NEEDS,
        make=_client,
        calls=SYNC[:1],
        error=ERROR,
        close=_close,
        given=lambda client: client.models,
    ),
    Target(
        name="google-aio",
        needs=NEEDS,
        make=_client,
        calls=ASYNC[:1],
        error=ERROR,
        close=_close,
        asynchronous=True,
        given=lambda client: client.aio,
    ),
)
