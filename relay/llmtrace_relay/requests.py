"""The body of a request as ASGI tells it: whole, or piece by piece, and never more than is allowed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from llmtrace_relay.headers import Headers

    Receive = Callable[[], Awaitable[Any]]


SILENCE_S: Final = 60.0
"""How long nothing may come of a body that is not complete. Of one that comes slowly it is what is left of that."""

LEAST_RATE: Final = 256
"""Bytes a second. What comes below it uses up `SILENCE_S`, what comes above gives that back: the slowest lines that are
in use carry several times as much, and 50 MB at this rate take two days, not a hundred years.
"""


class ClientGone(Exception):
    """The client went away."""


class TooSlow(Exception):
    """The client is there, but says nothing any more, or next to nothing."""


class TooLarge(Exception):
    """The request is larger than the relay takes."""


def promised(headers: Headers, limit: int) -> None:
    """Raises `TooLarge` where a request says itself that it is."""
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > limit):
        raise TooLarge


async def whole(receive: Receive, limit: int) -> bytes:
    """All of a body of at most `limit` bytes. Raises `TooLarge`, `TooSlow` and `ClientGone`."""
    first = await _message(receive, SILENCE_S)
    body: bytes = first.get("body", b"")
    if len(body) > limit:
        raise TooLarge
    if not first.get("more_body"):
        return body
    parts = [body]
    async for piece in pieces(receive, limit - len(body)):
        parts.append(piece)  # noqa: PERF401 - the limit may raise on the way
    return b"".join(parts)


async def pieces(receive: Receive, limit: int) -> AsyncIterator[bytes]:
    """A body of at most `limit` bytes as it comes. Raises `TooLarge`, `TooSlow` and `ClientGone`.

    Only the time that the client is waited for counts, not that in which nobody asks it for more.
    """
    clock, patience, more = asyncio.get_running_loop().time, SILENCE_S, True
    while more:
        asked = clock()
        message = await _message(receive, patience)
        body: bytes = message.get("body", b"")
        patience = min(patience - (clock() - asked) + len(body) / LEAST_RATE, SILENCE_S)
        limit -= len(body)
        if limit < 0:
            raise TooLarge
        more = bool(message.get("more_body"))
        if body:
            yield body


class Upload:
    """A body that nobody knows how to read, as it comes: the client of the upstream takes it, once.

    `since` is when the upstream's turn began, in the time of the event loop, or None while it is the caller's: more of
    the body is waited for. `done` is called at the end of it; `broken` is what kept it from coming to that.
    """

    __slots__ = ("_done", "_limit", "_receive", "broken", "since")

    def __init__(self, receive: Receive, limit: int, done: Callable[[], None]) -> None:
        self._receive = receive
        self._limit = limit
        self._done = done
        self.broken: Exception | None = None
        self.since: float | None = asyncio.get_running_loop().time()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        self.since = None
        try:
            async for piece in pieces(self._receive, self._limit):
                self.since = clock()
                yield piece
                self.since = None
        except (TooLarge, TooSlow, ClientGone) as error:
            self.broken = error
            raise
        self.since = clock()
        self._done()

    @asynccontextmanager
    async def taken_within(self, limit_s: float) -> AsyncIterator[None]:
        """Raises `TimeoutError` when the upstream has needed `limit_s` seconds: for the answer from the end of the body
        on, or before that for a part of it.
        """
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle

        def look() -> None:
            nonlocal timer
            left = limit_s if self.since is None else self.since + limit_s - loop.time()
            if left > 0:
                timer = loop.call_later(left, look)
            else:
                limit.reschedule(loop.time())

        async with asyncio.timeout(None) as limit:
            timer = loop.call_later(limit_s, look)
            try:
                yield
            finally:
                timer.cancel()


async def _message(receive: Receive, patience_s: float) -> Any:
    try:
        async with asyncio.timeout(patience_s):
            message = await receive()
    except TimeoutError:
        raise TooSlow from None
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message
