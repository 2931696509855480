"""Whatever calls need is given back when they are over, however they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.running import RunningRelay

from .books import metric, stored, twice
from .load import ABORTED, BLOCKED, PLAIN, UNKNOWN, Kind, Load, chat, fault_counts
from .watching import Held, connections, held

if TYPE_CHECKING:
    from pathlib import Path

    from llmtrace_sdk.fake_provider import FakeProvider

pytestmark = pytest.mark.slow

CLIENTS = 12
WARM, CALLS = 600, 3_000
STREAM = Kind("stream", body=chat(stream=True), scenario="chunks=5,delay=1")
BROKEN = Kind("broken", body=chat(stream=True), scenario="cut=200")
ERROR = Kind("error", body=chat(), scenario="status=500", status=500)
KINDS = (PLAIN, STREAM, ABORTED, BLOCKED, UNKNOWN, BROKEN, ERROR, PLAIN, STREAM, BLOCKED)
GROWTH_KB = 16 << 10
MORE = 3
"""A thread or a file more may be needed by chance, with whatever it holds."""


def idle(relay: RunningRelay, upstream: str, calls: int) -> Held:
    """What it holds when nothing is under way."""
    assert relay.process is not None
    pid = relay.process.pid
    relay.until(lambda: metric(relay.url, "llmtrace_active_connections") == 0)
    relay.until(lambda: len(stored(relay.folder)) >= calls)
    relay.until(lambda: connections(pid, relay.url) == 0)
    now = held(pid)
    return now._replace(fds=now.fds - connections(pid, upstream))


def test_nothing_is_left_of_many_calls_of_all_kinds(provider: FakeProvider, tmp_path: Path) -> None:
    config = {"rate_limiting": {"enabled": False}, "enforcement": {"mode": "block"}}
    with RunningRelay(tmp_path, upstream_url=provider.url, **config) as relay:
        assert relay.process is not None
        with Load(relay.url, *KINDS, clients=CLIENTS) as load:
            load.goes_on(relay, WARM)
        made = len(load.calls)
        before = idle(relay, provider.url, made)
        with Load(relay.url, *KINDS, clients=CLIENTS) as load:
            relay.until(lambda: len(load.calls) >= CALLS, 90)
            most = connections(relay.process.pid, provider.url)
        made += len(load.calls)
        after = idle(relay, provider.url, made)
        kept = connections(relay.process.pid, provider.url)
    print(f"{made} calls: {before} before, {after} after; connections to the upstream: {most} at most, {kept} kept")
    faults = fault_counts(load.calls)
    broken = sum(call.kind is BROKEN for call in load.calls)
    assert faults == {"cut": broken}
    assert after.rss - before.rss < GROWTH_KB
    assert after.fds <= before.fds + MORE
    assert after.threads <= before.threads + MORE
    assert kept <= CLIENTS
    assert (len(stored(tmp_path)), twice(stored(tmp_path))) == (made, 0)
