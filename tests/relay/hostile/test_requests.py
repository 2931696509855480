"""Requests as nobody should make them are answered or dropped, and do no harm to others."""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.relay.raw import Broken, RawUpstream, Reader, ask, chunked, connect, post

from .talk import CHAT, HELLO, INJECTION, JSON, answer, everything, question, status_of

if TYPE_CHECKING:
    from tests.relay.raw import Message, RawUpstream
    from tests.relay.running import RunningRelay


@pytest.mark.parametrize("coding", ["length", "chunked"])
@pytest.mark.parametrize("how", ["at once", "in pieces"])
def test_an_offer_of_another_protocol_is_not_taken(
    relay: RunningRelay, upstream: RawUpstream, coding: str, how: str
) -> None:
    """As Java's client makes it with every first request."""
    framed = f"content-length: {len(HELLO)}\r\n\r\n".encode() + HELLO
    if coding == "chunked":
        framed = b"transfer-encoding: chunked\r\n\r\n" + chunked(HELLO)
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings, x-mine\r\nx-mine: 1\r\n"
    sent = head.encode() + b"upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n" + framed
    with connect(relay.url) as client:
        reader = Reader(client)
        for _ in range(2):
            for piece in [sent] if how == "at once" else [sent[at : at + 40] for at in range(0, len(sent), 40)]:
                client.sendall(piece)
            assert status_of(reader.message(answer=True)) == 200
            assert upstream.requests[-1].body == HELLO
            assert not {"upgrade", "http2-settings", "x-mine"} & {
                name.lower() for name, _ in upstream.requests[-1].fields
            }


def test_offers_can_be_pipelined(relay: RunningRelay, upstream: RawUpstream) -> None:
    upstream.serve = lambda connection, request: connection.sendall(answer(request.body))
    bodies = [question(str(number)) for number in range(20)]
    sent = b"".join(post(CHAT, body, "connection: upgrade", "upgrade: h2c") for body in bodies)
    with connect(relay.url) as client:
        client.sendall(sent)
        reader = Reader(client)
        assert [reader.message(answer=True).body for _ in bodies] == bodies


def test_trailers_are_not_taken_for_a_part_of_the_head(relay: RunningRelay, upstream: RawUpstream) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    trailers = b"authorization: Bearer sk-smuggled\r\nx-forwarded-for: 203.0.113.1\r\nx-mine: 1\r\n\r\n"
    reply = ask(relay.url, head + chunked(HELLO).removesuffix(b"\r\n") + trailers)
    assert status_of(reply) == 200
    assert upstream.requests[-1].body == HELLO
    assert "smuggled" not in str(upstream.requests[-1].fields)
    assert upstream.requests[-1].get("x-mine") is None


def test_pipelined_requests_are_answered_in_order(relay: RunningRelay, upstream: RawUpstream) -> None:
    def act(connection: socket.socket, request: Message) -> None:
        time.sleep(0.02 if b'"0"' in request.body else 0)
        connection.sendall(answer(request.body))

    upstream.serve = act
    bodies = [question(str(number)) + b" " * (90_000 if number % 3 == 0 else 0) for number in range(9)]
    with connect(relay.url) as client:
        sender = threading.Thread(target=client.sendall, args=(b"".join(post(CHAT, body, JSON) for body in bodies),))
        sender.start()
        reader = Reader(client)
        assert [reader.message(answer=True).body for _ in bodies] == bodies
        sender.join()


def test_the_size_of_a_head_is_its_own(relay: RunningRelay) -> None:
    """Not that of the body before it that came with its first bytes."""
    with connect(relay.url) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        client.sendall(post(CHAT, HELLO + b" " * 200_000, JSON) + post(CHAT, HELLO)[:20])
        reader = Reader(client)
        assert status_of(reader.message(answer=True)) == 200
        client.sendall(post(CHAT, HELLO)[20:])
        assert status_of(reader.message(answer=True)) == 200


def test_a_refused_request_does_not_eat_the_next_one(relay: RunningRelay, upstream: RawUpstream) -> None:
    upstream.serve = lambda connection, request: connection.sendall(answer(request.body))
    with connect(relay.url) as client:
        client.sendall(post(CHAT, question(INJECTION), JSON) + post(CHAT, HELLO, JSON))
        reader = Reader(client)
        assert status_of(reader.message(answer=True)) == 403
        assert reader.message(answer=True).body == HELLO


def test_a_half_closed_client_is_dropped_and_its_call_ended(relay: RunningRelay, upstream: RawUpstream) -> None:
    ended = threading.Event()

    def act(connection: socket.socket, _: Message) -> None:
        connection.recv(1)  # until the relay goes away
        ended.set()
        connection.sendall(answer())

    upstream.serve = act
    with connect(relay.url, 5) as client:
        client.sendall(post(CHAT, HELLO, "x-llmtrace-session-id: half"))
        client.shutdown(socket.SHUT_WR)
        assert client.recv(65536) == b""
    assert ended.wait(5)
    params = {"session": "half"}
    (span,) = relay.until(lambda: httpx.get(f"{relay.url}/api/v1/spans", params=params).json()["data"], 5)
    assert span["outcome"] == "abandoned"


@pytest.mark.parametrize("stream", [False, True])
def test_http_1_0_gets_no_chunks(relay: RunningRelay, upstream: RawUpstream, stream: bool) -> None:
    events = [b'data: {"choices":[]}\n\n', b"data: [DONE]\n\n"]
    media = "text/event-stream" if stream else "application/json"
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {media}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    upstream.serve = lambda connection, _: connection.sendall(head + chunked(*events))
    got = everything(relay.url, post(CHAT, HELLO, JSON, "connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    told, _, body = got.partition(b"\r\n\r\n")
    assert body == b"".join(events)
    assert b"transfer-encoding" not in told
    assert b"connection: close" in told
    upstream.serve = lambda connection, _: connection.sendall(answer(b"12345"))
    got = everything(relay.url, b"GET /v1/models HTTP/1.0\r\n\r\n")
    assert got.endswith(b"\r\n\r\n12345")
    assert b"content-length: 5" in got


def test_thousands_of_fields_pass_and_too_many_are_refused(relay: RunningRelay, upstream: RawUpstream) -> None:
    def request(count: int) -> bytes:
        fields = "".join(f"x-{number}: {number}\r\n" for number in range(count))
        return f"GET /v1/models HTTP/1.1\r\nhost: x\r\n{fields}\r\n".encode()

    assert status_of(ask(relay.url, request(3_000))) == 200
    assert upstream.requests[-1].get("x-2999") == "2999"
    before = len(upstream.requests)
    with suppress(Broken, ConnectionError):  # it may close without reading all of it
        assert status_of(ask(relay.url, request(30_000))) == 400
    assert len(upstream.requests) == before


@pytest.mark.parametrize(
    "field",
    [
        "x-odd: \xff\xfe",
        "content-encoding: nonsense",
        "content-encoding: gzip, gzip, gzip, gzip",
        "accept-encoding: \xff",
        "traceparent: 00-zz-zz-01",
        "x-llmtrace-session-id: \xff\x80",
        "x-llmtrace-trace-id: none",
        "x-llmtrace-call-id: none.none",
        "x-forwarded-for: ::ffff:1.2.3.4, unknown, \xff",
        "authorization: Basic \xff",
        "expect: 200-ok",
        "content-type: text/\xff; charset=\xff",
        "connection: content-length, host, content-type",
        "range: bytes=0-0",
    ],
)
def test_odd_fields_are_no_fault(relay: RunningRelay, upstream: RawUpstream, field: str) -> None:
    assert status_of(ask(relay.url, post(CHAT, HELLO, field))) == 200
    assert upstream.requests[-1].body == HELLO


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"messages":7}', b"\xff\x00", b"[" * 50_000, b'"\\ud800"']
)
def test_odd_bodies_are_the_upstreams_business(relay: RunningRelay, upstream: RawUpstream, body: bytes) -> None:
    assert status_of(ask(relay.url, post(CHAT, body, JSON))) == 200
    assert upstream.requests[-1].body == body


def broken(seed: int) -> bytes:
    """A request with some bytes changed, doubled, left out or put in."""
    chance = random.Random(seed)
    framed = chance.choice([post(CHAT, HELLO, JSON), b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n", b"", b""])
    framed = framed or (
        f"POST /v1/x HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: {chance.choice(['h2c', 'websocket'])}\r\n"
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\ntransfer-encoding: chunked\r\n\r\n"
    ).encode() + chunked(HELLO, b"x" * 20)
    data = bytearray(framed)
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(data)), chance.randint(1, 6)
        changes = (bytes([chance.randrange(256)]), bytes(data[at : at + length]) * 2, b"", b"\r\n", b"\0", b": ", b" ")
        data[at : at + length] = chance.choice(changes)
    return bytes(data)


@pytest.mark.parametrize("first", range(0, 160, 40))
def test_whatever_comes_is_answered_or_dropped(relay: RunningRelay, upstream: RawUpstream, first: int) -> None:
    for seed in range(first, first + 40):
        with connect(relay.url, 5) as client:
            got = b""
            try:
                client.sendall(broken(seed))
                if not select.select([client], [], [], 0.05)[0]:
                    client.shutdown(socket.SHUT_WR)
                got = client.recv(65536)
            except ConnectionError:
                pass
        assert not got or got.split(b" ")[1] != b"500", (seed, got)
    assert httpx.get(f"{relay.url}/live").status_code == 200
