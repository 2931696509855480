"""The openai SDK: both colours, Azure, other transports, the module itself."""

from __future__ import annotations

from typing import Any

from tests.sdks.target import KEY, Ask, Call, Target, joined

MODEL = "gpt-4o-mini"
ERROR = "openai.BadRequestError"


def said(chunk: Any) -> str | None:
    """The text of a chat completion chunk."""
    return chunk.choices[0].delta.content if chunk.choices else None


def chat(client: Any, ask: Ask) -> str:
    return client.chat.completions.create(model=ask.model(MODEL), messages=ask.messages).choices[0].message.content


def chat_stream(client: Any, ask: Ask) -> str:
    with client.chat.completions.create(model=ask.model(MODEL), messages=ask.messages, stream=True) as stream:
        return "".join(said(chunk) or "" for chunk in stream)


def _responses(client: Any, ask: Ask) -> str:
    return client.responses.create(model=ask.model(MODEL), input=ask.text).output_text


def _response_stream(client: Any, ask: Ask) -> str:
    with client.responses.create(model=ask.model(MODEL), input=ask.text, stream=True) as stream:
        return "".join(event.delta for event in stream if event.type == "response.output_text.delta")


def _embeddings(client: Any, ask: Ask) -> str:
    return str(client.embeddings.create(model=ask.model("e"), input=[ask.text]).data[0].embedding)


def _raw(client: Any, ask: Ask) -> str:
    raw = client.chat.completions.with_raw_response.create(model=ask.model(MODEL), messages=ask.messages)
    return raw.parse().choices[0].message.content


def _unread_response(client: Any, ask: Ask) -> str:
    create = client.chat.completions.with_streaming_response.create
    with create(model=ask.model(MODEL), messages=ask.messages) as response:
        return b"".join(response.iter_bytes()).decode().partition('"content":')[2]


def _with_options(client: Any, ask: Ask) -> str:
    return chat(client.with_options(timeout=20), ask)


async def achat(client: Any, ask: Ask) -> str:
    whole = await client.chat.completions.create(model=ask.model(MODEL), messages=ask.messages)
    return whole.choices[0].message.content


async def achat_stream(client: Any, ask: Ask) -> str:
    stream = await client.chat.completions.create(model=ask.model(MODEL), messages=ask.messages, stream=True)
    async with stream:
        return await joined(stream, said)


async def _aresponses(client: Any, ask: Ask) -> str:
    return (await client.responses.create(model=ask.model(MODEL), input=ask.text)).output_text


async def _awith_options(client: Any, ask: Ask) -> str:
    return await achat(client.with_options(timeout=20), ask)


CHAT = (Call("chat", chat), Call("chat-stream", chat_stream))
ACHAT = (Call("chat", achat), Call("chat-stream", achat_stream))
SYNC = (
    *CHAT,
    Call("responses", _responses),
    Call("responses-stream", _response_stream),
    Call("embeddings", _embeddings, silent=True),
    Call("raw-response", _raw),
    Call("unread-response", _unread_response),
    Call("with-options", _with_options),
)


def _client(ask: Ask, name: str = "OpenAI", **more: Any) -> Any:
    import openai

    return getattr(openai, name)(api_key=KEY, base_url=f"{ask.url}/v1", **more)


def _azure(ask: Ask, name: str = "AzureOpenAI") -> Any:
    import openai

    return getattr(openai, name)(api_key=KEY, azure_endpoint=ask.url, api_version="2026-01-01")


def _on_aiohttp(ask: Ask) -> Any:
    import openai

    return _client(ask, "AsyncOpenAI", http_client=openai.DefaultAioHttpClient())


def _on_httpx(ask: Ask) -> Any:
    import httpx

    return _client(ask, http_client=httpx.Client())


def _module(ask: Ask) -> Any:
    import openai

    if openai.http_client is not None:
        openai.http_client.close()
    openai._reset_client()
    openai.http_client, openai.api_key, openai.base_url = None, KEY, f"{ask.url}/v1/"
    return openai


def _instructor(ask: Ask) -> Any:
    import instructor

    return instructor.from_openai(_client(ask))


def _extract(client: Any, ask: Ask) -> str:
    from pydantic import create_model

    shape = create_model("Place", city=(str, ...))
    ask = Ask(ask.root, ask.text, "tool,gzip", ask.place)
    return client.create(model=ask.model(MODEL), messages=ask.messages, response_model=shape, max_retries=0).city


TARGETS = (
    Target(name="openai", needs=("openai",), make=_client, calls=SYNC, error=ERROR),
    Target(
        name="openai-async",
        needs=("openai",),
        make=lambda ask: _client(ask, "AsyncOpenAI"),
        calls=(*ACHAT, Call("responses", _aresponses), Call("with-options", _awith_options)),
        error=ERROR,
        asynchronous=True,
    ),
    Target(name="openai-azure", needs=("openai",), make=_azure, calls=CHAT, error=ERROR),
    Target(
        name="openai-azure-async",
        needs=("openai",),
        make=lambda ask: _azure(ask, "AsyncAzureOpenAI"),
        calls=ACHAT,
        error=ERROR,
        asynchronous=True,
    ),
    Target(
        name="openai-aiohttp",
        needs=("openai", "httpx_aiohttp"),
        make=_on_aiohttp,
        calls=ACHAT,
        error=ERROR,
        asynchronous=True,
    ),
    Target(name="openai-on-httpx", needs=("openai", "httpx"), make=_on_httpx, calls=CHAT, error=ERROR),
    Target(name="openai-module", needs=("openai",), make=_module, calls=CHAT, error=ERROR),
    Target(
        name="instructor",
        needs=("instructor",),
        make=_instructor,
        calls=(Call("create", _extract, silent=True),),
        error="instructor.core.exceptions.InstructorRetryException",
    ),
)
