"""Clients that go away in the middle cost the server nothing that stays."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import pytest

from llmtrace_sdk.fake_provider import FakeProvider


def abandon_one(fake: FakeProvider, asked: str) -> None:
    """Starts a stream, reads its first bytes, and goes away with a reset."""
    body = json.dumps({"model": f"m+{asked}", "stream": True, "messages": []}).encode()
    with socket.create_connection(("127.0.0.1", fake.port), timeout=10) as wire:
        wire.sendall(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        assert wire.recv(1024).startswith(b"HTTP/1.1 200")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def settle(fake: FakeProvider, aborted: int) -> dict[str, int]:
    """The counters, once so many aborted replies are known."""
    end = time.monotonic() + 5
    stats = fake.stats()
    while stats["aborted"] < aborted and time.monotonic() < end:
        time.sleep(0.01)
        stats = fake.stats()
    return stats


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


ENDINGS = ["delay=1", "endless-line", "huge=3000000", "split=1", "first=1,delay=1,gzip", "bomb=64"]


def test_nothing_is_said_about_peers_that_go(capfd: pytest.CaptureFixture[str]) -> None:
    with FakeProvider() as fake:
        for asked in ENDINGS * 10:
            abandon_one(fake, asked)
        assert settle(fake, 20)["aborted"] >= 20
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("asked", ["delay=1000", "huge=20000000", "endless-line", "first=0.1,delay=1000,gzip"])
def test_reply_stops_when_the_peer_goes(asked: str) -> None:
    with FakeProvider(in_thread=True) as fake:
        abandon_one(fake, asked)
        stats = settle(fake, 1)
        assert (stats["aborted"], stats["completed"]) == (1, 0)
        assert stats["open_connections"] == 1


def test_half_closed_stream_stops_too() -> None:
    with FakeProvider(in_thread=True) as fake, socket.create_connection(("127.0.0.1", fake.port), 10) as wire:
        body = b'{"model":"m+delay=1000","stream":true}'
        wire.sendall(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        assert wire.recv(1024)
        wire.shutdown(socket.SHUT_WR)
        assert settle(fake, 1)["aborted"] == 1


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_many_aborted_streams_leave_no_memory_behind(fake: FakeProvider) -> None:
    fake.reset()
    assert fake.pid is not None
    for _ in range(200):
        abandon_one(fake, "delay=1000")
    before = resident_bytes(fake.pid)
    for _ in range(600):
        abandon_one(fake, "delay=1000")
    stats = settle(fake, 800)
    assert stats["aborted"] == 800
    assert resident_bytes(fake.pid) - before < 2_000_000


def test_held_stream_is_no_abort(fake: FakeProvider) -> None:
    fake.reset()
    with socket.create_connection(("127.0.0.1", fake.port), timeout=10) as wire:
        wire.sendall(b"GET /mcp HTTP/1.1\r\nhost: fake\r\n\r\n")
        assert b"text/event-stream" in wire.recv(4096)
        wire.settimeout(0.1)
        with pytest.raises(TimeoutError):
            read_all(wire)
    assert fake.stats()["aborted"] == 0


def read_all(wire: socket.socket) -> None:
    while wire.recv(4096):
        pass
