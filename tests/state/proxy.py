"""Stands between a client and Redis: counts round trips, and keeps what the client says."""

from __future__ import annotations

import socket
import threading
from typing import Self


class Proxy:
    """Forwards connections of 127.0.0.1 to a port of it."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._said: list[bytes] = []
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.round_trips = 0
        self._answered = True

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._open):
            each.close()
        for thread in self._threads:
            thread.join(5)

    def heard(self) -> list[list[bytes]]:
        """The commands since the last time that this was asked, one list of words for each."""
        said, self._said = b"".join(self._said), []
        return commands(said)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open += (client, server)
            for ends in ((client, server, True), (server, client, False)):
                thread = threading.Thread(target=self._forward, args=ends)
                self._threads.append(thread)
                thread.start()

    def _forward(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        try:
            while data := source.recv(65536):
                if asks:
                    self._said.append(data)
                    self.round_trips += self._answered
                self._answered = not asks
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


def commands(said: bytes) -> list[list[bytes]]:
    """RESP arrays of bulk strings."""
    found, at = [], 0
    while at < len(said):
        end = said.index(b"\r\n", at)
        count, at = int(said[at + 1 : end]), end + 2
        words = []
        for _ in range(count):
            end = said.index(b"\r\n", at)
            size, at = int(said[at + 1 : end]), end + 2
            words.append(said[at : at + size])
            at += size + 2
        found.append(words)
    return found
