"""Bodies that go through the relay as they come, and how long the upstream's answer to them is waited for."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .inside import InsideRelay
from .raw import Message, RawUpstream, Reader, chunked, connect

if TYPE_CHECKING:
    from collections.abc import Iterator


HEAD = b"POST /v1/files HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
PIECES = [b"%d" % number * 1_000 for number in range(10)]


@pytest.fixture
def relay(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[InsideRelay]:
    with (
        RawUpstream(request.param) as upstream,
        InsideRelay(tmp_path, upstream_url=upstream.url, timeout_ms=600) as running,
    ):
        yield running


def answer(connection: socket.socket, request: Message) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(request.body), request.body))


def late(connection: socket.socket, request: Message) -> None:
    time.sleep(0.3)
    answer(connection, request)


def never(connection: socket.socket, _: Message) -> None:
    connection.recv(1)


def upload(client: socket.socket) -> Message:
    client.sendall(HEAD)
    for piece in PIECES:
        client.sendall(chunked(piece).removesuffix(b"0\r\n\r\n"))
        time.sleep(0.1)
    client.sendall(b"0\r\n\r\n")
    return Reader(client).message(answer=True)


@pytest.mark.parametrize("relay", [answer, late], indirect=True)
def test_the_time_of_an_upload_is_not_the_upstreams(relay: InsideRelay) -> None:
    with connect(relay.url) as client:
        reply = upload(client)
    assert reply.line == "HTTP/1.1 200 OK"
    assert reply.body == b"".join(PIECES)


@pytest.mark.parametrize("relay", [never], indirect=True)
def test_an_upstream_that_says_nothing_to_an_upload_is_not_waited_for(relay: InsideRelay) -> None:
    with connect(relay.url) as client:
        began = time.monotonic()
        reply = upload(client)
        took = time.monotonic() - began
    assert reply.line == "HTTP/1.1 502 Bad Gateway"
    assert b"did not answer in time" in reply.body
    assert 1.5 < took < 4  # the time of the upload, and then that of the answer


def test_an_upstream_that_takes_nothing_of_an_upload_is_not_waited_for(tmp_path: Path) -> None:
    deaf = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
    with InsideRelay(tmp_path, upstream_url=url, timeout_ms=600) as relay, deaf, connect(relay.url) as client:
        client.sendall(HEAD)
        over = threading.Event()
        sending = threading.Thread(target=_send_on, args=(client, over))
        sending.start()
        try:
            reply = Reader(client).message(answer=True)
        finally:
            over.set()
            client.shutdown(socket.SHUT_RDWR)
            sending.join()
    assert reply.line == "HTTP/1.1 502 Bad Gateway"


def _send_on(client: socket.socket, over: threading.Event) -> None:
    piece = chunked(b"x" * 65_536).removesuffix(b"0\r\n\r\n")
    try:
        for _ in range(600):  # more than all the buffers on the way hold
            if over.is_set():
                return
            client.sendall(piece)
    except OSError:
        pass


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system cannot be told")
def test_a_connection_that_takes_nothing_any_more_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with InsideRelay(tmp_path, upstream_url=url, timeout_ms=300, idle_timeout_ms=1000) as relay:
            with connect(relay.url) as client:
                length = 3 << 20
                client.sendall(b"POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % length)
                with suppress(OSError):
                    client.sendall(b"x" * length)
                assert Reader(client).message(answer=True).line == "HTTP/1.1 502 Bad Gateway"
            connection, _ = deaf.accept()
            with connection:
                deadline = time.monotonic() + 20
                while _connections_to(deaf.getsockname()[1]):
                    assert time.monotonic() < deadline, "the relay still holds the connection"
                    time.sleep(0.1)


def _connections_to(port: int) -> int:
    """How many there are in this system, seen from the side that made them."""
    remote = f"0100007F:{port:04X}"
    return sum(line.split()[2] == remote for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
