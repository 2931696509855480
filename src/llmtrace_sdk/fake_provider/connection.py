"""One TCP connection: requests in, paced pieces out. No tasks, only the loop's callbacks, to stay cheap."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from . import delivery, http1
from .http1 import BadRequest, Request, RequestParser
from .reply import Mark, Piece, Reply
from .scenario import PLAIN, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .state import State

_BURST: Final = 64
"""Pieces written before other connections get their turn."""

_END: Final = object()


class Endpoint(Protocol):
    """Answers a request; never raises on what a peer sent."""

    def __call__(self, request: Request, state: State, /) -> tuple[Reply, Scenario]:
        """Give the reply and how to deliver it."""


class Connection(asyncio.Protocol):
    """Reads requests one after another and writes their replies.

    A peer that closes early ends the reply at once; that counts as aborted unless the reply was only being
    held open.
    """

    def __init__(self, respond: Endpoint, state: State, open_connections: set[Connection]) -> None:
        self._respond = respond
        self._state = state
        self._open = open_connections
        self._parser = RequestParser()
        self._pieces: Iterator[Piece] | None = None
        self._timer: asyncio.Handle | None = None
        self._write_chunk: Callable[[bytes], bytes] | None = None
        self._keep_alive = True
        self._counted = True
        self._paused = False
        self._held = False
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Counts the connection as open."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(self)
        self._state.open_connections += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Ends what was being written, and counts it as aborted."""
        self._open.discard(self)
        self._state.open_connections -= 1
        if (self._pieces is not None and not self._held) or self._paused:
            self._state.aborted += 1
        self._drop_reply()

    def abort(self) -> None:
        """Closes without waiting for the peer."""
        self._transport.abort()

    def eof_received(self) -> None:
        """Ends the connection: a peer that stops sending is taken to have gone."""
        if self._pieces is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        """Stops making pieces while the peer is slow."""
        self._paused = True

    def resume_writing(self) -> None:
        """Goes on making pieces."""
        self._paused = False
        if self._pieces is not None and self._timer is None:
            self._pump()

    def data_received(self, data: bytes) -> None:
        """Answers what has come; what comes during a reply waits, and too much of it ends the connection."""
        self._parser.feed(data)
        if self._pieces is None:
            self._advance()
        elif self._parser.buffered > http1.MAX_HEAD:
            self._transport.abort()

    def _advance(self) -> None:
        """Answers requests until one needs time or no complete one is left."""
        try:
            while self._pieces is None and not self._transport.is_closing():
                request = self._parser.next_request()
                if request is None:
                    break
                self._answer(request)
            if self._pieces is None and self._parser.expects_continue() and not self._transport.is_closing():
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        except BadRequest as error:
            head = http1.response_head(error.status, "text/plain", "content-length: 0\r\nconnection: close\r\n")
            self._transport.write(head)
            self._transport.close()

    def _answer(self, request: Request) -> None:
        reply, scenario = self._respond(request, self._state)
        self._keep_alive, self._counted = request.keep_alive, reply.counted
        if scenario is PLAIN and reply.events is None:
            head = self._head(reply, len(reply.body), "")
            self._transport.write(head if request.method == "HEAD" else head + reply.body)
            self._complete()
            return
        length, pieces = delivery.pieces(reply, scenario)
        head = self._head(reply, length, delivery.coding(scenario), scenario.media, request.takes_chunks)
        is_head = request.method == "HEAD"
        self._write_chunk = http1.chunk if length is None and request.takes_chunks and not is_head else None
        self._pieces = iter(()) if is_head else pieces
        if scenario.cut_head:
            head, self._pieces = head[: len(head) // 2], iter((Mark.CUT,))
        if scenario.first_s:
            self._timer = self._loop.call_later(scenario.first_s, self._start, head)
        else:
            self._start(head)

    def _head(self, reply: Reply, length: int | None, coding: str, media: str = "", takes_chunks: bool = True) -> bytes:
        framing = f"content-length: {length}\r\n" if length is not None else "transfer-encoding: chunked\r\n"
        if length is None and not takes_chunks:
            framing, self._keep_alive = "", False
        if coding:
            framing += f"content-encoding: {coding}\r\n"
        if not self._keep_alive:
            framing += "connection: close\r\n"
        count = self._state.requests
        return http1.response_head(
            reply.status,
            media or reply.media,
            framing,
            f"x-request-id: req_fake{self._state.serial:08d}\r\nx-fake-requests: {count}\r\n{reply.headers}",
        )

    def _start(self, head: bytes) -> None:
        self._timer = None
        self._transport.write(head)
        if not self._paused and not self._transport.is_closing():
            self._pump()

    def _pump(self) -> None:
        """Writes pieces until the reply ends, the peer is slow, or a pause is due."""
        self._timer = None
        pieces = self._pieces
        assert pieces is not None
        for _ in range(_BURST):
            piece = next(pieces, _END)
            if isinstance(piece, bytes):
                self._write(piece)
                # A failed write closes the transport at once, but says so only on the loop's next round.
                if self._paused or self._transport.is_closing():
                    return
            elif isinstance(piece, float):
                self._timer = self._loop.call_later(piece, self._pump)
                return
            else:
                self._close_reply(piece)
                return
        self._timer = self._loop.call_soon(self._pump)

    def _write(self, piece: bytes) -> None:
        if piece:
            self._transport.write(self._write_chunk(piece) if self._write_chunk else piece)

    def _close_reply(self, ending: object) -> None:
        if ending is Mark.HOLD:
            self._held = True
            return
        if ending is Mark.CUT:
            self._drop_reply()
            self._transport.close()
            return
        if self._write_chunk:
            self._transport.write(b"0\r\n\r\n")
        self._drop_reply()
        self._complete()
        self._loop.call_soon(self._advance)

    def _complete(self) -> None:
        self._state.completed += self._counted
        if not self._keep_alive:
            self._transport.close()

    def _drop_reply(self) -> None:
        self._held = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pieces, self._pieces = self._pieces, None
        if pieces is not None and hasattr(pieces, "close"):
            pieces.close()
