"""Clients that take their answers slowly, or not at all: what they do not take is not held, and nobody else waits."""

from __future__ import annotations

import json
import socket
import time
import uuid
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

import pytest

from llmtrace_relay import server
from tests.relay.inside import InsideRelay
from tests.relay.raw import post
from tests.relay.running import RunningRelay

from .books import metric, stored
from .load import PLAIN, Load, chat, fault_counts, percentile
from .watching import held

if TYPE_CHECKING:
    from pathlib import Path

    from llmtrace_sdk.fake_provider import FakeProvider

HUGE = "huge=12000000,chunks=400"
"""More than the system holds back for two connections."""
READERS = 8
GROWTH_KB = 48 << 10
UNLIMITED = {"rate_limiting": {"enabled": False}}


class Reader:
    """A client that has asked for a huge stream, with little room for it."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self.trace = str(uuid.uuid4())
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(20)
        self.socket.connect((host, int(port)))
        body = json.dumps(chat(stream=True)).encode()
        fields = (f"x-fake-scenario: {HUGE}", f"x-llmtrace-trace-id: {self.trace}", "content-type: application/json")
        self.socket.sendall(post("/v1/chat/completions", body, *fields))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def rest(self) -> bytes:
        """All that still comes, until it is whole or the connection ends."""
        found = bytearray()
        with suppress(ConnectionError):
            while not found.endswith(b"0\r\n\r\n") and (piece := self.socket.recv(1 << 16)):
                found += piece
        return bytes(found)


def test_who_rests_while_reading_gets_all_of_it(provider: FakeProvider, tmp_path: Path) -> None:
    """The upstream is not silent: nobody asks it for more."""
    with InsideRelay(tmp_path, upstream_url=provider.url, idle_timeout_ms=300) as relay, Reader(relay.url) as reader:
        assert reader.socket.recv(100)
        time.sleep(1)
        whole = reader.rest()
        assert len(whole) > 12_000_000
        assert b"data: [DONE]" in whole[-100:]


def test_who_takes_nothing_is_let_go(provider: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TAKEN_S", 0.2)
    with InsideRelay(tmp_path, upstream_url=provider.url) as relay, Reader(relay.url) as reader:
        aborted = provider.stats()["aborted"]
        relay.until(lambda: metric(relay.url, "llmtrace_calls_total", outcome="abandoned") == 1)
        relay.until(lambda: provider.stats()["aborted"] == aborted + 1)
        assert metric(relay.url, "llmtrace_active_connections") == 0
        assert not reader.rest().endswith(b"0\r\n\r\n")


@pytest.mark.slow
def test_memory_is_bounded_and_nobody_else_waits(provider: FakeProvider, tmp_path: Path) -> None:
    with RunningRelay(tmp_path, upstream_url=provider.url, enforcement={"mode": "block"}, **UNLIMITED) as relay:
        assert relay.process is not None
        pid = relay.process.pid
        with Load(relay.url, PLAIN, clients=4, pause_s=0.01) as load:
            load.goes_on(relay, 400)
        before, usual = held(pid), load.calls[100:]
        with ExitStack() as reading:
            readers = [reading.enter_context(Reader(relay.url)) for _ in range(READERS)]
            relay.until(lambda: metric(relay.url, "llmtrace_active_connections") == READERS)
            with Load(relay.url, PLAIN, clients=4, pause_s=0.01) as load:
                for _ in range(3):
                    for reader in readers[::2]:
                        reader.socket.recv(1)
                    time.sleep(1)
            during = held(pid)
            assert metric(relay.url, "llmtrace_active_connections") == READERS
        relay.until(lambda: metric(relay.url, "llmtrace_active_connections") == 0)
        after = held(pid)
        traces = {reader.trace for reader in readers}
        relay.until(lambda: sum(span.trace_id in traces for span in stored(tmp_path)) == READERS)
        spans = [span for span in stored(tmp_path) if span.trace_id in traces]
    half, others = percentile(usual, 0.5), percentile(load.calls, 0.5)
    print(f"p50 {1000 * half:.1f} ms alone, {1000 * others:.1f} ms beside {READERS} who hardly read")
    print(f"memory {before.rss >> 10} MB before, {during.rss >> 10} MB meanwhile, {after.rss >> 10} MB after")
    assert fault_counts(load.calls) == {}
    assert {span.outcome for span in spans} == {"abandoned"}
    assert during.rss - before.rss < GROWTH_KB
    assert after.fds <= before.fds + 4
    assert others < 2 * half + 0.02
