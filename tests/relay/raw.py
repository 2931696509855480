"""HTTP by hand: an upstream and a client that write and read exactly the bytes that a test means."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class Message(NamedTuple):
    """A request or an answer as it came: its first line, its fields in order, its body, and the chunks of that."""

    line: str
    fields: list[tuple[str, str]]
    body: bytes
    chunks: list[bytes]

    def get(self, name: str) -> str | None:
        """The value of a field."""
        return next((value for key, value in self.fields if key.lower() == name), None)

    def all(self, name: str) -> list[str]:
        """The values of all fields of a name."""
        return [value for key, value in self.fields if key.lower() == name]


class Broken(Exception):
    """The connection ended before the message did."""

    def __init__(self, so_far: bytes) -> None:
        super().__init__(f"after {len(so_far)} bytes")
        self.so_far = so_far


class Reader:
    """Reads messages from a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._held = b""

    def message(self, *, answer: bool, bodiless: bool = False) -> Message:
        """The next message. Raises `Broken`."""
        head = self._until(b"\r\n\r\n").decode("latin-1")
        line, *rest = head.removesuffix("\r\n\r\n").split("\r\n")
        fields = [(name, value.strip()) for name, _, value in (each.partition(":") for each in rest)]
        found = Message(line, fields, b"", [])
        if bodiless or line.split(" ")[1] in ("204", "304"):
            return found
        if (found.get("transfer-encoding") or "").lower() == "chunked":
            chunks = self._chunks()
            return found._replace(body=b"".join(chunks), chunks=chunks)
        length = found.get("content-length")
        if length is None:
            return found._replace(body=self._rest()) if answer else found
        return found._replace(body=self._exactly(int(length)))

    def _chunks(self) -> list[bytes]:
        found: list[bytes] = []
        while True:
            try:
                size = int(self._until(b"\r\n").split(b";")[0], 16)
                chunk = self._exactly(size + 2)[:-2]
            except Broken:
                raise Broken(b"".join(found)) from None
            if not size:
                return found
            found.append(chunk)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._held:
            self._more()
        end = self._held.index(mark) + len(mark)
        taken, self._held = self._held[:end], self._held[end:]
        return taken

    def _exactly(self, size: int) -> bytes:
        while len(self._held) < size:
            self._more()
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def _rest(self) -> bytes:
        with suppress(Broken):
            while True:
                self._more()
        return self._held

    def _more(self) -> None:
        try:
            piece = self._connection.recv(65536)
        except ConnectionError:
            piece = b""
        if not piece:
            raise Broken(self._held)
        self._held += piece


class RawUpstream:
    """Serves each connection with `serve(connection, request)`, again and again until it ends; `requests` came."""

    def __init__(self, serve: Callable[[socket.socket, Message], None]) -> None:
        self.serve = serve
        self.requests: list[Message] = []
        self.gone = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            thread = threading.Thread(target=self._talk, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket) -> None:
        reader = Reader(connection)
        try:
            while True:
                request = reader.message(answer=False)
                self.requests.append(request)
                self.serve(connection, request)
        except (Broken, OSError, IndexError):
            self.gone.set()


def ask(url: str, request: bytes, *, bodiless: bool = False, timeout_s: float = 10.0) -> Message:
    """Send bytes, and read one answer. Raises `Broken`."""
    with connect(url, timeout_s) as connection:
        connection.sendall(request)
        return Reader(connection).message(answer=True, bodiless=bodiless)


def connect(url: str, timeout_s: float = 10.0) -> socket.socket:
    """A connection to a server."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def post(path: str, body: bytes, *fields: str) -> bytes:
    """A POST request as bytes."""
    lines = (f"POST {path} HTTP/1.1", "host: localhost", f"content-length: {len(body)}", *fields, "", "")
    return "\r\n".join(lines).encode("latin-1") + body


def chunked(*chunks: bytes) -> bytes:
    """Chunks as they go over the wire, with the last one."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
