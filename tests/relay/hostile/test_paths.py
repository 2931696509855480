"""Where a call goes, and what it is taken for, is nobody's to trick the relay about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.raw import RawUpstream, ask, post

from .talk import INJECTION, JSON, question, status_of

if TYPE_CHECKING:
    from tests.relay.raw import RawUpstream
    from tests.relay.running import RunningRelay


def test_no_path_names_another_host(relay: RunningRelay, upstream: RawUpstream, stranger: RawUpstream) -> None:
    other = stranger.url.removeprefix("http://")
    before = len(upstream.requests)
    for path in (f"*@{other}/x", f"*{other}/x", "*"):
        reply = ask(relay.url, f"OPTIONS {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert status_of(reply) == 400, path
        reply = ask(relay.url, f"GET {path} HTTP/1.1\r\nhost: x\r\nx-llmtrace-upstream: keyed\r\n\r\n".encode())
        assert status_of(reply) == 400, path
    assert len(upstream.requests) == before
    for path in (f"//{other}/x", f"/@{other}/x", f"/\\{other}/x", f"http://{other}/x", f"http://a@{other}/x"):
        assert status_of(ask(relay.url, f"GET {path} HTTP/1.1\r\nhost: {other}\r\n\r\n".encode())) == 200, path
        assert upstream.requests[-1].get("host") == upstream.url.removeprefix("http://")
    assert stranger.requests == []


def test_nobody_gets_a_tunnel_or_sees_what_the_upstream_was_sent(relay: RunningRelay, upstream: RawUpstream) -> None:
    before = len(upstream.requests)
    for method in ("TRACE", "CONNECT"):
        reply = ask(relay.url, f"{method} /keyed/x HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert status_of(reply) == 405
        assert "TRACE" not in (reply.get("allow") or "TRACE")
    assert status_of(ask(relay.url, b"CONNECT other:443 HTTP/1.1\r\nhost: x\r\n\r\n")) == 400
    assert len(upstream.requests) == before


@pytest.mark.parametrize(
    "path",
    [
        "/v1/%63hat/completions",
        "/v1/chat%2Fcompletions",
        "/v1/chat%2fcompletion%73",
        "/v1//chat/completions",
        "//v1/chat/completions",
        "/v1/%2e/chat/completions",
        "/v1/x/../chat/completions",
        "/v1/chat/completions/",
        "http://other.example/v1/chat/completions",
    ],
)
def test_no_spelling_of_a_path_hides_a_call(relay: RunningRelay, upstream: RawUpstream, path: str) -> None:
    before = len(upstream.requests)
    assert status_of(ask(relay.url, post(path, question(INJECTION), JSON))) == 403
    assert len(upstream.requests) == before


@pytest.mark.parametrize("path", ["/api%2Fv1/traces", "/%61pi/v1/traces", "/%6detrics", "/api/v1/%2e%2e/traces"])
def test_our_own_paths_are_ours_however_they_are_spelled(relay: RunningRelay, upstream: RawUpstream, path: str) -> None:
    before = len(upstream.requests)
    for line in (path, f"http://other.example{path}"):
        assert status_of(ask(relay.url, f"GET {line} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())) in (200, 404)
        strange = ask(relay.url, f"GET {line} HTTP/1.1\r\nhost: other.example\r\n\r\n".encode())
        assert status_of(strange) == 403
        assert b"auth.enabled" in strange.body
    assert len(upstream.requests) == before


@pytest.mark.parametrize("path", ["/x/../api/v1/traces", "/%2e%2e/api/v1/traces", "/API/v1/traces", "/metrics/"])
def test_what_only_looks_like_ours_goes_on_as_it_is(relay: RunningRelay, upstream: RawUpstream, path: str) -> None:
    assert status_of(ask(relay.url, f"GET {path} HTTP/1.1\r\nhost: other.example\r\n\r\n".encode())) == 200
    assert upstream.requests[-1].line == f"GET {path} HTTP/1.1"


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1.other.example", "localhost.other", "[::2]", "", "a:b:c"])
def test_without_keys_only_this_machines_names_see_what_is_stored(relay: RunningRelay, host: str) -> None:
    for path in ("/api/v1/traces", "/metrics", "/api-doc/openapi.json"):
        assert status_of(ask(relay.url, f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())) == 403
    assert status_of(ask(relay.url, f"GET /v1/models HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())) == 200
