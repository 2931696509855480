"""The frames of a WebSocket connection, passed on both ways until one side closes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llmtrace_sdk.core.exchange import Exchange
    from llmtrace_sdk.core.model import StreamEnd

    Receive = Callable[[], Awaitable[Any]]
    Sender = Callable[[Any], Awaitable[None]]
    Upstream = aiohttp.ClientWebSocketResponse

_NORMAL: Final = 1000
_GOING: Final = 1001
_UNTOLD: Final = 1005
_BAD_GATEWAY: Final = 1014


class Closed(NamedTuple):
    """How a side closed. `code` is None where it told none; `broken`: its connection ended without a word."""

    code: int | None
    reason: str = ""
    broken: bool = False


async def both_ways(receive: Receive, send: Sender, upstream: Upstream, exchange: Exchange) -> StreamEnd:
    """Pass frames on until one side closes, and tell the other."""
    up = asyncio.create_task(_up(receive, upstream, exchange))
    down = asyncio.create_task(_down(send, upstream, exchange))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        # who cannot send any more has not been told why: the other one is
        by_client = (down.result() is None) if down.done() else (up.result() is not None)
        closed = await (up if by_client else down) or Closed(_BAD_GATEWAY, broken=True)
        return await (_tell_upstream(upstream, closed) if by_client else _tell_client(send, closed))
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _up(receive: Receive, upstream: Upstream, exchange: Exchange) -> Closed | None:
    """What the client says; gives how it closes, or None when the upstream is away."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code")
            # without a reason, not even an empty one, there was no closing frame
            return Closed(None if code == _UNTOLD else code, message.get("reason") or "", "reason" not in message)
        text = message.get("text")
        try:
            if text is not None:
                data = text.encode()
                await upstream.send_frame(data, aiohttp.WSMsgType.TEXT)
            else:
                data = message["bytes"]
                await upstream.send_bytes(data)
        except (aiohttp.ClientError, OSError):
            return None
        exchange.traffic.request_bytes += len(data)


async def _down(send: Sender, upstream: Upstream, exchange: Exchange) -> Closed | None:
    """What the upstream says; gives how it closes, or None when the client is away."""
    while True:
        message = await upstream.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            exchange.feed(message.data.encode())
            told = {"type": "websocket.send", "text": message.data}
        elif message.type is aiohttp.WSMsgType.BINARY:
            exchange.feed(message.data)
            told = {"type": "websocket.send", "bytes": message.data}
        elif message.type is aiohttp.WSMsgType.CLOSE:
            return Closed(message.data or None, message.extra or "")
        elif message.type is aiohttp.WSMsgType.ERROR:
            return Closed(getattr(message.data, "code", _BAD_GATEWAY), broken=True)
        else:
            return Closed(_BAD_GATEWAY, broken=True)
        try:
            await send(told)
        except OSError:
            return None


async def _tell_upstream(upstream: Upstream, closed: Closed) -> StreamEnd:
    code = _GOING if closed.broken else closed.code or _NORMAL
    await upstream.close(code=code, message=closed.reason.encode())
    return "complete" if code == _NORMAL else "closed"


async def _tell_client(send: Sender, closed: Closed) -> StreamEnd:
    with suppress(OSError):  # it may have gone at the same time
        await send({"type": "websocket.close", "code": closed.code, "reason": closed.reason})
    return "error" if closed.broken else "complete"
