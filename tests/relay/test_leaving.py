"""A client that goes away takes its call with it: the upstream is let go at once."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from llmtrace_relay import leaving

from .inside import InsideRelay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
WHOLE = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"
UNREAD = b"POST /anything HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
BODILESS = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
def upstream() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.settimeout(10)
        yield listening


@pytest.mark.parametrize(
    "sent",
    [WHOLE, CHUNKED, UNREAD, BODILESS, WHOLE + BODILESS],
    ids=["whole", "chunked", "unread", "bodiless", "pipelined"],
)
@pytest.mark.parametrize("begun", [False, True], ids=["waiting", "streaming"])
def test_the_upstream_is_let_go(upstream: socket.socket, tmp_path: Path, sent: bytes, *, begun: bool) -> None:
    with InsideRelay(tmp_path, upstream_url=f"http://127.0.0.1:{upstream.getsockname()[1]}") as relay:
        at = urlsplit(relay.url)
        with closing(socket.create_connection((at.hostname, at.port), timeout=10)) as client:
            client.sendall(sent)
            connection, _ = upstream.accept()
            connection.settimeout(10)
            if begun:
                connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nHi\r\n")
                assert client.recv(1000).startswith(b"HTTP/1.1 200")
        with closing(connection):
            while _more(connection):
                pass


def _more(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(10_000))
    except ConnectionResetError:
        return False


def test_who_has_left_before_is_told_of_at_once() -> None:
    told: list[str] = []
    scope = {leaving.GONE: lambda gone: gone and gone()}
    leaving.watch(scope, None, lambda: told.append("gone"))()  # type: ignore[arg-type]
    assert told == ["gone"]


def test_other_servers_tell_it_by_a_message() -> None:
    told: list[str] = []

    async def serve() -> None:
        messages: asyncio.Queue[Any] = asyncio.Queue()
        leaving.watch({}, messages.get, lambda: told.append("gone"))
        stopped = leaving.watch({}, asyncio.Queue[Any]().get, lambda: told.append("never"))
        messages.put_nowait({"type": "http.request", "body": b""})
        messages.put_nowait({"type": "http.disconnect"})
        while not told:
            await asyncio.sleep(0)
        stopped()
        await asyncio.sleep(0)

    asyncio.run(serve())
    assert told == ["gone"]
