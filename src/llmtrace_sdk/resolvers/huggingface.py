"""huggingface_hub: one client of the process for sync calls, and one for each object, made when awaited, for async."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from llmtrace_sdk.resolvers.hooks import AsyncHook

if TYPE_CHECKING:
    from llmtrace_sdk.resolvers.walk import Walk


def shared_client(walk: Walk, _client: Any, _path: str) -> None:
    """`InferenceClient`: the process's client, which hub downloads use too, and its successors.

    The hub closes it and makes another one after a fork and on `close_session()`. A factory that the program sets
    after this with `set_client_factory()` is not covered.
    """
    module: Any = sys.modules.get("huggingface_hub.utils._http")
    if hasattr(module, "get_session"):
        walk.follow(module, "huggingface_hub.utils", "_GLOBAL_CLIENT" if walk.unhook else "get_session()")
        walk.hook(module, "_GLOBAL_CLIENT_FACTORY", "huggingface_hub.utils._http")


def own_client(walk: Walk, client: Any, path: str) -> None:
    """`AsyncInferenceClient`: the client it has, or will make at its first call."""
    walk.follow(client, path, "_async_client")
    walk.hook(client, "_get_async_client", path, AsyncHook)
