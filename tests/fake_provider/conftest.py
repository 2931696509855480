"""One fake provider process for all these tests, and a client of bare sockets to look at its bytes."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from llmtrace_sdk.fake_provider import FakeProvider


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as http.client reads it, and its body undecoded."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[Any]:
        """The JSON of each server-sent event."""
        lines = self.body.decode().replace("\r\n", "\n").split("\n")
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        return [json.loads(line) for line in data if line != "[DONE]"]


Ask = Callable[..., Answer]


@pytest.fixture(scope="session")
def fake() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def ask(fake: FakeProvider) -> Ask:
    """ask(path, body, scenario="", method="POST", headers={}) -> Answer, on a connection of its own."""

    def send(
        path: str, body: Any = None, scenario: str = "", *, method: str = "", headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=10)
        asked = {"x-fake-scenario": scenario} if scenario else {}
        payload = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, payload, asked | (headers or {}))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    return send


@pytest.fixture
def wire(fake: FakeProvider) -> Iterator[socket.socket]:
    """A connected socket."""
    with socket.create_connection(("127.0.0.1", fake.port), timeout=10) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = bytearray()
    while data := connection.recv(65536):
        received += data
    return bytes(received)


@pytest.fixture
def until_close() -> Callable[[socket.socket], bytes]:
    return read_all
