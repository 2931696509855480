"""SDKs with a wire format of their own: cohere, ollama, replicate."""

from __future__ import annotations

from typing import Any

from tests.sdks.target import KEY, Ask, Call, Target, joined


def _cohere(ask: Ask, name: str = "ClientV2") -> Any:
    import cohere

    return getattr(cohere, name)(api_key=KEY, base_url=ask.url)


def _of_cohere(event: Any) -> str | None:
    return event.delta.message.content.text if event.type == "content-delta" else None


def _cohere_chat(client: Any, ask: Ask) -> str:
    return client.chat(model=ask.model("command-r"), messages=ask.messages).message.content[0].text


def _cohere_stream(client: Any, ask: Ask) -> str:
    events = client.chat_stream(model=ask.model("command-r"), messages=ask.messages)
    return "".join(_of_cohere(event) or "" for event in events)


async def _cohere_achat(client: Any, ask: Ask) -> str:
    return (await client.chat(model=ask.model("command-r"), messages=ask.messages)).message.content[0].text


async def _cohere_astream(client: Any, ask: Ask) -> str:
    return await joined(client.chat_stream(model=ask.model("command-r"), messages=ask.messages), _of_cohere)


def _ollama(ask: Ask, name: str = "Client") -> Any:
    import ollama

    return getattr(ollama, name)(host=ask.url)


def _ollama_module(ask: Ask) -> Any:
    import ollama

    ollama._client._client.close()
    ollama._client.__init__(host=ask.url)  # its functions are methods of this object
    return ollama


def _ollama_chat(client: Any, ask: Ask) -> str:
    return client.chat(model=ask.model("llama3.2"), messages=ask.messages).message.content


def _ollama_stream(client: Any, ask: Ask) -> str:
    parts = client.chat(model=ask.model("llama3.2"), messages=ask.messages, stream=True)
    return "".join(part.message.content for part in parts)


def _ollama_generate(client: Any, ask: Ask) -> str:
    return client.generate(model=ask.model("llama3.2"), prompt=ask.text).response


async def _ollama_achat(client: Any, ask: Ask) -> str:
    return (await client.chat(model=ask.model("llama3.2"), messages=ask.messages)).message.content


async def _ollama_astream(client: Any, ask: Ask) -> str:
    parts = await client.chat(model=ask.model("llama3.2"), messages=ask.messages, stream=True)
    return await joined(parts, lambda part: part.message.content)


def _replicate(ask: Ask) -> Any:
    import replicate

    return replicate.Client(api_token=KEY, base_url=ask.url)


def _replicate_module(ask: Ask) -> Any:
    import replicate

    default: Any = replicate.default_client
    default._client.close()
    default._api_token, default._base_url, default._Client__client = KEY, ask.url, None
    return replicate


def _prediction(client: Any, ask: Ask) -> str:
    # under `models`, the path names the model, and `run` would ask for its newest version first
    created = client.models.predictions.create(model=ask.model("owner/name"), input={"prompt": ask.text})
    return "".join(created.output)


async def _aprediction(client: Any, ask: Ask) -> str:
    created = await client.models.predictions.async_create(model=ask.model("owner/name"), input={"prompt": ask.text})
    return "".join(created.output)


OLLAMA = (Call("chat", _ollama_chat), Call("stream", _ollama_stream), Call("generate", _ollama_generate))
COHERE_ERROR = "cohere.errors.BadRequestError"
OLLAMA_ERROR = "ollama.ResponseError"
REPLICATE_ERROR = "replicate.exceptions.ReplicateError"

TARGETS = (
    Target(
        name="cohere",
        needs=("cohere",),
        make=_cohere,
        calls=(Call("chat", _cohere_chat), Call("stream", _cohere_stream)),
        error=COHERE_ERROR,
    ),
    Target(
        name="cohere-v1",
        needs=("cohere",),
        make=lambda ask: _cohere(ask, "Client"),
        calls=(Call("chat", lambda client, ask: _cohere_chat(client.v2, ask)),),
        error=COHERE_ERROR,
    ),
    Target(
        name="cohere-async",
        needs=("cohere",),
        make=lambda ask: _cohere(ask, "AsyncClientV2"),
        calls=(Call("chat", _cohere_achat), Call("stream", _cohere_astream)),
        error=COHERE_ERROR,
        asynchronous=True,
    ),
    Target(name="ollama", needs=("ollama",), make=_ollama, calls=OLLAMA, error=OLLAMA_ERROR),
    Target(name="ollama-module", needs=("ollama",), make=_ollama_module, calls=OLLAMA[:1], error=OLLAMA_ERROR),
    Target(
        name="ollama-async",
        needs=("ollama",),
        make=lambda ask: _ollama(ask, "AsyncClient"),
        calls=(Call("chat", _ollama_achat), Call("stream", _ollama_astream)),
        error=OLLAMA_ERROR,
        asynchronous=True,
    ),
    Target(
        name="replicate",
        needs=("replicate",),
        make=_replicate,
        calls=(Call("prediction", _prediction),),
        error=REPLICATE_ERROR,
    ),
    Target(
        name="replicate-module",
        needs=("replicate",),
        make=_replicate_module,
        calls=(Call("prediction", _prediction),),
        error=REPLICATE_ERROR,
    ),
    Target(
        name="replicate-async",
        needs=("replicate",),
        make=_replicate,
        calls=(Call("prediction", _aprediction),),
        error=REPLICATE_ERROR,
        asynchronous=True,
    ),
)
