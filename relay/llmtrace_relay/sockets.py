"""WebSocket calls (OpenAI's realtime API, say): frames pass both ways as they are, and are counted, not inspected.

The record of such a call says so: its coverage is `unscanned`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from yarl import URL

from llmtrace_relay.callers import labels_of
from llmtrace_relay.headers import Headers, to_upstream
from llmtrace_relay.targets import MissingKey, UnknownUpstream, credential, replaced, target_of
from llmtrace_sdk import runtime
from llmtrace_sdk.core.exchange import Exchange
from llmtrace_sdk.typing import RequestHead, ResponseHead

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from collections.abc import Set as AbstractSet

    from llmtrace_relay.store import Identity
    from llmtrace_relay.targets import Target
    from llmtrace_sdk.core.model import StreamEnd

    Receive = Callable[[], Awaitable[Any]]
    Sender = Callable[[Any], Awaitable[None]]

FRAME_BYTES: Final = 16 << 20
_POLICY: Final = 1008
_TRY_LATER: Final = 1013
_GOING: Final = 1001
_NO_REASON: Final = 1005
_BROKEN: Final = 1006
_ITS_OWN: Final = frozenset(
    {
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"sec-websocket-accept",
        b"origin",
        b"content-length",
    }
)


class Sockets:
    """Passes WebSocket calls on. `connect_s` is how long a connection may take. `refused` is told of those refused."""

    def __init__(self, connect_s: float, refused: Callable[[int, str], None]) -> None:
        self._connect_s = connect_s
        self._refused = refused
        self._session: aiohttp.ClientSession | None = None

    async def __call__(
        self,
        scope: Any,
        receive: Receive,
        send: Sender,
        headers: Headers,
        who: Identity,
        own_keys: AbstractSet[str],
    ) -> None:
        """Serve one connection."""
        if who.role == "viewer":
            self._refused(403, "role")
            await send({"type": "websocket.close", "code": _POLICY, "reason": "this key may only look"})
            return
        now = runtime.current()
        labels = labels_of(scope, headers, now.settings, who.tenant_id)
        try:
            target = target_of(now.settings, headers, scope["raw_path"], scope["query_string"], labels.tenant)
        except (UnknownUpstream, MissingKey):
            self._refused(400, "unknown_upstream")
            await send({"type": "websocket.close", "code": _POLICY, "reason": "no such upstream"})
            return
        base = target.base
        head = RequestHead("GET", base.scheme, base.host, base.port, target.path, headers)
        exchange = Exchange(now.pipeline, head, None, None, labels)
        flow = exchange.flow(None)
        flow.send(None)
        end: StreamEnd = "error"
        try:
            end = await self._connected(scope, receive, send, target, headers, own_keys, exchange, flow)
        except asyncio.CancelledError:
            end = "cancelled"
            raise
        finally:
            if exchange.finish(end):
                now.deliver(exchange, None)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _connected(
        self,
        scope: Any,
        receive: Receive,
        send: Sender,
        target: Target,
        headers: Headers,
        own_keys: AbstractSet[str],
        exchange: Exchange,
        flow: Any,
    ) -> StreamEnd:
        await receive()  # websocket.connect
        fields = _fields(target, headers, own_keys)
        try:
            upstream = await asyncio.wait_for(self._open(target, fields, scope["subprotocols"]), self._connect_s)
        except (aiohttp.ClientError, OSError, TimeoutError):
            self._refused(502, "upstream")
            await send({"type": "websocket.close", "code": _TRY_LATER, "reason": "the upstream cannot be reached"})
            return "error"
        with suppress(StopIteration):
            flow.send(ResponseHead(101, Headers(())))
        await send({"type": "websocket.accept", "subprotocol": upstream.protocol})
        try:
            return await _both_ways(receive, send, upstream, exchange)
        finally:
            await upstream.close()

    async def _open(
        self, target: Target, fields: list[tuple[str, str]], protocols: list[str]
    ) -> aiohttp.ClientWebSocketResponse:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), skip_auto_headers=(aiohttp.hdrs.USER_AGENT,), trust_env=False
            )
        return await self._session.ws_connect(
            URL(target.url, encoded=True),
            headers=fields,
            protocols=protocols,
            autoping=True,
            autoclose=False,
            max_msg_size=FRAME_BYTES,
        )


def _fields(target: Target, headers: Headers, own_keys: AbstractSet[str]) -> list[tuple[str, str]]:
    without = replaced(target) | {name.encode("latin-1") for name in own_keys} | _ITS_OWN
    return [*to_upstream(headers, without=without), *credential(target)]


async def _both_ways(
    receive: Receive, send: Sender, upstream: aiohttp.ClientWebSocketResponse, exchange: Exchange
) -> StreamEnd:
    """Until one side closes, which the other is then told."""
    up = asyncio.create_task(_up(receive, upstream, exchange))
    down = asyncio.create_task(_down(send, upstream, exchange))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        if up.done():
            await upstream.close(code=up.result())
            return "complete" if up.result() in (1000, _NO_REASON) else "closed"
        code = down.result()
        await send({"type": "websocket.close", "code": _GOING if code in (_BROKEN, _NO_REASON) else code})
        return "error" if code == _BROKEN else "complete"
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _up(receive: Receive, upstream: aiohttp.ClientWebSocketResponse, exchange: Exchange) -> int:
    """What the client says; gives the code with which it closes."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return int(message.get("code") or 1000)
        text = message.get("text")
        if text is not None:
            exchange.traffic.request_bytes += len(text)
            await upstream.send_str(text)
        else:
            exchange.traffic.request_bytes += len(message["bytes"])
            await upstream.send_bytes(message["bytes"])


async def _down(send: Sender, upstream: aiohttp.ClientWebSocketResponse, exchange: Exchange) -> int:
    """What the upstream says; gives the code with which it closes."""
    while True:
        message = await upstream.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            exchange.feed(message.data.encode())
            await send({"type": "websocket.send", "text": message.data})
        elif message.type is aiohttp.WSMsgType.BINARY:
            exchange.feed(message.data)
            await send({"type": "websocket.send", "bytes": message.data})
        else:
            return int(upstream.close_code or _BROKEN)
