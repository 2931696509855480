"""Asking an upstream for a WebSocket: what it says to that, yes or no, is for the caller."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from yarl import URL

from llmtrace_relay.headers import to_client
from llmtrace_relay.upstream import can_be_told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import ClientHandlerType

    Fields = list[tuple[bytes, bytes]]

FRAME_BYTES: Final = 16 << 20
REFUSAL_BYTES: Final = 1 << 20
"""How much of the body of a refusal is passed on."""

_ABOUT_FRAMES: Final = b"sec-websocket-"


class NotConnected(Exception):
    """There is no connection. The message is for the caller; the cause is what went wrong, where something did."""


class Refusal(NotConnected):
    """The upstream refused it: with this status, these fields and this body."""

    def __init__(self, status: int, fields: Fields, body: bytes) -> None:
        super().__init__("the upstream refused the WebSocket")
        self.status = status
        self.fields = fields
        self.body = body


class Connection(aiohttp.ClientWebSocketResponse):
    """A connection to an upstream; `fields` are those of its answer that go on to the caller."""

    def __init__(self, reader: Any, writer: Any, protocol: str | None, response: Any, *more: Any, **named: Any) -> None:
        super().__init__(reader, writer, protocol, response, *more, **named)
        self.fields = _fields_of(response)


class Connector:
    """Connects to upstreams, within `limit_s` seconds each."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._session: aiohttp.ClientSession | None = None

    async def open(self, url: str, fields: list[tuple[str, str]], protocols: Sequence[str]) -> Connection:
        """Connect to an upstream. Raises `NotConnected`."""
        if self._session is None:
            self._session = _session()
        try:
            async with asyncio.timeout(self._limit_s):
                opened = await self._session.ws_connect(
                    URL(url, encoded=True),
                    headers=fields,
                    protocols=protocols,
                    autoping=True,
                    autoclose=False,
                    max_msg_size=FRAME_BYTES,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise NotConnected("Upstream request failed: it does not speak WebSocket there") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise NotConnected("Upstream request failed: the upstream cannot be reached") from error
        assert isinstance(opened, Connection)
        return opened

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=(aiohttp.hdrs.USER_AGENT,),
        trust_env=False,
        auto_decompress=False,
        middlewares=(_judge,),
        ws_response_class=Connection,
    )


async def _judge(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
    """Raises `Refusal`. Called for each answer, before aiohttp would follow a redirect with the caller's key."""
    response = await handler(request)
    if response.status == 101:
        return response
    try:
        raise await _no(response)
    finally:
        response.close()


async def _no(response: aiohttp.ClientResponse) -> NotConnected:
    if response.status < 300 or not can_be_told(response):
        return NotConnected("Upstream request failed: it does not speak WebSocket there")
    return Refusal(response.status, _fields_of(response), await _body_of(response))


async def _body_of(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.content.readexactly(REFUSAL_BYTES)
    except asyncio.IncompleteReadError as error:
        return error.partial


def _fields_of(response: aiohttp.ClientResponse) -> Fields:
    fields = to_client(response.raw_headers, resized=True)
    return [(name, value) for name, value in fields if not name.lower().startswith(_ABOUT_FRAMES)]
