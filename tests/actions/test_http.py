"""Deliveries against receivers that do everything wrong."""

from __future__ import annotations

import hashlib
import hmac
import socket
import threading
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import httpx
import httpx2
import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import runtime
from llmtrace_sdk.actions import _http
from llmtrace_sdk.actions._http import Clock, Delivered, Delivery
from tests.forking import forked
from tests.programs import free_port

from .receiver import OK, Receiver, hold, status, trickle

if TYPE_CHECKING:
    from .conftest import SelfSigned

BODY = b'{"a":1}'


class Pauses:
    """A clock whose pauses take no time of ours, but of its own."""

    def __init__(self, share: float = 1.0, now_s: float = 1_700_000_000.0) -> None:
        self.slept: list[float] = []
        self.clock = Clock(lambda: now_s, self.tick, self.sleep, lambda: share)

    def tick(self) -> float:
        return time.monotonic() + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def deliver(receiver: Receiver | str, pauses: Pauses | None = None, **more: object) -> Delivered:
    url = receiver if isinstance(receiver, str) else receiver.url
    more.setdefault("timeout_s", 5.0)
    delivery = Delivery(url, clock=(pauses or Pauses()).clock, **more)  # type: ignore[arg-type]
    try:
        return delivery.send(BODY, "id-1")
    finally:
        delivery.close()


def test_it_arrives_once_and_whole() -> None:
    with Receiver() as receiver:
        assert deliver(receiver) == (True, 1, "http_200")
        (request,) = receiver.requests
        assert request.line == "POST /hook HTTP/1.1"
        assert request.body == BODY
        assert request.headers["content-type"] == "application/json"
        assert request.headers[_http.DELIVERY] == "id-1"
        assert _http.SIGNATURE not in request.headers


def test_the_signature_can_be_verified_and_tells_changes() -> None:
    with Receiver() as receiver:
        deliver(receiver, Pauses(now_s=1_700_000_000.9), key=b"k3y")
        (request,) = receiver.requests
    at, v1 = (part.partition("=")[2] for part in request.headers[_http.SIGNATURE].split(","))
    assert at == "1700000000"
    assert v1 == hmac.new(b"k3y", f"{at}.".encode() + request.body, hashlib.sha256).hexdigest()
    assert v1 != hmac.new(b"k3y", f"{at}.".encode() + request.body + b" ", hashlib.sha256).hexdigest()
    assert b"k3y" not in request.body
    assert "k3y" not in str(request.headers)


def test_500s_are_tried_again_with_growing_pauses_and_the_same_id() -> None:
    pauses = Pauses()
    with Receiver(status(500), status(503), OK) as receiver:
        assert deliver(receiver, pauses) == (True, 3, "http_200")
        assert {request.headers[_http.DELIVERY] for request in receiver.requests} == {"id-1"}
    assert pauses.slept == [0.5, 1.0]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_pauses_are_spread_but_never_shorter_than_half(share: float) -> None:
    pauses = Pauses(share)
    with Receiver(status(500)) as receiver:
        assert deliver(receiver, pauses, attempts=6) == (False, 6, "http_500")
    assert pauses.slept == [whole * (1 + share) / 2 for whole in (0.5, 1, 2, 4, 8)]


@pytest.mark.parametrize("code", [400, 401, 404, 410, 413, 422])
def test_a_refusal_is_final(code: int) -> None:
    with Receiver(status(code)) as receiver:
        assert deliver(receiver) == (False, 1, f"http_{code}")


def test_the_tries_are_counted() -> None:
    with Receiver(status(502)) as receiver:
        assert deliver(receiver, attempts=3) == (False, 3, "http_502")
        assert len(receiver.requests) == 3


@pytest.mark.parametrize(
    ("told", "waited"), [("4", 4.0), ("0", 0.5), (formatdate(1_700_000_007, usegmt=True), 7.0), ("soon", 0.5)]
)
def test_429_waits_as_long_as_it_is_asked_to(told: str, waited: float) -> None:
    pauses = Pauses()
    with Receiver(status(429, f"retry-after: {told}"), OK) as receiver:
        assert deliver(receiver, pauses) == (True, 2, "http_200")
    assert pauses.slept == [waited]


@pytest.mark.parametrize("told", ["31", "86400", "9" * 30, formatdate(1_800_000_000, usegmt=True)])
def test_whoever_asks_to_wait_too_long_is_not_asked_again(told: str) -> None:
    pauses = Pauses()
    with Receiver(status(429, f"retry-after: {told}"), OK) as receiver:
        assert deliver(receiver, pauses) == (False, 1, "http_429")
    assert pauses.slept == []


@pytest.mark.parametrize("told", ["-5", "nan", "inf", "1e9", "", "\u00b2", "Mon, 99 Foo 2023 00:00:00 GMT", "x" * 9000])
def test_nonsense_in_retry_after_is_none(told: str) -> None:
    assert _http._retry_after({"retry-after": told}, time.time) == 0.0


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("same_host", [True, False])
def test_redirects_are_never_followed(code: int, same_host: bool) -> None:
    with Receiver() as other, Receiver() as elsewhere:
        target = other.url if same_host else elsewhere.url.replace("127.0.0.1", "localhost")
        with Receiver(status(code, f"location: {target}")) as receiver:
            assert deliver(receiver, key=b"k") == (False, 1, "redirected")
        assert other.requests == elsewhere.requests == []


def test_nobody_there() -> None:
    pauses = Pauses()
    assert deliver(f"http://127.0.0.1:{free_port()}/", pauses) == (False, 3, "connection")
    assert len(pauses.slept) == 2


def test_a_connection_that_breaks_is_tried_again() -> None:
    with Receiver(b"", b"HTTP/1.1 20", OK) as receiver:
        assert deliver(receiver) == (True, 3, "http_200")


def test_nonsense_for_an_answer() -> None:
    with Receiver(b"\x00\xff" * 100 + b"\r\n\r\n") as receiver:
        assert deliver(receiver) == (False, 3, "connection")


def test_silence_ends_in_time() -> None:
    with Receiver(hold) as receiver:
        began = time.monotonic()
        assert deliver(receiver, timeout_s=0.2, attempts=2) == (False, 2, "timeout")
        assert time.monotonic() - began < 2.0


def test_a_head_that_comes_byte_by_byte_ends_in_time_and_its_connection_too() -> None:
    """Every read is quicker than any time-out of a read."""
    cut = threading.Event()

    def answer(connection: socket.socket) -> None:
        try:
            trickle()(connection)
        except OSError:
            cut.set()

    with Receiver(answer) as receiver:
        began = time.monotonic()
        delivery = Delivery(receiver.url, timeout_s=0.3, attempts=2, clock=Pauses().clock)
        assert delivery.send(BODY, "id") == (False, 2, "timeout")
        assert time.monotonic() - began < 2.0
        assert cut.wait(5)  # before it is closed
        delivery.close()


def test_a_body_that_hangs_or_never_ends_is_not_read() -> None:
    def hanging(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\nab")
        hold(connection)

    sent: list[int] = []

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                sent.append(connection.send(b"x" * 65536))
        except OSError:
            sent.append(-1)

    for answer in (hanging, endless):
        with Receiver(answer) as receiver:
            began = time.monotonic()
            assert deliver(receiver) == (True, 1, "http_200")
            assert time.monotonic() - began < 2.0


def test_a_huge_head_is_refused() -> None:
    with Receiver(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1_000_000) as receiver:
        assert deliver(receiver, attempts=1).detail == "connection"


def test_names_that_hang_hang_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    real = socket.getaddrinfo

    def slow(host: str, *args: object, **more: object) -> object:
        if host == "slow.invalid":
            gate.wait(30)
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return real(host, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    delivery = Delivery("http://slow.invalid/", timeout_s=0.1, attempts=10, clock=Pauses().clock)
    began = time.monotonic()
    assert delivery.send(BODY, "id") == (False, _http.STUCK_LIMIT + 1, "stuck")
    assert time.monotonic() - began < 3.0
    gate.set()
    for thread in delivery._stuck:
        thread.join(5)
    assert delivery._attempt(BODY, "id", 5.0).detail == "connection"


def test_a_server_that_speaks_no_tls_is_final() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as connection:
                connection.recv(1)
                connection.sendall(b"HTTP/1.1 400 no TLS here\r\n\r\n")
                hold(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert deliver(f"https://127.0.0.1:{listener.getsockname()[1]}/") == (False, 1, "tls")
        thread.join(5)


def test_an_unknown_certificate_is_final(self_signed: SelfSigned) -> None:
    assert deliver(f"https://localhost:{self_signed.port}/") == (False, 1, "tls")
    assert not self_signed.got_a_request.is_set()


def test_a_connection_with_tls_is_cut_too(self_signed: SelfSigned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(self_signed.certificate))
    url = f"https://localhost:{self_signed.port}/"
    delivery = Delivery(url, timeout_s=1.0, attempts=1)
    assert delivery.send(BODY, "id") == (False, 1, "timeout")
    assert self_signed.got_a_request.is_set()
    assert self_signed.was_cut.wait(5)  # before it is closed
    delivery.close()


@pytest.mark.parametrize(
    "url", ["http://", "http://[", "ftp://x/", "http://a b/", "https://\udc80/", "http://x:99999/"]
)
def test_no_url_makes_it_raise(url: str) -> None:
    assert not deliver(url, attempts=1, timeout_s=1.0).ok


def test_it_rests_after_many_failures_and_comes_back() -> None:
    pauses = Pauses()
    with Receiver(*[status(500)] * _http.FAILURES, OK) as receiver:
        delivery = Delivery(receiver.url, attempts=1, clock=pauses.clock)
        for _ in range(_http.FAILURES):
            assert delivery.send(BODY, "id") == (False, 1, "http_500")
        assert delivery.send(BODY, "id") == (False, 0, "resting")
        assert len(receiver.requests) == _http.FAILURES
        pauses.slept.append(_http.REST_S)
        assert delivery.send(BODY, "id").ok
        assert delivery.send(BODY, "id").ok


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_deliveries_are_nobodys_calls(module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http.families, "loaded", lambda: [module])
    seen: list[object] = []
    llmtrace.install()
    remove = llmtrace.on_record(seen.append)
    try:
        with Receiver() as receiver:
            assert deliver(receiver.url.replace("/hook", "/v1/chat/completions")).ok
            with httpx.Client() as client:  # the others are seen
                client.post(receiver.url.replace("/hook", "/v1/chat/completions"), json={"messages": []})
        assert runtime.flush(5)
        assert len(seen) == 1
    finally:
        remove()
        llmtrace.uninstall()


def test_it_works_in_a_forked_child() -> None:
    with Receiver() as receiver:
        delivery = Delivery(receiver.url)
        assert delivery.send(b'"parent"', "id").ok
        assert forked(lambda: delivery.send(b'"child"', "id").ok)()
        assert delivery.send(b'"parent"', "id").ok
        assert sorted(request.body for request in receiver.requests) == [b'"child"', b'"parent"', b'"parent"']
        delivery.close()
