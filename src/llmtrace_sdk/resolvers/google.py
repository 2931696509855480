"""google-genai: a client for sync calls, one for each event loop for async calls, and aiohttp instead of the latter."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.resolvers.walk import Walk

log = logging.getLogger("llmtrace")


def api_client(walk: Walk, api: Any, path: str) -> None:
    """The clients behind `genai.Client`, `client.aio`, `client.models` and chats, all of which share them.

    Wherever aiohttp is installed, google-genai sends async calls through it, past any httpx client. So its choice is
    taken back: instrumented clients send async calls through the httpx client that the SDK has ready, which is also
    what it does without aiohttp. A program that passed its own `aiohttp_client` keeps that, uncovered, and is warned.
    """
    walk.follow(api, path, "_httpx_client")
    client: Any = getattr(api, "_async_httpx_client", None)
    if walk.unhook:
        _restore(api)
    elif client is None or getattr(api._http_options, "aiohttp_client", None) is not None:
        log.warning("llmtrace does not cover the async calls of this google-genai client: they go through aiohttp")
        return
    elif walk.wrap is not None:
        _take_over(api, walk.wrap, replace=walk.replace)
    if getattr(client, "_per_loop", False):  # since release 3, unless the program passed a transport
        walk.hook(client, "_client_for_running_loop", f"{path}._async_httpx_client")
        for inner in tuple(client._loop_clients.values()):
            walk.client(inner, f"{path}._async_httpx_client._loop_clients[...]")
    else:
        walk.visit(client, f"{path}._async_httpx_client")


class _OverHttpx:
    """Stands in for `_use_aiohttp`, which the SDK asks before every async request, and says no.

    Up to release 2 the httpx client has one pool for all event loops, and fails on the second one, where aiohttp would
    have got a new session. So there it is replaced once its loop is closed.
    """

    def __init__(self, api: Any, wrap: Callable[[Any], None]) -> None:
        self.wrap = wrap
        self._api = api
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self) -> bool:
        loop = asyncio._get_running_loop()
        if loop is not None and loop is not self._loop:
            if self._loop is not None and self._loop.is_closed():
                self._renew()
            self._loop = loop
        return False

    def _renew(self) -> None:
        old, arguments = self._api._async_httpx_client, getattr(self._api, "_async_httpx_client_args", None)
        if arguments is None or hasattr(old, "_per_loop"):
            return
        self._api._async_httpx_client = client = type(old)(**arguments)
        self.wrap(client)
        # or it would try to close its connections when it is collected, on a loop that is not theirs
        old._state = type(old._state).CLOSED


def _take_over(api: Any, wrap: Callable[[Any], None], *, replace: bool) -> None:
    current = vars(api).get("_use_aiohttp")
    if isinstance(current, _OverHttpx):
        if replace:
            current.wrap = wrap
    elif hasattr(api, "_use_aiohttp") and api._use_aiohttp():
        api._use_aiohttp = _OverHttpx(api, wrap)


def _restore(api: Any) -> None:
    if isinstance(vars(api).get("_use_aiohttp"), _OverHttpx):
        del api._use_aiohttp
