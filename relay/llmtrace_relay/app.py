"""The relay as an ASGI application: what is its own it serves itself, everything else it sends on."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from llmtrace_relay import replies, residents
from llmtrace_relay.assembly import Parts, assemble
from llmtrace_relay.auth import Denied
from llmtrace_relay.dashboard import Dashboard
from llmtrace_relay.headers import Headers
from llmtrace_relay.ingest import PATHS
from llmtrace_relay.listening import guards_host, is_own_host
from llmtrace_relay.store import Identity
from llmtrace_relay.workers import end_with_parent
from llmtrace_sdk import runtime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Receive = Callable[[], Awaitable[Any]]
    Sender = Callable[[Any], Awaitable[None]]

IDENTITY: Final = "llmtrace.identity"
_OPEN: Final = frozenset({"/health", "/ready", "/live"})
_OWN: Final = ("/api/v1/", "/api-doc/")
_OWN_PATHS: Final = frozenset({"/metrics", *PATHS})
_DESCRIPTION: Final = "/api-doc/openapi.json"
_ALL_TENANTS: Final = "metrics are those of all tenants: use auth.admin_key, or an admin key of no tenant"
_STRANGE_HOST: Final = "without keys this is served at 127.0.0.1 and localhost only; other names need auth.enabled"
_ONLY_LOOKS: Final = "calls need the role operator; this key may only look"
_log = logging.getLogger("llmtrace.relay")


class Relay:
    """One worker's relay. `make` builds its parts when the server starts."""

    def __init__(self, make: Callable[[], Awaitable[Parts]] = assemble) -> None:
        self._make = make
        self._parts: Parts | None = None
        self._dashboard = Dashboard()

    async def __call__(self, scope: Any, receive: Receive, send: Sender) -> None:
        """Serve a connection, as the server says (ASGI 3)."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(receive, send)
        elif kind == "http":
            assert self._parts is not None
            await self._serve(self._parts, scope, receive, send)
        elif kind == "websocket":
            assert self._parts is not None
            await self._connect(self._parts, scope, receive, send)

    async def _live(self, receive: Receive, send: Sender) -> None:
        await receive()
        try:
            self._parts = await self._make()
        except Exception as error:  # noqa: BLE001 - whatever it is, the server must be told that there is no start
            _log.exception("llmtrace relay: cannot start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._parts.health.draining = True
        await self._parts.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, parts: Parts, scope: Any, receive: Receive, send: Sender) -> None:
        path: str = scope["path"]
        if path in _OPEN:
            await parts.health(scope, receive, send)
            return
        if self._dashboard.serves(path):
            await self._dashboard(scope, receive, send)
            return
        headers = Headers(scope["headers"])
        try:
            who = await parts.authenticator.identify(headers)
        except Denied as denied:
            if path == _DESCRIPTION:  # it tells nothing that is not in the documentation
                scope[IDENTITY] = Identity(None, "viewer")
                await parts.api(scope, receive, send)
                return
            parts.metrics.refused(denied.status, "auth")
            kind = "auth_error" if path.startswith(_OWN) else replies.PROXY_ERROR
            await replies.say(send, replies.failed(denied.status, denied.message, kind))
            return
        scope[IDENTITY] = who
        own = path.startswith(_OWN) or path in _OWN_PATHS
        if own and guards_host(runtime.current().settings) and not is_own_host(headers.get("host")):
            await replies.say(send, replies.failed(403, _STRANGE_HOST, "auth_error"))
            return
        if path.startswith(_OWN):
            await parts.api(scope, receive, send)
        elif path == "/metrics":
            if who.everywhere or not runtime.current().settings.auth.enabled:
                await self._tell(parts, headers, send)
            else:
                await replies.say(send, replies.failed(403, _ALL_TENANTS, "auth_error"))
        elif path in PATHS and scope["method"] == "POST":
            await parts.ingest(scope, receive, send)
        elif who.role == "viewer":
            parts.metrics.refused(403, "role")
            await replies.say(send, replies.failed(403, _ONLY_LOOKS))
        else:
            await self._forward(parts, scope, receive, send, headers)

    async def _tell(self, parts: Parts, headers: Headers, send: Sender) -> None:
        """The metrics; put together off the event loop, since there may be those of other workers to read."""
        await parts.health.look()
        body, media = await asyncio.to_thread(parts.metrics.render, headers.get("accept"))
        fields = [(b"content-type", media.encode()), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _forward(self, parts: Parts, scope: Any, receive: Receive, send: Sender, headers: Headers) -> None:
        parts.metrics.active.inc()
        try:
            own = _own_keys(parts, scope, headers)
            await parts.forward(scope, receive, send, headers, scope[IDENTITY], own)
        finally:
            parts.metrics.active.dec()

    async def _connect(self, parts: Parts, scope: Any, receive: Receive, send: Sender) -> None:
        headers = Headers(scope["headers"])
        try:
            who = await parts.authenticator.identify(headers)
        except Denied as denied:
            parts.metrics.refused(denied.status, "auth")
            await replies.deny(send, replies.failed(denied.status, denied.message))
            return
        if who.role == "viewer":
            parts.metrics.refused(403, "role")
            await replies.deny(send, replies.failed(403, _ONLY_LOOKS))
            return
        parts.metrics.active.inc()
        try:
            await parts.sockets(scope, receive, send, headers, who, _own_keys(parts, scope, headers))
        finally:
            parts.metrics.active.dec()


def _own_keys(parts: Parts, scope: Any, headers: Headers) -> set[str]:
    """The header fields that have a key to a relay; a query is without them from now on."""
    if scope["query_string"]:
        scope["query_string"] = parts.authenticator.without_keys(scope["query_string"])
    return parts.authenticator.relay_key_in(headers)


async def _settled() -> Parts:
    parts = await assemble()
    residents.settle()
    return parts


def create() -> Relay:
    """The application, for a server that starts workers by name, in a process of its own."""
    end_with_parent()
    return Relay(_settled)
