"""Keys in the query of a call, as Gemini takes them: nobody gets in with one, and nothing keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from llmtrace_relay.headers import Headers
from llmtrace_relay.targets import target_of
from llmtrace_sdk.config import Settings
from llmtrace_sdk.config.relay import Upstream
from tests.relay.raw import Message, RawUpstream
from tests.relay.running import RunningRelay

if TYPE_CHECKING:
    import socket
    from pathlib import Path

ADMIN = "an-admin-key-of-the-relay"
VENDOR = "AIzaSyA-1234567890abcdefghijklmnopqrstu"
GOOGLE = "https://generativelanguage.googleapis.com"
GENERATE = "/v1beta/models/gemini-2.0-flash:generateContent"
ALL_OF_IT = "?alt=sse&key=mine&access_token=mine&keys=1"
BODY = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


def answer(connection: socket.socket, request: Message) -> None:
    status = "429 No" if "/denied" in request.line else "200 OK"
    connection.sendall(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{{}}".encode())


def kept(folder: Path) -> bytes:
    """All that a relay has written to its folder: database, spool and log."""
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_vendors_key_in_the_query_goes_on_and_is_not_kept(tmp_path: Path, form: str) -> None:
    away = {"name": "away", "url": "http://127.0.0.1:1"}
    with (
        RawUpstream(answer) as upstream,
        RunningRelay(
            tmp_path / "relay",
            upstream_url=upstream.url,
            upstreams=[away],
            logging={"level": "debug", "format": form},
            storage={"database_path": str(tmp_path / "relay" / "kept.db"), "capture": "full"},
        ) as relay,
    ):
        paths = (GENERATE, "/denied", "/v1beta/files", "/v1/traces", "/api/v1/traces", "/health", "/metrics", "/ui/")
        for path in paths:
            for fields in ({}, {"x-llmtrace-upstream": "away"}, {"x-llmtrace-upstream": "nobody"}):
                httpx.post(f"{relay.url}{path}", params={"key": VENDOR}, json=BODY, headers=fields)
                httpx.get(f"{relay.url}{path}", params={"key": VENDOR}, headers=fields)
        with (
            pytest.raises(InvalidStatus),
            connect(f"{relay.url.replace('http', 'ws')}/denied?key={VENDOR}", proxy=None),
        ):
            pass
        assert f"POST {GENERATE}?key={VENDOR} HTTP/1.1" in {request.line for request in upstream.requests}
        told = relay.until(lambda: (found := _told(relay)).count(GENERATE.rpartition("/")[2]) and found)
        assert VENDOR not in told
    assert GENERATE.encode() in kept(tmp_path)
    assert VENDOR.encode() not in kept(tmp_path)


def _told(relay: RunningRelay) -> str:
    paths = ("/api/v1/spans?limit=100", "/api/v1/traces?limit=100", "/api/v1/audit", "/metrics", "/health")
    return "".join(httpx.get(f"{relay.url}{path}").text for path in paths) + relay.log


@pytest.mark.parametrize(
    ("upstream", "sent"),
    [
        (Upstream(name="gemini", url=GOOGLE, api_key_env="VENDOR_KEY"), "?alt=sse&keys=1"),
        (Upstream(name="gemini", url=GOOGLE), ALL_OF_IT),
        (Upstream(name="other", url="https://api.example", api_key_env="VENDOR_KEY"), ALL_OF_IT),
    ],
)
def test_a_configured_key_takes_the_place_of_the_one_in_the_query(
    monkeypatch: pytest.MonkeyPatch, upstream: Upstream, sent: str
) -> None:
    monkeypatch.setenv("VENDOR_KEY", "configured")
    settings = Settings(upstreams=(upstream,))
    headers = Headers([(b"x-llmtrace-upstream", upstream.name.encode())])
    query = ALL_OF_IT[1:].encode()
    target = target_of(settings, headers, GENERATE.encode(), query, None)
    assert target.url == f"{upstream.url}{GENERATE}{sent}"


def test_nobody_gets_in_with_a_key_in_the_query_and_no_vendor_sees_one(tmp_path: Path) -> None:
    auth = {"enabled": True, "admin_key": ADMIN}
    with (
        RawUpstream(answer) as upstream,
        RunningRelay(tmp_path / "relay", upstream_url=upstream.url, auth=auth, logging={"level": "debug"}) as relay,
    ):
        admin = {"authorization": f"Bearer {ADMIN}"}
        tenant = httpx.post(f"{relay.url}/api/v1/tenants", json={"name": "shop"}, headers=admin).json()
        key = tenant["api_key"]
        for offered in (ADMIN, key):
            for path in (GENERATE, "/api/v1/me", "/metrics"):
                assert httpx.get(f"{relay.url}{path}", params={"key": offered}).status_code == 401
        assert not upstream.requests
        for offered in (ADMIN, key, key[:20], key.replace("_", "%5f")):
            query = f"alt=sse&key={offered}&n=%2F"
            reply = httpx.post(f"{relay.url}{GENERATE}?{query}", json=BODY, headers={"x-llmtrace-token": key})
            assert reply.status_code == 200
        lines = [request.line for request in upstream.requests]
        assert lines == [f"POST {GENERATE}?alt=sse&n=%2F HTTP/1.1"] * 4
    for secret in (ADMIN, key):
        assert secret.encode() not in kept(tmp_path / "relay").replace(relay.file.read_bytes(), b"")
