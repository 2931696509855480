"""SDKs with the wire format of OpenAI: groq, together, cerebras, fireworks, mistral, huggingface_hub."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from tests.sdks.target import KEY, Ask, Call, Target, joined
from tests.sdks.targets_openai import ACHAT, CHAT, MODEL, said


def _stainless(name: str, module: str, kind: str, path: str = "/v1", **more: Any) -> tuple[Target, Target]:
    """A pair of clients that came out of the same generator as openai's."""

    def target(prefix: str, calls: Any) -> Target:
        def make(ask: Ask) -> Any:
            return getattr(import_module(module), prefix + kind)(api_key=KEY, base_url=ask.url + path, **more)

        suffix = "-async" if prefix else ""
        error = f"{module}.BadRequestError"
        return Target(
            name=name + suffix, needs=(module,), make=make, calls=calls, error=error, asynchronous=bool(prefix)
        )

    return target("", CHAT), target("Async", ACHAT)


def _mistral(ask: Ask) -> Any:
    from mistralai.client import Mistral

    return Mistral(api_key=KEY, server_url=ask.url)


def _complete(client: Any, ask: Ask) -> str:
    return client.chat.complete(model=ask.model("mistral-small"), messages=ask.messages).choices[0].message.content


def _complete_stream(client: Any, ask: Ask) -> str:
    events = client.chat.stream(model=ask.model("mistral-small"), messages=ask.messages)
    return "".join(said(event.data) or "" for event in events)


async def _acomplete(client: Any, ask: Ask) -> str:
    whole = await client.chat.complete_async(model=ask.model("mistral-small"), messages=ask.messages)
    return whole.choices[0].message.content


async def _acomplete_stream(client: Any, ask: Ask) -> str:
    events = await client.chat.stream_async(model=ask.model("mistral-small"), messages=ask.messages)
    return await joined(events, lambda event: said(event.data))


def _hub(ask: Ask, name: str = "InferenceClient") -> Any:
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    close_session()
    # The first call also asks the hub itself, and keeps what it says in a file.
    constants.ENDPOINT, constants.AGENT_HARNESSES_PATH = ask.root, os.devnull
    return getattr(huggingface_hub, name)(base_url=f"{ask.url}/v1", api_key=KEY)


def _hub_chat(client: Any, ask: Ask) -> str:
    return client.chat_completion(model=ask.model(MODEL), messages=ask.messages).choices[0].message.content


def _hub_stream(client: Any, ask: Ask) -> str:
    chunks = client.chat_completion(model=ask.model(MODEL), messages=ask.messages, stream=True)
    return "".join(said(chunk) or "" for chunk in chunks)


async def _hub_achat(client: Any, ask: Ask) -> str:
    whole = await client.chat_completion(model=ask.model(MODEL), messages=ask.messages)
    return whole.choices[0].message.content


async def _hub_astream(client: Any, ask: Ask) -> str:
    chunks = await client.chat_completion(model=ask.model(MODEL), messages=ask.messages, stream=True)
    return await joined(chunks, said)


_MISTRAL_ERROR = "mistralai.client.errors.SDKError"
_HUB_ERROR = "huggingface_hub.errors.BadRequestError"

TARGETS = (
    *_stainless("groq", "groq", "Groq", path=""),
    *_stainless("together", "together", "Together"),
    *_stainless("cerebras", "cerebras.cloud.sdk", "Cerebras", path="", warm_tcp_connection=False),
    *_stainless("fireworks", "fireworks", "Fireworks"),
    Target(
        name="mistral",
        needs=("mistralai.client",),
        make=_mistral,
        calls=(Call("complete", _complete), Call("stream", _complete_stream)),
        error=_MISTRAL_ERROR,
    ),
    Target(
        name="mistral-async",
        needs=("mistralai.client",),
        make=_mistral,
        calls=(Call("complete", _acomplete), Call("stream", _acomplete_stream)),
        error=_MISTRAL_ERROR,
        asynchronous=True,
    ),
    Target(
        name="huggingface",
        needs=("huggingface_hub",),
        make=_hub,
        calls=(Call("chat", _hub_chat), Call("stream", _hub_stream, late=True)),
        error=_HUB_ERROR,
        close=lambda client: client.exit_stack.close(),
    ),
    Target(
        name="huggingface-async",
        needs=("huggingface_hub",),
        make=lambda ask: _hub(ask, "AsyncInferenceClient"),
        calls=(Call("chat", _hub_achat), Call("stream", _hub_astream, late=True)),
        error=_HUB_ERROR,
        asynchronous=True,
        close=lambda client: client.close(),
    ),
)
