"""An event loop whose servers turn nobody away when they close: who has connected by then is served."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import uvloop

from llmtrace_relay.ending import EndingProtocol

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable


class Loop(uvloop.Loop):
    """uvloop's, with such servers where the listening socket is given."""

    async def create_server(self, protocol_factory: Callable[[], Any], *args: Any, **named: Any) -> Any:
        """See `asyncio.loop.create_server`."""
        server = await super().create_server(protocol_factory, *args, **named)
        listening = named.get("sock")
        if listening is None:
            return server
        return Listener(server, listening, Last(self, protocol_factory, named.get("ssl")))


class Listener:
    """A server; the system takes connections for it that it is told of a moment later."""

    def __init__(self, server: asyncio.AbstractServer, listening: socket.socket, last: Last) -> None:
        self._server = server
        self._listening = listening
        self._last = last
        self._closed = False

    def close(self) -> None:
        """Take no more connections than there are."""
        if not self._closed:
            self._closed = True
            self._listening.settimeout(0)
            with suppress(OSError):  # that there are no more
                while True:
                    self._last.serve(self._listening.accept()[0])
        self._server.close()

    async def wait_closed(self) -> None:
        """Wait until it is closed."""
        await self._server.wait_closed()


class Last:
    """Serves connections that were taken when the server ended."""

    def __init__(self, loop: Loop, factory: Callable[[], Any], ssl: Any) -> None:
        self._loop = loop
        self._factory = factory
        self._ssl = ssl
        self._begun: set[asyncio.Task[None]] = set()

    def serve(self, connection: socket.socket) -> None:
        """Serve one; gives at once."""
        task = self._loop.create_task(self._begin(connection))
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)

    async def _begin(self, connection: socket.socket) -> None:
        with suppress(OSError):  # it has gone again, or did not agree on encryption
            await self._loop.connect_accepted_socket(self._ended, connection, ssl=self._ssl)

    def _ended(self) -> Any:
        made = self._factory()
        if isinstance(made, EndingProtocol):
            made.ending = True
        return made
