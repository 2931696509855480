"""Wire formats, one file each. A file that defines `PROVIDER` is found by itself, in the order of the file names."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from llmtrace_sdk.providers._hosts import owner

if TYPE_CHECKING:
    from llmtrace_sdk.typing import Endpoint, Provider, RequestHead

__all__ = ["available", "find", "is_known_host", "owner"]

ENTRY_POINT_GROUP = "llmtrace.providers"
KNOWN_LIMIT = 256
# Wire formats that are told by the headers, and (AWS) hosts where the headers tell whether the body is signed.
BY_HEADERS = frozenset({"mcp", "bedrock"})
# Hosts that serve nothing but language models: what we do not recognise there is still worth a record.
MODEL_HOSTS = frozenset(
    {
        "api.openai.com",
        "api.anthropic.com",
        "generativelanguage.googleapis.com",
        "api.mistral.ai",
        "api.cohere.com",
        "api.groq.com",
        "api.together.xyz",
        "api.fireworks.ai",
        "api.cerebras.ai",
        "api.deepseek.com",
        "api.x.ai",
        "api.perplexity.ai",
        "api.replicate.com",
        "openrouter.ai",
    }
)


@lru_cache(maxsize=1)
def available() -> tuple[Provider, ...]:
    """Every known wire format: third-party ones (entry points) first, so that they can override ours."""
    ours = [
        importlib.import_module(f"{__name__}.{info.name}").PROVIDER
        for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name)
        if not info.name.startswith("_")
    ]
    theirs = [point.load() for point in entry_points(group=ENTRY_POINT_GROUP)]
    return (*theirs, *ours)


_known: dict[tuple[str, str, int | None, str], tuple[Provider, Endpoint]] = {}


def find(head: RequestHead) -> tuple[Provider, Endpoint] | None:
    """The wire format of a request, or None when nobody knows it."""
    key = (head.method, head.host, head.port, head.path)
    found = _known.get(key)
    if found is not None:
        return found
    for provider in available():
        endpoint = provider.match(head)
        if endpoint is not None:
            if provider.name not in BY_HEADERS and not head.host.endswith(".amazonaws.com"):
                if len(_known) >= KNOWN_LIMIT:
                    _known.clear()
                _known[key] = provider, endpoint
            return provider, endpoint
    return None


def is_known_host(host: str) -> bool:
    """Whether a host serves nothing but language models."""
    return host in MODEL_HOSTS or host.endswith(".openai.azure.com")
