"""A small HTTP server that stands for the relay: it gives out one policy, or does what it is told instead."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Relay:
    """`GET /api/v1/policy` of the relay, with an `ETag`. `asked` has the header fields of each request."""

    def __init__(self, port: int = 0) -> None:
        self.asked: list[Mapping[str, str]] = []
        self.statuses: list[int] = []
        self.connections = 0
        self.closes = False
        self.instead: Callable[[BaseHTTPRequestHandler], None] | None = None
        self._body, self._version = b"", 0
        self.announce({})
        self._open: list[socket.socket] = []
        self._server = _Server(("127.0.0.1", port), self._handler())
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def announce(self, policy: Any) -> None:
        """Give out another policy from now on."""
        self._version += 1
        self.gives({"version": self._version, "policy": policy, "state_url": None})

    def gives(self, told: Any) -> None:
        """Give out this, whatever it is."""
        self._body = told if isinstance(told, bytes) else json.dumps(told).encode()

    def drop(self) -> None:
        """Close all connections."""
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self.drop()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        tag = f'"{hash(self._body)}"'
        self.asked.append(dict(request.headers.items()))
        if self.instead is not None:
            self.instead(request)
            return
        if request.path != "/api/v1/policy":
            self.say(request, 404, b"no such page")
        elif request.headers.get("If-None-Match") == tag:
            self.say(request, 304, b"", ("ETag", tag))
        else:
            self.say(request, 200, self._body, ("ETag", tag), ("Content-Type", "application/json"))

    def say(self, request: BaseHTTPRequestHandler, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.statuses.append(status)
        request.send_response(status)
        for name, value in (*headers, *([("Content-Length", str(len(body)))] if status != 304 else [])):
            request.send_header(name, value)
        if self.closes:
            request.send_header("Connection", "close")
        request.end_headers()
        request.wfile.write(body)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                relay.connections += 1
                relay._open.append(self.request)
                super().setup()

            def do_GET(self) -> None:
                relay.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, *_: object) -> None:
        """A connection that was cut is what the tests are about."""
