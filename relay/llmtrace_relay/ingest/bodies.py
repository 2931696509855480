"""The bodies of requests, read within bounds of size, time and memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Self

from llmtrace_relay.ingest.inflate import too_large
from llmtrace_relay.ingest.refusals import Refused, busy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from types import TracebackType

READ_TIMEOUT_S: Final = 60.0
HELD_LIMIT: Final = 4
"""How many of the largest bodies may be held in memory together."""

_LONGEST_LENGTH: Final = 19


class Gone(Exception):
    """The client went away before its request was there."""


class Room:
    """The memory for all bodies of one event loop."""

    def __init__(self) -> None:
        self.held = 0

    def body(self, limit: int) -> Body:
        """Place for one body of at most `limit` bytes, as long as it is entered."""
        return Body(self, limit)


class Body:
    """A body that is being read, and then held."""

    def __init__(self, room: Room, limit: int) -> None:
        self._room = room
        self._limit = limit
        self._size = 0

    async def read(self, length: str, receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> bytes:
        """All of it; `length` is what its head says. Raises `Gone`, or `Refused` with 408, 413 or 503."""
        if length.isascii() and length.isdigit() and (len(length) > _LONGEST_LENGTH or int(length) > self._limit):
            raise too_large(self._limit)
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                while await self._chunk(chunks, receive):
                    pass
        except TimeoutError:
            raise Refused(408, f"the body did not come within {READ_TIMEOUT_S:g} s") from None
        return b"".join(chunks)

    async def _chunk(self, chunks: list[bytes], receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> bool:
        """One more piece; gives whether there are others."""
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        chunk: bytes = message.get("body", b"")
        self._size += len(chunk)
        self._room.held += len(chunk)
        if self._size > self._limit:
            raise too_large(self._limit)
        if self._room.held > self._limit * HELD_LIMIT:
            raise busy()
        chunks.append(chunk)
        return bool(message.get("more_body", False))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.held -= self._size
        self._size = 0
