"""Which attributes lead to the HTTP client, SDK by SDK.

A path may end at another object of this table: a chat model at an SDK client, an agent at a chat model. Reading the
paths is also what makes lazy SDKs create their clients; `name()` in a path calls a method that does so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from llmtrace_sdk.resolvers import agents, google, huggingface, llama_index, openai

if TYPE_CHECKING:
    from types import ModuleType


class Row(Struct, frozen=True):
    """Classes of one package, by name (none given: every class), and where they keep what leads to a client.

    `special(walk, object, path)` is for what paths cannot say. `hint` tells what to do about a class that does not use
    HTTP clients of either family.
    """

    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    special: Callable[..., None] | None = None
    hint: str = ""


_OTHER_SDK: Final = "send these calls through an SDK that it covers (docs/coverage.md)"
_INSTALL: Final = "call llmtrace.install(), which covers clients wherever they are created"

# The SDKs that Stainless generates: the client holds the HTTP client, and every resource (`client.chat`) the client.
_STAINLESS: Final = Row(
    ("SyncAPIClient", "AsyncAPIClient", "SyncAPIResource", "AsyncAPIResource"),
    paths=("_client",),
)
_WEBSOCKET: Final = Row(
    (
        "RealtimeConnection", "AsyncRealtimeConnection", "RealtimeConnectionManager", "AsyncRealtimeConnectionManager",
        "ResponsesConnection", "AsyncResponsesConnection", "ResponsesConnectionManager",
        "AsyncResponsesConnectionManager",
    ),
    hint="realtime sessions run over a websocket, which llmtrace does not cover",
)  # fmt: skip
_COHERE: Final = "_client_wrapper.httpx_client.httpx_client"

ROWS: Final[dict[str, tuple[Row, ...]]] = {
    "openai": (_STAINLESS, _WEBSOCKET),
    "anthropic": (_STAINLESS,),
    "groq": (_STAINLESS,),
    "together": (_STAINLESS,),
    "cerebras": (_STAINLESS,),
    "fireworks": (_STAINLESS,),
    "google.genai": (
        Row(("BaseApiClient",), special=google.api_client),
        Row(("_BaseChat",), paths=("_modules",)),
        Row(("Client", "AsyncClient", "BaseModule"), paths=("_api_client",)),
    ),
    "mistralai": (Row(paths=("sdk_configuration.client", "sdk_configuration.async_client")),),
    "cohere": (Row(paths=(_COHERE, f"_raw_client.{_COHERE}")),),
    "ollama": (Row(paths=("_client",)),),
    "replicate": (Row(paths=("_client", "_async_client")),),
    "huggingface_hub": (
        Row(("InferenceClient",), special=huggingface.shared_client),
        Row(("AsyncInferenceClient",), special=huggingface.own_client),
    ),
    "instructor": (Row(("Instructor", "AsyncInstructor"), paths=("client",)),),
    "langchain_core": (
        Row(
            ("BaseLanguageModel", "Embeddings"),
            paths=("root_client", "root_async_client", "client", "async_client", "_client", "_async_client"),
        ),
        Row(("RunnableSequence",), paths=("first", "middle", "last")),
        Row(("RunnableBindingBase",), paths=("bound",)),
        Row(("RunnableWithFallbacks",), paths=("runnable", "fallbacks")),
        Row(("RunnableParallel",), paths=("steps__",)),
    ),
    "llama_index": (Row(("BaseLLM", "BaseEmbedding"), special=llama_index.model),),
    "pydantic_ai": (
        Row(("Provider",), special=agents.pydantic_ai_provider),
        Row(("AbstractModel", "Model", "EmbeddingModel"), paths=("_provider", "client", "wrapped", "models")),
        Row(("AbstractAgent", "Embedder"), special=agents.pydantic_ai_agent),
    ),
    "agents": (
        Row(("AgentBase",), special=agents.openai_agent),
        Row(("OpenAIProvider",), special=agents.openai_agents_provider),
        Row(("MultiProvider",), paths=("openai_provider",)),
        Row(("RunConfig",), paths=("model", "model_provider")),
        Row(("Model",), paths=("_client",)),
    ),
    "mcp": (
        Row(
            ("Client", "ClientSession", "ClientSessionGroup"),
            hint="create the HTTP client yourself, pass it to instrument(), and then to the transport: "
            "streamable_http_client(url, http_client=client)",
        ),
    ),
    "botocore": (
        Row(hint="boto3 sends over urllib3, which llmtrace does not cover: use AnthropicBedrock of the anthropic SDK"),
    ),
    "boto3": (
        Row(hint="boto3 sends over urllib3, which llmtrace does not cover: use AnthropicBedrock of the anthropic SDK"),
    ),
    "xai_sdk": (
        Row(hint="xai_sdk sends over gRPC, which llmtrace does not cover: use the openai SDK with xAI's base URL"),
    ),
    "dspy": (Row(hint=f"dspy sends over sockets of its own, which llmtrace does not cover: {_OTHER_SDK}"),),
    "voyageai": (Row(hint="voyageai sends over requests and aiohttp, which llmtrace does not cover"),),
    "requests": (Row(hint=f"requests is not httpx, and llmtrace does not cover it: {_OTHER_SDK}"),),
    "aiohttp": (Row(hint=f"aiohttp is not httpx, and llmtrace does not cover it: {_OTHER_SDK}"),),
    "grpc": (Row(hint="gRPC is not HTTP/1.1 over httpx, and llmtrace does not cover it"),),
    "websockets": (_WEBSOCKET,),
}

MODULES: Final[dict[str, Row]] = {
    "openai": Row(special=openai.module),
    "ollama": Row(paths=("_client",)),
    "replicate": Row(paths=("default_client",)),
    "litellm": Row(hint=_INSTALL),
}


def row_of(kind: type) -> Row | None:
    """The row of a class, by its own name or a base's; None when it is of no known package."""
    for base in kind.__mro__:
        root, _, rest = base.__module__.partition(".")
        rows = ROWS.get(root) or ROWS.get(f"{root}.{rest.partition('.')[0]}") or ()
        for row in rows:
            if not row.names or base.__name__ in row.names:
                return row
    return None


def module_row(module: ModuleType) -> Row | None:
    """The row of a module that can be used like a client."""
    return MODULES.get(module.__name__)
