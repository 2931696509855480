"""The client that sends calls on. aiohttp, by measurement: a quarter of httpx's CPU time per call, and the boundaries
of chunks survive it.
"""

from __future__ import annotations

import asyncio
import io
import re
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp
from aiohttp import hdrs
from yarl import URL

from llmtrace_relay.requests import Upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.config import Settings

# What the caller did not say is not said for it.
_SAID_BY_CALLERS: Final = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT, hdrs.CONTENT_TYPE)
_READ_BYTES: Final = 1 << 16
_HEAD_BYTES: Final = 1 << 16
_AT_ONCE_BYTES: Final = 1 << 18
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
KEPT_ALIVE_S: Final = 15.0
"""Shorter than vendors keep a connection, so that a call hardly ever meets one that was just closed."""


class UpstreamFailed(Exception):
    """The upstream could not be reached, or broke off. The message is for the caller."""


class Answer(Protocol):
    """An answer that has begun to come."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """The header fields, in order, as they came."""

    async def chunk(self) -> bytes:
        """The next chunk, as it came; empty at the end. Raises `UpstreamFailed`."""

    def close(self) -> None:
        """Let go of it; what is still to come is not wanted."""


class Client(Protocol):
    """What sends calls on; one for each worker."""

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes | Upload | None) -> Answer:
        """Send a request and wait for the head of its answer. Raises `UpstreamFailed`."""

    async def close(self) -> None:
        """Close the connections."""


class AiohttpAnswer:
    """An answer of aiohttp's."""

    __slots__ = ("_content", "_idle_s", "_loop", "_response", "_since", "_timer", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, idle_s: float) -> None:
        self.status = response.status
        self.headers = response.raw_headers
        self._response = response
        self._content = response.content
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def chunk(self) -> bytes:
        """The next chunk, as it came; empty at the end. Raises `UpstreamFailed`."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._idle_s, self._look)
        self._since = self._loop.time()
        try:
            data, ended = await self._content.readchunk()
            # the end of a chunk whose bytes had all come before; what has no body at all says so for ever
            while not data and ended and not self._content.at_eof():
                data, ended = await self._content.readchunk()
        except (aiohttp.ClientError, OSError) as error:
            self.close()
            raise UpstreamFailed("the upstream broke its answer off") from error
        self._since = None
        if not data:
            self._timer.cancel()
        return data

    def close(self) -> None:
        """Let go of it; what is still to come is not wanted."""
        if self._timer is not None:
            self._timer.cancel()
        self._response.close()

    def _look(self) -> None:
        """One timer for each answer, not one for each chunk: it looks how long one has been waited for. While nobody
        waits, it is the client that takes its time.
        """
        left = self._idle_s if self._since is None else self._since + self._idle_s - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._content.set_exception(TimeoutError(f"nothing came for {self._idle_s:g} s"))


class AiohttpClient:
    """aiohttp, without anything that it does by itself: redirects, cookies, decoding, headers, time-outs."""

    def __init__(self, settings: Settings) -> None:
        self._head_s = settings.timeout_ms / 1000
        self._idle_s = settings.idle_timeout_ms / 1000
        connect_s = settings.connection_timeout_ms / 1000
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=settings.max_connections,
                keepalive_timeout=KEPT_ALIVE_S,
                ttl_dns_cache=30,
                socket_factory=partial(_socket, settings.idle_timeout_ms),
            ),
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=connect_s, sock_read=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_SAID_BY_CALLERS,
            trust_env=False,  # it would read ~/.netrc for each call, and send what it finds there
            read_bufsize=_READ_BYTES,
            max_line_size=_HEAD_BYTES,
            max_field_size=_HEAD_BYTES,
        )

    async def send(
        self, method: str, url: str, headers: list[tuple[str, str]], body: bytes | Upload | None
    ) -> AiohttpAnswer:
        """Send a request and wait for the head of its answer. Raises `UpstreamFailed`."""
        try:
            async with (body.taken_within if isinstance(body, Upload) else asyncio.timeout)(self._head_s):
                response = await self._session.request(
                    method, URL(url, encoded=True), headers=headers, data=_in_pieces(body), allow_redirects=False
                )
        except TimeoutError as error:
            raise UpstreamFailed("the upstream did not answer in time") from error
        except (aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError) as error:
            raise UpstreamFailed("the upstream cannot be reached") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailed("the upstream broke the connection off") from error
        if not can_be_told(response):
            response.close()
            raise UpstreamFailed("the upstream's answer is not HTTP")
        return AiohttpAnswer(response, self._idle_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def _socket(deaf_ms: int, address: tuple[Any, ...]) -> socket.socket:
    """A socket that the system gives up where the other side takes nothing any more of what is still to be sent: one
    that was closed would wait for that without end, with all of it.
    """
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, deaf_ms)
    return made


def _in_pieces(body: bytes | Upload | None) -> bytes | io.BytesIO | Upload | None:
    """A large body as something to read from: other calls go on between the pieces."""
    return io.BytesIO(body) if isinstance(body, bytes) and len(body) > _AT_ONCE_BYTES else body or None


def can_be_told(response: aiohttp.ClientResponse) -> bool:
    """Whether a status and header fields can go on: a change of protocols, which nobody asked for, cannot."""
    return 200 <= response.status < 600 and not any(_CONTROL.search(value) for _, value in response.raw_headers)
