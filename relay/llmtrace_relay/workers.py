"""Several workers at one address."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Final

from uvicorn.supervisors import Multiprocess

if TYPE_CHECKING:
    from uvicorn import Config

_SHARES_OUT: Final = sys.platform == "linux"
"""Whether the system shares connections out among sockets at one address."""


class Workers(Multiprocess):
    """Starts workers, and others in the place of those that die, until it is told to end.

    Where the system can do that, each has a listening socket of its own, and connections are shared out among them.
    From one for all, whoever wakes up first takes all that there are. And nobody listens any more as soon as no worker
    does: a socket of this process would let connections in that nobody serves.
    """

    def __init__(self, config: Config, listening: socket.socket) -> None:
        """Takes the socket over, which must be bound and not listen yet."""
        self._held = _again(listening) if _SHARES_OUT else listening
        self._given: list[socket.socket] = []
        super().__init__(config, [])

    @property
    def sockets(self) -> list[socket.socket]:
        """Those of a worker that is about to be started."""
        if not _SHARES_OUT:
            return [self._held]
        self._given.append(_bound(self._held.family, self._held.getsockname()))
        return self._given[-1:]

    @sockets.setter
    def sockets(self, _: list[socket.socket]) -> None:
        """Each worker has its own."""

    def init_processes(self) -> None:
        """Start all of them."""
        super().init_processes()
        self._let_go()

    def keep_subprocess_alive(self) -> None:
        """Start one in the place of each that has died, or hangs."""
        super().keep_subprocess_alive()
        self._let_go()

    def handle_signals(self) -> None:
        """Do what signals ask for: more workers, or others."""
        super().handle_signals()
        self._let_go()

    def terminate_all(self) -> None:
        """Tell all of them to end."""
        self._held.close()
        super().terminate_all()

    def _let_go(self) -> None:
        """The workers that were started have their sockets now."""
        while self._given:
            self._given.pop().close()


def end_with_parent() -> None:
    """Have this worker end as soon as nobody looks after it any more, whatever has become of who started it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), name="llmtrace-parent", daemon=True).start()


def _end_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _again(listening: socket.socket) -> socket.socket:
    """A socket at the same address that others may be bound to as well. That the first one could be bound without it
    shows that nobody else is there.
    """
    with closing(listening):
        family, address = listening.family, listening.getsockname()
    return _bound(family, address)


def _bound(family: int, address: tuple[str, int]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(address)
    return made
