"""The server's HTTP/1.1, seen from a bare socket."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from llmtrace_sdk.fake_provider import FakeProvider

CHAT = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
UntilClose = Callable[[socket.socket], bytes]


def request(body: bytes = CHAT, path: str = "/v1/chat/completions", *lines: str) -> bytes:
    headers = "\r\n".join(("host: fake", f"content-length: {len(body)}", *lines))
    return f"POST {path} HTTP/1.1\r\n{headers}\r\n\r\n".encode() + body


def read_response(wire: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of one response that announces its length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += wire.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += wire.recv(65536)
    return head, body


def test_connection_is_kept_and_counted(fake: FakeProvider, wire: socket.socket) -> None:
    fake.reset()
    for number in (1, 2, 3):
        wire.sendall(request())
        head, body = read_response(wire)
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert f"x-fake-requests: {number}".encode() in head
        assert json.loads(body)["object"] == "chat.completion"
    stats = fake.stats()
    assert (stats["requests"], stats["completed"], stats["aborted"]) == (3, 3, 0)
    assert stats["by_path"] == {"/v1/chat/completions": 3}
    assert stats["open_connections"] >= 1


def test_stats_describe_the_last_request_without_its_body(fake: FakeProvider, wire: socket.socket) -> None:
    wire.sendall(request(CHAT, "/v1/chat/completions?a=b", "X-Own: one", "x-own: two"))
    read_response(wire)
    last = fake.stats()["last"]
    assert last["headers"]["x-own"] == "one, two"
    assert (last["method"], last["path"], last["query"]) == ("POST", "/v1/chat/completions", "a=b")
    assert (last["body_bytes"], last["body_sha256"]) == (len(CHAT), hashlib.sha256(CHAT).hexdigest())


def test_requests_sent_together_are_answered_in_order(wire: socket.socket, until_close: UntilClose) -> None:
    streamed = CHAT.replace(b'"m"', b'"m+delay=1,chunks=3"').replace(b"{", b'{"stream":true,', 1)
    wire.sendall(request(streamed) + request(CHAT, "/v1/messages", "connection: close"))
    received = until_close(wire)
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.index(b"[DONE]") < received.index(b'"type":"message"')


def test_request_in_single_bytes(wire: socket.socket) -> None:
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in request():
        wire.sendall(bytes((byte,)))
    assert read_response(wire)[0].startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_chunked_request_body(fake: FakeProvider, wire: socket.socket, size: int) -> None:
    chunks = [CHAT[start : start + size] for start in range(0, len(CHAT), size)]
    body = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: fake\r\ntransfer-encoding: chunked\r\n\r\n"
    wire.sendall(head + body + b"0\r\nx-trailer: 1\r\n\r\n")
    assert read_response(wire)[0].startswith(b"HTTP/1.1 200 OK")
    assert fake.stats()["last"]["body_sha256"] == hashlib.sha256(CHAT).hexdigest()
    wire.sendall(request())
    assert read_response(wire)[0].startswith(b"HTTP/1.1 200 OK")


def test_expect_continue(wire: socket.socket) -> None:
    whole = request(CHAT, "/v1/chat/completions", "Expect: 100-continue")
    wire.sendall(whole[: -len(CHAT)])
    assert wire.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.sendall(CHAT)
    assert read_response(wire)[0].startswith(b"HTTP/1.1 200 OK")


def test_body_sent_at_once_gets_no_interim_response(wire: socket.socket) -> None:
    wire.sendall(request(CHAT, "/v1/chat/completions", "Expect: 100-continue"))
    assert read_response(wire)[0].startswith(b"HTTP/1.1 200 OK")


def test_head_has_no_body(wire: socket.socket, until_close: UntilClose) -> None:
    wire.sendall(b"HEAD /v1/models HTTP/1.1\r\nhost: fake\r\nconnection: close\r\n\r\n")
    received = until_close(wire)
    assert b"content-length: " in received
    assert received.endswith(b"\r\n\r\n")


def test_http_1_0_stream_ends_by_closing(wire: socket.socket, until_close: UntilClose) -> None:
    body = CHAT.replace(b"{", b'{"stream":true,', 1)
    wire.sendall(request(body).replace(b"HTTP/1.1", b"HTTP/1.0"))
    received = until_close(wire)
    assert b"transfer-encoding" not in received
    assert received.endswith(b"data: [DONE]\n\n")


def test_connection_close_is_honoured(wire: socket.socket, until_close: UntilClose) -> None:
    wire.sendall(request(CHAT, "/v1/chat/completions", "connection: close"))
    assert b"connection: close" in until_close(wire)


def test_request_by_url_as_to_a_proxy(wire: socket.socket) -> None:
    wire.sendall(request(CHAT, "http://api.example/v1/chat/completions"))
    assert read_response(wire)[0].startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n no-name\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n", 413),
        (b"POST / HTTP/1.1\r\ncontent-length: 67108865\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 70_000, 431),
    ],
)
def test_bad_requests_end_the_connection(
    wire: socket.socket, until_close: UntilClose, sent: bytes, status: int
) -> None:
    wire.sendall(sent)
    assert until_close(wire).startswith(f"HTTP/1.1 {status} ".encode())


def test_large_body_is_taken_whole(fake: FakeProvider, wire: socket.socket) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"' + b"a" * 8_000_000 + b'"}]}'
    wire.sendall(request(body))
    reply = json.loads(read_response(wire)[1])
    assert reply["usage"]["prompt_tokens"] == 2_000_001
    assert fake.stats()["last"]["body_sha256"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("DELETE", "/v1/models"), ("POST", "/v1/models")])
def test_unknown_routes(ask: Any, method: str, path: str) -> None:
    answer = ask(path, method=method)
    assert answer.status == 404
    assert method in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"a":"\xff"}', b"[" * 100_000])
def test_broken_json_is_an_error_in_the_vendors_shape(ask: Any, body: bytes) -> None:
    answer = ask("/v1/messages", body)
    assert (answer.status, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_reset(fake: FakeProvider, ask: Any) -> None:
    ask("/v1/models")
    assert ask("/__fake__/reset", b"").json() == {"reset": True}
    stats = fake.stats()
    assert (stats["requests"], stats["by_path"], stats["last"]) == (0, {}, None)
