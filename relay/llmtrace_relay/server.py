"""uvicorn's HTTP protocol with bounds: how long a request's head may be, and how long it may take to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

HEAD_BYTES: Final = 64 << 10
HEAD_S: Final = 30.0


class Oversized(Exception):
    """The head of a request is too large."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A head of more than `HEAD_BYTES`, or one that takes longer than `HEAD_S` seconds, ends it."""

    _head_bytes = 0
    _in_head = True
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client has connected: its first head is awaited."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._calm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come; those of a head that is not complete are counted."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._too_slow)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of it. Raises `Oversized`, which the parser takes for a request that is none."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES:
            raise Oversized
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._in_head = False
        self._calm()
        super().on_headers_complete()

    def _calm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()
