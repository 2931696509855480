"""Serving on a TCP port: for ever, or until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

from .connection import Connection
from .routes import respond
from .state import State

if TYPE_CHECKING:
    from collections.abc import Callable

ANNOUNCEMENT: Final = "fake provider on "
_BACKLOG: Final = 1024
_ROUNDS: Final = 3
_CLOSE_S: Final = 2.0


async def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    stop: asyncio.Event | None = None,
    started: Callable[[int], None] | None = None,
) -> None:
    """Serves until `stop` is set or the task is cancelled, then closes every connection.

    `port` 0 picks a free one; `started` is called with the port once connections are taken. Raises OSError
    when the port cannot be had.
    """
    loop = asyncio.get_running_loop()
    state, connections = State(), set[Connection]()
    server = await loop.create_server(lambda: Connection(respond, state, connections), host, port, backlog=_BACKLOG)
    try:
        if started:
            started(server.sockets[0].getsockname()[1])
        await (stop or asyncio.Event()).wait()
    finally:
        server.close()
        await _abort_all(connections)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), _CLOSE_S)


async def _abort_all(connections: set[Connection]) -> None:
    """Aborts also what was accepted just before: a transport reports its begin and its end one round later."""
    for _ in range(_ROUNDS):
        for connection in tuple(connections):
            connection.abort()
        await asyncio.sleep(0)


def run(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    announce: Callable[[str], object] = print,
    until_stdin_closes: bool = False,
) -> None:
    """Serves until interrupted or terminated, or, if asked, until standard input ends (leaving no orphan).

    `announce` is called once with a line that ends in the server's URL.
    """
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(host, port, announce, until_stdin_closes))


async def _run(host: str, port: int, announce: Callable[[str], object], until_stdin_closes: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    with contextlib.suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    if until_stdin_closes:
        # A daemon thread, because a blocked read on a pipe cannot be ended from inside on every platform.
        threading.Thread(target=_wait_for_stdin, args=(loop, stop), daemon=True).start()

    def started(bound: int) -> None:
        announce(f"{ANNOUNCEMENT}http://{host}:{bound}")
        sys.stdout.flush()

    await serve(host, port, stop=stop, started=started)


def _wait_for_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(stop.set)
