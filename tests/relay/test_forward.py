"""What goes through goes through as it is: bytes, chunks, fields, paths; and what cannot ends as HTTP says."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from .raw import Broken, Message, RawUpstream, Reader, ask, chunked, connect, post
from .running import RunningRelay

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT = "/v1/chat/completions"
JSON = "content-type: application/json"
QUESTION = json.dumps({"model": "gpt-4", "messages": [{"role": "user", "content": "Hello"}]}).encode()
EVENTS = [
    b'data: {"choices":[{"delta":{"content":"%d"},"finish_reason":null}]}\n\n' % number for number in range(5)
] + [b"data: [DONE]\n\n"]


def plain(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    lines = (f"HTTP/1.1 {status}", f"content-length: {len(body)}", *fields, "", "")
    return "\r\n".join(lines).encode("latin-1") + body


@pytest.fixture(scope="module")
def upstream() -> Iterator[RawUpstream]:
    with RawUpstream(lambda connection, _: connection.sendall(plain(b"{}"))) as running:
        yield running


@pytest.fixture(scope="module")
def relay(upstream: RawUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRelay]:
    config: dict[str, Any] = {
        "upstream_url": upstream.url,
        "storage": {"profile": "memory"},
        "timeout_ms": 1_000,
        "idle_timeout_ms": 700,
        "max_request_size_bytes": 100_000,
        "rate_limiting": {"enabled": False},
        "upstreams": [
            {"name": "other", "url": f"{upstream.url}/base", "path": "/other", "strip_path": True},
            {"name": "keyed", "url": upstream.url, "path": "/keyed", "api_key_env": "VENDOR_KEY"},
            {"name": "closed", "url": "http://127.0.0.1:1"},
            {"name": "keyless", "url": upstream.url, "api_key_env": "NOT_THERE"},
        ],
    }
    folder = tmp_path_factory.mktemp("forward")
    with RunningRelay(folder, env={"VENDOR_KEY": "sk-vendor"}, **config) as running:
        yield running


def spans(relay: RunningRelay, **query: Any) -> list[Any]:
    found: list[Any] = httpx.get(f"{relay.url}/api/v1/spans", params={"limit": 5, **query}).json()["data"]
    return found


def span_of(relay: RunningRelay, answer: Message) -> Any:
    trace = answer.get("x-llmtrace-trace-id")
    return httpx.get(f"{relay.url}/api/v1/traces/{trace}").json()["spans"][0]


def test_bytes_and_chunks_of_a_stream_stay(relay: RunningRelay, upstream: RawUpstream) -> None:
    def act(connection: socket.socket, _: Message) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        connection.sendall(chunked(*EVENTS))  # all at once: the boundaries are those of chunks, not of packets

    upstream.serve = act
    direct, relayed = (ask(url, post(CHAT, QUESTION, JSON)) for url in (upstream.url, relay.url))
    assert relayed.chunks == direct.chunks == EVENTS


def test_a_chunk_goes_on_when_it_comes(relay: RunningRelay, upstream: RawUpstream) -> None:
    go_on = threading.Event()

    def act(connection: socket.socket, _: Message) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        connection.sendall(chunked(EVENTS[0]).removesuffix(b"0\r\n\r\n"))
        assert go_on.wait(5)
        connection.sendall(chunked(*EVENTS[1:]))

    upstream.serve = act
    with connect(relay.url) as client:
        client.sendall(post(CHAT, QUESTION, JSON))
        seen = b""
        while EVENTS[0] not in seen:
            seen += client.recv(4096)
        assert EVENTS[1] not in seen
        go_on.set()
        while not seen.endswith(b"0\r\n\r\n"):
            seen += client.recv(4096)


@pytest.mark.parametrize("body", [b'{"a": 1}', b"", gzip.compress(b'{"choices": []}'), bytes(range(256)) * 400])
def test_a_body_with_a_length_stays(relay: RunningRelay, upstream: RawUpstream, body: bytes) -> None:
    coded = ["content-encoding: gzip"] if body.startswith(b"\x1f\x8b") else []
    upstream.serve = lambda connection, _: connection.sendall(plain(body, JSON, *coded))
    answer = ask(relay.url, post(CHAT, QUESTION, JSON))
    assert (answer.body, answer.get("content-length")) == (body, str(len(body)))
    assert answer.get("content-encoding") == ("gzip" if coded else None)


@pytest.mark.parametrize(
    "path", [CHAT, "/v1/models/x", "/anything%2Fat%20all/%C3%A9?q=a%2Bb&q=c&empty=", "/a//b/../c?x"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_paths_and_queries_stay(relay: RunningRelay, upstream: RawUpstream, method: str, path: str) -> None:
    upstream.serve = lambda connection, _: connection.sendall(plain(b"ok"))
    body = b"" if method in ("GET", "OPTIONS", "DELETE") else QUESTION
    length = f"content-length: {len(body)}\r\n" if body else ""
    answer = ask(relay.url, f"{method} {path} HTTP/1.1\r\nhost: x\r\n{length}\r\n".encode() + body)
    assert answer.body == b"ok"
    assert upstream.requests[-1].line == f"{method} {path} HTTP/1.1"
    assert upstream.requests[-1].body == body
    assert upstream.requests[-1].get("transfer-encoding") is None


def test_fields_go_on_but_those_of_the_hop_and_ours(relay: RunningRelay, upstream: RawUpstream) -> None:
    upstream.serve = lambda connection, _: connection.sendall(
        plain(
            b"{}",
            "set-cookie: a=1",
            "set-cookie: b=2",
            "X-Request-ID: 7",
            "keep-alive: timeout=5",
            "x-llmtrace-action: x",
        )
    )
    fields = ["x-llmtrace-agent-id: me", "x-forwarded-for: 203.0.113.9", "connection: keep-alive, x-mine", "x-mine: 1"]
    fields += [
        "te: trailers",
        "proxy-authorization: Basic x",
        "accept: a",
        "accept: b",
        "x-utf: \xc3\xa9",
        "User-Agent: me/1",
    ]
    answer = ask(relay.url, post(CHAT, QUESTION, JSON, "authorization: Bearer sk-1", *fields))
    sent = upstream.requests[-1]
    assert {name.lower() for name, _ in sent.fields} == {
        *"host content-length content-type authorization accept x-utf user-agent".split()
    }
    assert sent.all("accept") == ["a", "b"]
    assert sent.get("x-utf") == "\xc3\xa9"
    assert sent.get("host") == upstream.url.removeprefix("http://")
    assert sent.get("authorization") == "Bearer sk-1"
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert answer.get("x-request-id") == "7"
    assert answer.get("keep-alive") is None
    assert answer.all("x-llmtrace-action") == ["allow"]
    assert answer.get("server") is None
    assert answer.get("date") is None


def test_nothing_is_said_that_the_caller_did_not_say(relay: RunningRelay, upstream: RawUpstream) -> None:
    upstream.serve = lambda connection, _: connection.sendall(plain(b"{}"))
    ask(relay.url, post(CHAT, QUESTION))
    assert {name.lower() for name, _ in upstream.requests[-1].fields} == {"host", "content-length"}


def test_redirects_and_errors_are_the_callers_own(relay: RunningRelay, upstream: RawUpstream) -> None:
    for status in ("307 Temporary Redirect", "429 Too Many Requests", "500 X", "404 Not Found"):
        upstream.serve = lambda connection, _, status=status: connection.sendall(
            plain(b'{"error":1}', f"location: {upstream.url}/other", status=status)
        )
        before = len(upstream.requests)
        answer = ask(relay.url, post(CHAT, QUESTION, JSON))
        assert answer.line.split(" ")[1] == status.split(" ")[0]
        assert answer.body == b'{"error":1}'
        assert len(upstream.requests) == before + 1


def test_answers_without_a_body(relay: RunningRelay, upstream: RawUpstream) -> None:
    upstream.serve = lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")
    answer = ask(relay.url, b"HEAD /v1/models HTTP/1.1\r\nhost: x\r\n\r\n", bodiless=True)
    assert answer.line.startswith("HTTP/1.1 200")
    assert answer.get("content-length") == "10"
    upstream.serve = lambda connection, _: connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert ask(relay.url, post("/v1/files", b"")).line.startswith("HTTP/1.1 204")


def test_an_unknown_body_goes_through_as_it_comes(relay: RunningRelay, upstream: RawUpstream) -> None:
    upstream.serve = lambda connection, request: connection.sendall(plain(request.body))
    head = b"POST /v1/files HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    pieces = [bytes([number]) * 1000 for number in range(40)]
    with connect(relay.url) as client:
        client.sendall(head)
        for piece in pieces:
            client.sendall(chunked(piece).removesuffix(b"0\r\n\r\n"))
        client.sendall(b"0\r\n\r\n")
        assert Reader(client).message(answer=True).body == b"".join(pieces)
    assert upstream.requests[-1].body == b"".join(pieces)


@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_a_request_that_is_too_large_is_refused(
    relay: RunningRelay, upstream: RawUpstream, path: str, coding: str
) -> None:
    upstream.serve = lambda connection, _: connection.sendall(plain(b"{}"))
    with connect(relay.url) as client:
        if coding == "length":
            client.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100001\r\n\r\n".encode())
        else:
            client.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode())
            client.sendall(chunked(b"x" * 60_000, b"x" * 60_000))
        answer = Reader(client).message(answer=True)
    assert answer.line.startswith("HTTP/1.1 413")
    assert json.loads(answer.body)["error"]["type"] == "proxy_error"
    assert span_of(relay, answer)["status_code"] == 413


def test_paths_choose_the_upstream(relay: RunningRelay, upstream: RawUpstream) -> None:
    upstream.serve = lambda connection, _: connection.sendall(plain(b"{}"))
    ask(relay.url, post(f"/other{CHAT}?a=b", QUESTION, JSON))
    assert upstream.requests[-1].line == f"POST /base{CHAT}?a=b HTTP/1.1"
    ask(relay.url, post("/others/x", b"{}"))
    assert upstream.requests[-1].line == "POST /others/x HTTP/1.1"
    ask(relay.url, post(CHAT, QUESTION, "x-llmtrace-upstream: other"))
    assert upstream.requests[-1].line == f"POST /base{CHAT} HTTP/1.1"
    refused = ask(relay.url, post(CHAT, QUESTION, "x-llmtrace-upstream: nobody"))
    assert refused.line.startswith("HTTP/1.1 400")
    assert "other" in json.loads(refused.body)["error"]["message"]


def test_a_configured_key_takes_the_place_of_the_callers(relay: RunningRelay, upstream: RawUpstream) -> None:
    upstream.serve = lambda connection, _: connection.sendall(plain(b"{}"))
    ask(relay.url, post(f"/keyed{CHAT}", QUESTION, "authorization: Bearer sk-callers", "x-api-key: sk-callers"))
    sent = upstream.requests[-1]
    assert sent.all("authorization") == ["Bearer sk-vendor"]
    assert "sk-callers" not in str(sent)
    missing = ask(relay.url, post(CHAT, QUESTION, "x-llmtrace-upstream: keyless"))
    assert missing.line.startswith("HTTP/1.1 502")
    assert "NOT_THERE" in json.loads(missing.body)["error"]["message"]


def test_a_key_to_a_relay_goes_to_no_vendor(relay: RunningRelay, upstream: RawUpstream) -> None:
    upstream.serve = lambda connection, _: connection.sendall(plain(b"{}"))
    key = "llmt_" + "0a" * 32
    ask(relay.url, post(CHAT, QUESTION, f"authorization: Bearer {key}", f"x-api-key: {key}", "x-other: 1"))
    assert key not in str(upstream.requests[-1])
    assert upstream.requests[-1].get("x-other") == "1"


def test_an_upstream_that_is_away_is_a_bad_gateway(relay: RunningRelay) -> None:
    answer = ask(relay.url, post(CHAT, QUESTION, "x-llmtrace-upstream: closed"))
    assert answer.line.startswith("HTTP/1.1 502")
    error = json.loads(answer.body)["error"]
    assert (error["type"], error["message"].startswith("Upstream request failed")) == ("proxy_error", True)
    span = span_of(relay, answer)
    assert (span["outcome"], span["status_code"]) == ("upstream_error", 502)


def test_an_upstream_that_says_nothing_is_given_up(relay: RunningRelay, upstream: RawUpstream) -> None:
    upstream.serve = lambda connection, _: time.sleep(1.5)
    began = time.monotonic()
    answer = ask(relay.url, post(CHAT, QUESTION, JSON))
    assert answer.line.startswith("HTTP/1.1 502")
    assert 0.9 < time.monotonic() - began < 1.45


@pytest.mark.parametrize("how", ["closes", "resets", "goes silent"])
def test_a_stream_that_breaks_off_breaks_off(relay: RunningRelay, upstream: RawUpstream, how: str) -> None:
    def act(connection: socket.socket, _: Message) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        connection.sendall(chunked(EVENTS[0]).removesuffix(b"0\r\n\r\n"))
        if how == "goes silent":
            time.sleep(1.2)
        if how == "resets":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.shutdown(socket.SHUT_RDWR) if how != "resets" else connection.close()

    upstream.serve = act
    with connect(relay.url) as client:
        client.sendall(post(CHAT, QUESTION, JSON, "x-llmtrace-session-id: broken-" + how.replace(" ", "-")))
        with pytest.raises(Broken) as caught:
            Reader(client).message(answer=True)
    assert caught.value.so_far == EVENTS[0]
    (span,) = relay.until(lambda: spans(relay, session="broken-" + how.replace(" ", "-")), 5)
    assert span["outcome"] == "upstream_error"


def test_a_client_that_goes_away_ends_the_upstreams_work(relay: RunningRelay, upstream: RawUpstream) -> None:
    ended = threading.Event()

    def act(connection: socket.socket, _: Message) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            for _ in range(400):
                connection.sendall(chunked(EVENTS[0]).removesuffix(b"0\r\n\r\n"))
                time.sleep(0.01)
        except OSError:
            ended.set()
            raise

    upstream.serve = act
    with connect(relay.url) as client:
        client.sendall(post(CHAT, QUESTION, JSON, "x-llmtrace-session-id: gone"))
        assert client.recv(4096)
    assert ended.wait(2)
    (span,) = relay.until(lambda: spans(relay, session="gone"), 5)
    assert span["outcome"] == "abandoned"


def test_a_client_that_goes_before_the_answer_ends_the_call(relay: RunningRelay, upstream: RawUpstream) -> None:
    upstream.serve = lambda connection, _: connection.sendall(plain(b"{}")) if connection.recv(1) else None
    with connect(relay.url) as client:
        client.sendall(post(CHAT, QUESTION, JSON, "x-llmtrace-session-id: early"))
        time.sleep(0.1)
    (span,) = relay.until(lambda: spans(relay, session="early"), 5)
    assert span["outcome"] == "abandoned"


@pytest.mark.parametrize(
    "request_bytes",
    [
        (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /v1/stolen HTTP/1.1\r\nhost: x\r\n\r\n"
        ),
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\nabcde",
        b"GET /v1/x HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /v1/x HTTP/1.1\r\nho st: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_request_is_dropped_or_refused(
    relay: RunningRelay, upstream: RawUpstream, request_bytes: bytes
) -> None:
    upstream.serve = lambda connection, _: connection.sendall(plain(b"{}"))
    with connect(relay.url, 3) as client:
        try:
            client.sendall(request_bytes)
            status = Reader(client).message(answer=True).line.split(" ")[1]
        except (Broken, ConnectionError):
            status = "dropped"
        except TimeoutError:
            status = "waiting"
    assert status in ("dropped", "400", "431", "waiting"), status
    assert not any("/v1/stolen" in request.line for request in upstream.requests)
    assert httpx.get(f"{relay.url}/live").status_code == 200
