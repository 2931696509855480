"""google-genai: a client for sync calls, one for each event loop for async calls, and aiohttp instead of the latter."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmtrace_sdk.resolvers.walk import Walk

log = logging.getLogger("llmtrace")


def api_client(walk: Walk, api: Any, path: str) -> None:
    """The clients behind `genai.Client`, `client.aio`, `client.models` and chats, all of which share them.

    Wherever aiohttp is installed, google-genai sends async calls through it, past any httpx client. So its choice is
    taken back: instrumented clients send async calls through the httpx client that the SDK has ready, which is also
    what it does without aiohttp. A program that passed its own `aiohttp_client` keeps that, uncovered, and is warned.
    """
    walk.follow(api, path, "_httpx_client")
    asynchronous = getattr(api, "_async_httpx_client", None)
    options = getattr(api, "_http_options", None)
    if walk.unhook:
        if vars(api).get("_use_aiohttp") is _never:
            del api._use_aiohttp
    elif asynchronous is None or getattr(options, "aiohttp_client", None) is not None:
        log.warning("llmtrace does not cover the async calls of this google-genai client: they go through aiohttp")
        return
    else:
        api._use_aiohttp = _never
    _per_loop(walk, asynchronous, f"{path}._async_httpx_client")


def _per_loop(walk: Walk, client: Any, path: str) -> None:
    if not getattr(client, "_per_loop", False):  # releases up to 2, or a transport that the program passed
        walk.visit(client, path)
        return
    walk.hook(client, "_client_for_running_loop", path)
    for inner in tuple(client._loop_clients.values()):
        walk.client(inner, f"{path}._loop_clients[...]")


def _never() -> bool:
    return False
