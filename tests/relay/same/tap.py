"""A wire between a client and a server that keeps what the server says."""

from __future__ import annotations

import select
import socket
import threading
import time
from typing import Self

from tests.relay.raw import Broken, Message, Reader

PIECE = 1 << 16
WAIT_S = 5.0


class _Said:
    """Bytes that were said, to be read like a connection."""

    def __init__(self, data: bytes) -> None:
        self.left = data

    def recv(self, _: int) -> bytes:
        data, self.left = self.left, b""
        return data


class Tap:
    """Passes connections on to the server at an address, and has one of its own: `url`."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._wake, self._woken = socket.socketpair()
        self._said: dict[socket.socket, bytearray] = {}
        self._other: dict[socket.socket, socket.socket] = {}
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b"x")
        self._thread.join()
        for each in (self._listener, self._wake, self._woken, *self._other):
            each.close()

    def answers(self) -> list[Message]:
        """What has been answered since the last time, in the order of connections. What is still coming is waited for;
        where the client left when all but the end of the last chunk was there, that is no difference.
        """
        found: list[Message] = []
        for server, said in list(self._said.items()):
            deadline = time.monotonic() + WAIT_S
            while (messages := _messages(bytes(said))) is None and server in self._other:
                assert time.monotonic() < deadline, "the answer does not end"
                time.sleep(0.002)
            found += (_messages(bytes(said) + b"0\r\n\r\n") or []) if messages is None else messages
            said.clear()
        return found

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._woken, *self._other], [], [])
            if self._woken in ready:
                return
            for each in ready:
                if each is self._listener:
                    self._connect()
                elif each in self._other:
                    self._pass(each)

    def _connect(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(self._server)
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._other |= {client: server, server: client}
        self._said[server] = bytearray()

    def _pass(self, side: socket.socket) -> None:
        other = self._other[side]
        try:
            data = side.recv(PIECE)
            if side in self._said:
                self._said[side] += data
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for each in (side, other):
            del self._other[each]
            each.close()


def _messages(said: bytes) -> list[Message] | None:
    """The answers in what was said; None while the last one is not complete."""
    connection, found = _Said(said), []
    reader = Reader(connection)  # type: ignore[arg-type]
    try:
        while connection.left or reader._held:
            found.append(reader.message(answer=True))
    except Broken:
        return None
    return found
