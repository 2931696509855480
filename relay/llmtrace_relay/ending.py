"""A connection while the server ends: nobody who could not know of that is turned away."""

from __future__ import annotations

from typing import Any, Final

from llmtrace_relay.server import BoundedProtocol

LAST_S: Final = 1.0
"""How long a connection without a request is kept then: one may be on its way."""


class EndingProtocol(BoundedProtocol):
    """One connection. When the server ends, each request that still comes is answered, with `connection: close`.

    `ending`: it does.
    """

    ending = False

    def connection_made(self, transport: Any) -> None:
        """A client has connected."""
        super().connection_made(transport)
        if self.ending:
            self.loop.call_later(LAST_S, self._last)

    def shutdown(self) -> None:
        """The server ends."""
        self.ending = True
        if self._has_no_request():
            self.loop.call_later(LAST_S, self._last)
        elif not self.cycle.response_started:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """An answer is complete. One that had begun before has not told its client not to ask again."""
        super().on_response_complete()
        if self.ending:
            self.loop.call_later(LAST_S, self._last)

    def on_headers_complete(self) -> None:
        """The head of a request is complete."""
        super().on_headers_complete()
        if self.ending and self.cycle is not None:
            self.cycle.keep_alive = False

    def _has_no_request(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _last(self) -> None:
        begun = self._in_head and self._heads
        if self._has_no_request() and not begun and not self.transport.is_closing():
            self.transport.close()
