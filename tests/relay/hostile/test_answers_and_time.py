"""Upstreams that speak no HTTP, and clients that do not read, or take for ever."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from llmtrace_relay import requests, server
from llmtrace_relay.api import _edges
from tests.relay.inside import InsideRelay
from tests.relay.raw import RawUpstream, Reader, ask, connect, post

from .talk import CHAT, HELLO, JSON, answer, plain, question, status_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.relay.raw import Message, RawUpstream
    from tests.relay.running import RunningRelay


@pytest.mark.parametrize(
    "said",
    [
        answer(status="999 Odd"),
        answer(status="600 Odd"),
        answer(status="099 Odd"),
        answer(b"", "101 Switching Protocols", "connection: upgrade", "upgrade: h2c"),
        answer(b"{}", "200 OK", "x-odd: a\x01b"),
        answer(b"{}", "200 OK", "x-odd: a\rb"),
        answer(b"{}", "200 OK", "x odd: 1"),
        answer(b"{}", "200 OK", "content-length: 3"),
        answer(b"{}", "200 OK", "x-odd: " + "a" * 80_000),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ],
)
def test_an_answer_that_cannot_be_told_is_a_bad_gateway(
    relay: RunningRelay, upstream: RawUpstream, said: bytes
) -> None:
    def act(connection: socket.socket, _: Message) -> None:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)

    upstream.serve = act
    reply = ask(relay.url, post(CHAT, HELLO, JSON))
    assert status_of(reply) == 502
    assert json.loads(reply.body)["error"]["type"] == "proxy_error"
    upstream.serve = plain
    assert status_of(ask(relay.url, post(CHAT, HELLO, JSON))) == 200


def test_a_client_that_does_not_read_stops_the_upstream(relay: RunningRelay, upstream: RawUpstream) -> None:
    """The relay holds little of a stream that nobody takes."""
    sent, event = [0], b"data: " + b"x" * 65_000 + b"\n\n"
    stop = threading.Event()

    def act(connection: socket.socket, _: Message) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        connection.settimeout(0.5)
        try:
            while not stop.is_set() and sent[0] < 1 << 28:
                connection.sendall(b"%x\r\n%s\r\n" % (len(event), event))
                sent[0] += len(event)
        except TimeoutError:
            stop.set()

    upstream.serve = act
    with connect(relay.url) as client:
        client.sendall(post("/v1/other", HELLO, JSON))
        assert stop.wait(20)
        assert sent[0] < 32 << 20
        assert client.recv(1)


# time


def drip(client: socket.socket, pieces: list[bytes]) -> float:
    """Send slowly until the relay has enough; gives how long that took, in seconds."""
    began = time.monotonic()
    for piece in pieces:
        try:
            client.sendall(piece)
        except OSError:
            break
        if select.select([client], [], [], 0.1)[0]:
            break
    return time.monotonic() - began


def test_a_head_that_does_not_come_to_an_end_is_dropped(
    upstream: RawUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.4)
    with InsideRelay(tmp_path, upstream_url=upstream.url) as relay:
        with connect(relay.url) as client:
            slow = [b"GET /v1/models HTTP/1.1\r\nhost: x\r\n", *(b"x-%d: 1\r\n" % number for number in range(100))]
            assert drip(client, slow) < 3
            assert client.recv(1) == b""
        with connect(relay.url, 3) as client:  # nothing at all
            assert client.recv(1) == b""
        with connect(relay.url) as client:  # empty lines between two requests
            client.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
            assert status_of(Reader(client).message(answer=True)) == 200
            assert drip(client, [b"\r\n"] * 100) < 3
        with connect(relay.url) as client:  # a request under way is nothing of that
            client.sendall(post(CHAT, HELLO)[:-10])
            time.sleep(0.6)
            client.sendall(HELLO[-10:])
            assert status_of(Reader(client).message(answer=True)) == 200
            time.sleep(0.6)  # and neither is a pause between two
            client.sendall(post(CHAT, HELLO))
            assert status_of(Reader(client).message(answer=True)) == 200


@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
def test_a_body_that_does_not_come_to_an_end_is_not_waited_for(
    upstream: RawUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(requests, "SILENCE_S", 0.3)
    with InsideRelay(tmp_path, upstream_url=upstream.url) as relay:
        reply = ask(relay.url, post(path, HELLO, JSON)[:-10], timeout_s=5)
        assert status_of(reply) == 408
        assert reply.get("connection") == "close"
        spans = relay.until(lambda: httpx.get(f"{relay.url}/api/v1/spans").json()["data"])
        assert [(span["outcome"], span["status_code"]) for span in spans] == [("client_error", 408)]


@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
def test_a_body_that_trickles_in_is_not_waited_for(
    upstream: RawUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """It is never silent for long, and would take minutes."""
    monkeypatch.setattr(requests, "SILENCE_S", 0.5)
    with InsideRelay(tmp_path, upstream_url=upstream.url) as relay, connect(relay.url) as client:
        client.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n".encode())
        assert drip(client, [b" "] * 100) < 5
        reply = Reader(client).message(answer=True)
        assert (status_of(reply), reply.get("connection")) == (408, "close")
        spans = relay.until(lambda: httpx.get(f"{relay.url}/api/v1/spans").json()["data"])
        assert [(span["outcome"], span["status_code"]) for span in spans] == [("client_error", 408)]


def test_what_came_before_does_not_excuse_a_body_that_trickles_in(
    upstream: RawUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "SILENCE_S", 0.5)
    with InsideRelay(tmp_path, upstream_url=upstream.url) as relay, connect(relay.url) as client:
        client.sendall(f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000100\r\n\r\n".encode())
        client.sendall(b" " * 1_000_000)  # an hour's worth at the least rate
        assert drip(client, [b" "] * 100) < 5
        assert status_of(Reader(client).message(answer=True)) == 408


@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
def test_an_upload_that_is_slow_but_comes_goes_through(
    upstream: RawUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(requests, "SILENCE_S", 0.5)
    body, head = question("x" * 2_000), f"POST {path} HTTP/1.1\r\nhost: x\r\n{JSON}\r\ncontent-length: "
    with InsideRelay(tmp_path, upstream_url=upstream.url) as relay, connect(relay.url) as client:
        client.sendall(f"{head}{len(body)}\r\n\r\n".encode())
        pieces = [body[at : at + 100] for at in range(0, len(body), 100)]
        assert drip(client, pieces) > 3 * requests.SILENCE_S
        assert status_of(Reader(client).message(answer=True)) == 200
    assert upstream.requests[-1].body == body


def test_a_body_for_our_own_api_is_not_waited_for(
    upstream: RawUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_edges, "BODY_S", 0.5)
    with InsideRelay(tmp_path, upstream_url=upstream.url) as relay:
        for pieces in ([], [b" "] * 100):
            with connect(relay.url) as client:
                client.sendall(post("/api/v1/tenants", b" " * 200, JSON)[:-100])
                assert drip(client, pieces) < 5
                reply = Reader(client).message(answer=True)
                assert (status_of(reply), json.loads(reply.body)["error"]["type"]) == (408, "api_error")
        assert httpx.get(f"{relay.url}/api/v1/tenants").status_code == 200
