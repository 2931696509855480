"""What an upstream says when it is asked for a WebSocket, byte by byte: it reaches the client, taken or refused."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from .raw import Message, RawUpstream, ask
from .running import RunningRelay

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    Serve = Callable[[socket.socket, Message], None]

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = (
    b"GET /v1/realtime HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: " + KEY + b"\r\nsec-websocket-protocol: realtime, other\r\n"
    b"sec-websocket-extensions: permessage-deflate\r\n\r\n"
)
LIMITED = json.dumps({"error": {"message": "slow down", "type": "requests"}}).encode()


def saying(said: Callable[[Message], bytes]) -> Serve:
    """What an upstream does that says this; after a yes it waits for what comes then."""

    def serve(connection: socket.socket, request: Message) -> None:
        told = said(request)
        connection.sendall(told)
        if b" 101 " in told:
            connection.recv(1)

    return serve


@pytest.fixture(scope="module")
def upstream() -> Iterator[RawUpstream]:
    with RawUpstream(saying(lambda _: b"")) as running:
        yield running


@pytest.fixture(scope="module")
def relay(upstream: RawUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRelay]:
    limits = {"connection_timeout_ms": 1_000, "rate_limiting": {"enabled": False}, "storage": {"profile": "memory"}}
    with RunningRelay(tmp_path_factory.mktemp("handshakes"), upstream_url=upstream.url, **limits) as running:
        yield running
        assert "Traceback" not in running.log


def taken(*fields: str) -> Serve:
    def said(request: Message) -> bytes:
        digest = hashlib.sha1((request.get("sec-websocket-key") or "").encode() + _MAGIC, usedforsecurity=False)
        accept = base64.b64encode(digest.digest()).decode()
        own = ("connection: upgrade", "upgrade: websocket", f"sec-websocket-accept: {accept}")
        return "\r\n".join(("HTTP/1.1 101 Switching Protocols", *own, *fields, "", "")).encode("latin-1")

    return saying(said)


def refused(status: str, body: bytes, *fields: str) -> Serve:
    head = "\r\n".join((f"HTTP/1.1 {status}", f"content-length: {len(body)}", *fields, "", "")).encode()
    return saying(lambda _: head + body)


def test_the_fields_of_the_upstreams_yes_reach_the_client(relay: RunningRelay, upstream: RawUpstream) -> None:
    upstream.serve = taken(
        "sec-websocket-protocol: realtime",
        "x-request-id: req_1",
        "openai-processing-ms: 12",
        "set-cookie: a=1; path=/",
        "set-cookie: b=2",
        "keep-alive: timeout=5",
        "x-llmtrace-action: mine",
        "sec-websocket-odd: 1",
    )
    reply = ask(relay.url, REQUEST, bodiless=True)
    assert reply.line.startswith("HTTP/1.1 101 ")
    assert (reply.get("x-request-id"), reply.get("openai-processing-ms")) == ("req_1", "12")
    assert reply.all("set-cookie") == ["a=1; path=/", "b=2"]
    assert reply.all("sec-websocket-protocol") == ["realtime"]
    accept = base64.b64encode(hashlib.sha1(KEY + _MAGIC, usedforsecurity=False).digest()).decode()
    assert reply.all("sec-websocket-accept") == [accept]
    assert (len(reply.all("upgrade")), len(reply.all("connection"))) == (1, 1)
    assert reply.get("x-llmtrace-trace-id")
    assert not {"keep-alive", "x-llmtrace-action", "sec-websocket-odd"} & {name.lower() for name, _ in reply.fields}


@pytest.mark.parametrize(
    ("status", "body", "fields"),
    [
        ("401 Unauthorized", b'{"error": {"message": "no such key"}}', ("content-type: application/json",)),
        ("429 Too Many Requests", LIMITED, ("content-type: application/json", "retry-after: 7", "x-request-id: r")),
        ("429 Too Many Requests", gzip.compress(LIMITED), ("content-encoding: gzip", "x-ratelimit-limit-requests: 5")),
        ("529 Overloaded", b"busy", ("content-type: text/plain", "set-cookie: a=1", "set-cookie: b=2")),
        ("302 Found", b"", ("location: https://other.example/v1/realtime",)),
        ("403 Forbidden", b"x" * 300_000, ("content-type: text/plain",)),
    ],
    ids=["json", "limit", "coded", "unknown", "elsewhere", "large"],
)
def test_the_upstreams_no_reaches_the_client(
    relay: RunningRelay, upstream: RawUpstream, status: str, body: bytes, fields: tuple[str, ...]
) -> None:
    upstream.serve = refused(status, body, *fields, "x-llmtrace-action: mine", "sec-websocket-version: 8")
    before = len(upstream.requests)
    reply = ask(relay.url, REQUEST)
    assert reply.line.split(" ")[1] == status.partition(" ")[0]
    assert reply.body == body
    for field in fields:
        name, _, value = field.partition(": ")
        assert value in reply.all(name)
    assert reply.all("content-length") == [str(len(body))]
    assert reply.get("x-llmtrace-trace-id")
    assert not {"x-llmtrace-action", "sec-websocket-version"} & {name.lower() for name, _ in reply.fields}
    assert len(upstream.requests) == before + 1  # a redirect is the client's to follow


@pytest.mark.parametrize(
    "said",
    [
        lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        lambda _: b"HTTP/1.1 101 Yes\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: no\r\n\r\n",
        lambda _: b"HTTP/1.1 429 No\r\ncontent-length: 2\r\nx-odd: a\x01b\r\n\r\nno",
        lambda _: b"HTTP/1.1 999 No\r\ncontent-length: 2\r\n\r\nno",
        lambda _: b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
    ids=["no upgrade", "no proof", "a field that is none", "a status that is none", "no HTTP"],
)
def test_what_is_neither_is_a_bad_gateway(
    relay: RunningRelay, upstream: RawUpstream, said: Callable[..., bytes]
) -> None:
    upstream.serve = saying(said)
    reply = ask(relay.url, REQUEST)
    assert reply.line.startswith("HTTP/1.1 502 ")
    assert json.loads(reply.body)["error"]["type"] == "proxy_error"
    assert reply.get("content-length") == str(len(reply.body))


def test_a_no_that_does_not_end_is_not_waited_for(relay: RunningRelay, upstream: RawUpstream) -> None:
    upstream.serve = saying(lambda _: b"HTTP/1.1 429 No\r\ncontent-length: 20\r\n\r\nno")
    assert ask(relay.url, REQUEST, timeout_s=5).line.startswith("HTTP/1.1 502 ")
