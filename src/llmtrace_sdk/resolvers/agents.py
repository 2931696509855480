"""Agent frameworks: pydantic-ai and openai-agents."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmtrace_sdk.resolvers.walk import Walk

_ONLY_A_NAME = "the agent's model is only a name: give the agent a model object, or call llmtrace.install()"


def pydantic_ai_agent(walk: Walk, agent: Any, path: str) -> None:
    """An agent, or a wrapper around one. A model that is only a name yet has no client."""
    for attributes in ("_model", "wrapped"):
        walk.follow(agent, path, attributes)
    if isinstance(getattr(agent, "_model", None), str):
        walk.advise(_ONLY_A_NAME)


def pydantic_ai_provider(walk: Walk, provider: Any, path: str) -> None:
    """A provider. A client of its own is replaced when a run starts on another event loop, as every `run_sync` may."""
    for attributes in ("_client", "_v1_client", "_own_http_client"):
        walk.follow(provider, path, attributes)
    if getattr(provider, "_own_http_client", None) is not None:
        walk.hook(provider, "_http_client_factory", path)


def openai_agent(walk: Walk, agent: Any, path: str) -> None:
    """An agent and those it may hand over to; without a model object, the client that all such agents share."""
    model = getattr(agent, "model", None)
    if model is None or isinstance(model, str):
        _shared_client(walk)
    else:
        walk.follow(agent, path, "model")
    walk.follow(agent, path, "handoffs")


def openai_agents_provider(walk: Walk, provider: Any, path: str) -> None:
    """A model provider; one that was given no client will use the shared one."""
    if getattr(provider, "_client", None) is None:
        _shared_client(walk)
    walk.follow(provider, path, "_client")


def _shared_client(walk: Walk) -> None:
    shared, provider = (sys.modules.get(f"agents.models.{name}") for name in ("_openai_shared", "openai_provider"))
    if shared is not None and provider is not None:
        walk.follow(shared, "agents.models._openai_shared", "get_default_openai_client()")
        walk.follow(provider, "agents.models.openai_provider", "shared_http_client()")
