"""The body of a request as ASGI tells it: whole, or piece by piece, and never more than is allowed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from llmtrace_relay.headers import Headers

    Receive = Callable[[], Awaitable[Any]]


SILENCE_S: Final = 60.0
"""How long nothing may come of a body that is not complete."""


class ClientGone(Exception):
    """The client went away."""


class TooSlow(Exception):
    """The client is there, but says nothing any more."""


class TooLarge(Exception):
    """The request is larger than the relay takes."""


def promised(headers: Headers, limit: int) -> None:
    """Raises `TooLarge` where a request says itself that it is."""
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > limit):
        raise TooLarge


async def whole(receive: Receive, limit: int) -> bytes:
    """All of a body of at most `limit` bytes. Raises `TooLarge`, `TooSlow` and `ClientGone`."""
    first = await _message(receive)
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
    """A body of at most `limit` bytes as it comes. Raises `TooLarge`, `TooSlow` and `ClientGone`."""
    more = True
    while more:
        message = await _message(receive)
        body: bytes = message.get("body", b"")
        limit -= len(body)
        if limit < 0:
            raise TooLarge
        more = bool(message.get("more_body"))
        if body:
            yield body


async def _message(receive: Receive) -> Any:
    try:
        async with asyncio.timeout(SILENCE_S):
            message = await receive()
    except TimeoutError:
        raise TooSlow from None
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message
