"""uvicorn's HTTP protocol with bounds: how long a request's head may be, how long it may take to come, and how long its
answer may wait to be taken.

And with what clients do that uvicorn does not serve: they offer to go on in HTTP/2 with a request that has a body (as
Java's do), and speak HTTP/1.0 (as load balancers do), which knows no chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from llmtrace_relay.leaving import GONE

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

HEAD_BYTES: Final = 64 << 10
HEAD_S: Final = 30.0
TAKEN_S: Final = 300.0
"""How long a client may take nothing of an answer. It holds a connection to the upstream meanwhile."""
_NO_REQUEST: Final = "Invalid HTTP request received."
_OFFER: Final = frozenset({b"upgrade", b"http2-settings"})
_WITHOUT_CHUNKS: Final = frozenset({"0.9", "1.0"})


class Oversized(Exception):
    """The head of a request is too large."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A head of more than `HEAD_BYTES`, or one that takes longer than `HEAD_S` seconds, ends it, and so
    does a client that takes nothing of its answer for `TAKEN_S` seconds.
    """

    _head_bytes = 0
    _heads = 0
    _in_head = True
    _offers = False
    _lost = False
    _when_gone: Callable[[], None] | None = None
    _head_timer: asyncio.TimerHandle | None = None
    _taken_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client has connected: its first head is awaited."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._calm()
        self._no_longer_full()
        super().connection_lost(exc)
        self._lost = True
        if self._when_gone is not None:
            self._when_gone()
            self._when_gone = None

    def pause_writing(self) -> None:
        """The client does not take what it is sent as fast as it comes."""
        super().pause_writing()
        self._no_longer_full()
        self._look_again(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._no_longer_full()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Bytes have come; those of a head that is not complete are counted."""
        head = self._heads if self._in_head else -1
        self._unset_keepalive_if_required()
        try:
            if not self._read(data):
                return
        except httptools.HttpParserError:
            self.logger.warning(_NO_REQUEST)
            self.send_400_response(_NO_REQUEST)
            return
        if self._in_head and self._heads == head:  # what began just now is counted field by field
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too large.")
        if self._idle() and self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._too_slow)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self.scope[GONE] = self._tell_when_gone  # type: ignore[typeddict-unknown-key]
        self._in_head, self._head_bytes, self._offers = True, 0, False
        self._heads += 1
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._too_slow)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of it. Raises `Oversized`, which the parser takes for a request that is none."""
        if not self._in_head:
            return  # a trailer: it comes when the head has been judged, and must not be taken for a part of it
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES:
            raise Oversized
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._in_head = False
        self._calm()
        self._offers = self.parser.should_upgrade() and not self._should_upgrade() and self._get_upgrade() is not None
        if self._offers:
            return
        super().on_headers_complete()
        if self.cycle is not None and self.parser.get_http_version() in _WITHOUT_CHUNKS:
            self.cycle.__class__ = UntilClosed

    def on_message_complete(self) -> None:
        """The request is complete."""
        if not self._offers:
            super().on_message_complete()

    def _read(self, data: bytes) -> bool:
        """Have it parsed; False when the connection is somebody else's from now on. The parser stops behind a head that
        offers another protocol, whatever comes then: it goes on behind the same head without the offer.
        """
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as stop:
                if not self._offers:
                    return self._let_go()
                data = self._head_without_offer() + data[stop.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
            else:
                break
        return True

    def _let_go(self) -> bool:
        if self._should_upgrade():
            self.handle_websocket_upgrade()
            return False
        return True  # CONNECT, which is answered like any other method

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            said = b",".join(_others(value)) if name == b"connection" else value
            if name not in _OFFER and (said or name != b"connection"):
                lines.append(b"%s: %s" % (name, said))
        return b"\r\n".join([*lines, b"", b""])

    def _tell_when_gone(self, gone: Callable[[], None] | None) -> None:
        """Requests are answered one after the other, so there is one that waits at most."""
        self._when_gone = gone
        if gone is not None and self._lost:
            gone()

    def _idle(self) -> bool:
        """Whether no request is under way."""
        return not self._in_head and (self.cycle is None or self.cycle.response_complete)

    def _calm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _look_again(self, waiting: int) -> None:
        self._taken_timer = self.loop.call_later(TAKEN_S, self._look_if_taken, waiting)

    def _look_if_taken(self, before: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting < before:
            self._look_again(waiting)
        else:
            self.transport.abort()

    def _no_longer_full(self) -> None:
        if self._taken_timer is not None:
            self._taken_timer.cancel()
            self._taken_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()


class UntilClosed(RequestResponseCycle):
    """An answer to HTTP/1.0, which knows no chunks: where its length is not told it ends with the connection."""

    _open_end = False

    async def send(self, message: Any) -> None:
        """Send a part of it."""
        if message["type"] == "http.response.start":
            self._open_end = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
            if self._open_end:
                self.chunked_encoding = False
        elif self._open_end:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


def _others(connection: bytes) -> list[bytes]:
    """What a `Connection` field names besides the offer."""
    named = (each.strip() for each in connection.split(b","))
    return [each for each in named if each and each.lower() not in _OFFER]
