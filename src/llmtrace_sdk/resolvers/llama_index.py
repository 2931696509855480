"""llama-index: models that make an SDK client at their first call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmtrace_sdk.resolvers.walk import Walk


def model(walk: Walk, model: Any, path: str) -> None:
    """A language or embedding model. With `reuse_client=False` it makes and closes a client for every call."""
    if getattr(model, "reuse_client", True) is False:
        walk.advise("reuse_client=False makes a client for each call: leave it out, or call llmtrace.install()")
        return
    for attributes in ("_get_client()", "_get_aclient()", "_client", "_aclient"):
        walk.follow(model, path, attributes)
