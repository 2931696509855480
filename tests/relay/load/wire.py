"""A client that does as it is told: reads slowly, goes away in the middle, sends half of what it has to say."""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

import httptools

if TYPE_CHECKING:
    from .kinds import Calls, Kind

SILENCE_S: Final = 30.0
SLOW_BUFFER: Final = 8192
BROKEN, CHANGED = "broken", "changed"


class Wire(asyncio.Protocol):
    """One connection, with at most one call on it. A call ends in the future `done`, with its status or what failed."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._rest: asyncio.TimerHandle | None = None
        self.done: asyncio.Future[int | str] = self._loop.create_future()
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._rest is not None:
            self._rest.cancel()
        self._end(BROKEN)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()
        if self._kind.rest_s and not self.done.done() and not self.transport.is_closing():
            self.transport.pause_reading()
            self._rest = self._loop.call_later(self._kind.rest_s, self._read_on)

    def call(self, kind: Kind, content: bytes) -> asyncio.Future[int | str]:
        """Send a request; the future's result is the status, 0 where the client left, or what failed."""
        self.done = self._loop.create_future()
        self._kind, self._chunks, self._crc, self._claimed = kind, 0, 0, -1
        if kind.rest_s:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_BUFFER)
        self.transport.write(content)
        if kind.reads == 0:
            self._end(0)
            self.transport.close()
        return self.done

    def _read_on(self) -> None:
        self._rest = None
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _end(self, result: int | str) -> None:
        if not self.done.done():
            self.done.set_result(result)

    # what the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-body-crc":
            self._claimed = int(value, 16)

    def on_body(self, body: bytes) -> None:
        self._crc = zlib.crc32(body, self._crc)
        self._chunks += 1
        if self._chunks == self._kind.reads:
            self._end(0)
            self.transport.abort()

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._end(CHANGED if status == 200 and self._claimed != self._crc else status)
        if not self._parser.should_keep_alive():
            self.transport.close()


class Clients:
    """Makes calls over as many connections as they need, and counts how they end by (kind, result)."""

    def __init__(self, url: str, calls: Calls) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._calls = calls
        self._idle: list[Wire] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self.ended: Counter[tuple[str, int | str]] = Counter()

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    async def closed_loop(self, connections: int, seconds: float) -> float:
        """So many calls at a time, the next one as soon as one has ended; gives the calls per second."""
        loop = asyncio.get_running_loop()
        began, before = loop.time(), self.ended.total()

        async def go_on() -> None:
            while loop.time() - began < seconds:
                await self._one()

        await asyncio.gather(*(go_on() for _ in range(connections)))
        return (self.ended.total() - before) / (loop.time() - began)

    async def open_loop(self, rate: float, seconds: float, most: int) -> float:
        """So many calls per second, whatever becomes of them, but never more than `most` at a time; gives the calls per
        second that were begun.
        """
        loop = asyncio.get_running_loop()
        began, begun = loop.time(), 0
        while (now := loop.time() - began) < seconds:
            due = int(now * rate)
            for _ in range(min(due - begun, most - self.under_way)):
                task = loop.create_task(self._one())
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                begun += 1
            await asyncio.sleep(0.005)
        taken = loop.time() - began
        await asyncio.gather(*self._under_way)
        return begun / taken

    async def _one(self) -> None:
        kind, content = self._calls.next()
        wire = await self._wire()
        try:
            result = await asyncio.wait_for(wire.call(kind, content), SILENCE_S)
        except TimeoutError:
            result = "silent"
            wire.transport.abort()
        self.ended[kind.name, result] += 1
        # a socket with a small buffer keeps it
        if result == kind.status and not kind.rest_s:
            self._idle.append(wire)
        else:
            wire.transport.close()

    async def _wire(self) -> Wire:
        while self._idle:
            wire = self._idle.pop()
            if not wire.closed and not wire.transport.is_closing():
                return wire
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(Wire, self._host, self._port)
        return wire

    def close(self) -> None:
        """Close the connections that nobody uses."""
        for wire in self._idle:
            wire.transport.close()
        self._idle.clear()
