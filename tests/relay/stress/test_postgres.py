"""The database is away at the start, hangs, and is killed, all of that under load: calls do not notice."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.relay.running import RunningRelay

from .books import metric, stored, twice, unrecorded
from .load import PLAIN, STREAM, Kind, Load, Together, chat, fault_counts, percentile

if TYPE_CHECKING:
    from pathlib import Path

    from llmtrace_sdk.fake_provider import FakeProvider
    from tests.relay.postgres_server import PostgresServer

pytestmark = pytest.mark.slow

AWAY_S = 3.0
LARGE = Kind("large", body=chat("A sentence about the weather. " * 2_000))
ENDS_S = 15.0
SLOWER_S = 0.1
"""A machine that does other things is so much slower at times."""
ASKED = ("/health", "/ready", "/metrics", "/api/v1/traces", "/api/v1/stats")


class Watchers(Together):
    """People and machines that look at the relay all the time; some of what they ask for waits for the database."""

    def __init__(self, url: str) -> None:
        super().__init__(partial(self._look, url, path) for path in ASKED * 2)
        self.slowest_s = dict.fromkeys(ASKED, 0.0)

    def _look(self, url: str, path: str) -> None:
        with httpx.Client(timeout=30) as client:
            while not self.ended.wait(0.1):
                began = time.monotonic()
                with suppress(httpx.TransportError):
                    client.get(f"{url}{path}")
                self.slowest_s[path] = max(self.slowest_s[path], time.monotonic() - began)


def test_calls_do_not_notice_that_the_database_is_away(
    provider: FakeProvider, postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.url()
    postgres.kill()
    storage = {"profile": "production", "postgres_url": url}
    limits = {"rate_limiting": {"enabled": False}}
    kinds, clients = (PLAIN, STREAM, PLAIN, LARGE), {"clients": 4, "pause_s": 0.02}
    with RunningRelay(tmp_path, serves="/ready", upstream_url=provider.url, storage=storage, **limits) as relay:
        with Load(relay.url, *kinds, **clients) as load, Watchers(relay.url) as watchers:
            load.goes_on(relay, 100)
            assert httpx.get(f"{relay.url}/health").status_code == 503, "it has never been there"
            assert metric(relay.url, "llmtrace_spool_pending") >= 100
            assert postgres.start()
            relay.until(lambda: httpx.get(f"{relay.url}/health").status_code == 200)
            relay.until(lambda: metric(relay.url, "llmtrace_spool_pending") < 20)
            began = time.monotonic()
            time.sleep(AWAY_S)
            usual = load.since(began)
            with postgres.paused():
                hung = time.monotonic()
                time.sleep(AWAY_S)
                hanging = load.since(hung)
            relay.until(lambda: metric(relay.url, "llmtrace_spool_pending") < 20)
            postgres.kill()
            killed = time.monotonic()
            time.sleep(AWAY_S)
            away = load.since(killed)
            waits = metric(relay.url, "llmtrace_spool_pending")
            assert postgres.start()
            load.goes_on(relay, 50)
        for name, calls in (("usual", usual), ("hanging", hanging), ("away", away)):
            half, most = (1000 * percentile(calls, share) for share in (0.5, 0.99))
            print(f"{name}: {len(calls)} calls, p50 {half:.0f} ms, p99 {most:.0f} ms")
        print(f"{waits:.0f} calls waited; the slowest answers: {watchers.slowest_s}")
        relay.until(lambda: not unrecorded(load.calls, stored(postgres=url)))
        dropped = metric(relay.url, "llmtrace_spool_dropped_total") + metric(
            relay.url, "llmtrace_records_dropped_total"
        )
    spans = stored(postgres=url)
    print(f"{len(load.calls)} calls, {len(spans)} records, {dropped:.0f} dropped")
    assert fault_counts(load.calls) == {}
    assert (twice(spans), dropped) == (0, 0)
    assert waits > len(away) / 2
    for calls in (hanging, away):
        assert percentile(calls, 0.5) < 1.5 * percentile(usual, 0.5) + SLOWER_S
        assert percentile(calls, 0.99) < 1.5 * percentile(usual, 0.99) + 5 * SLOWER_S


def test_it_ends_while_the_database_hangs_and_the_next_one_stores_what_waits(
    provider: FakeProvider, postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.url()
    config = {"upstream_url": provider.url, "storage": {"profile": "production", "postgres_url": url}}
    relay = RunningRelay(tmp_path, **config)
    with relay, postgres.paused():
        with Load(relay.url, PLAIN, STREAM, clients=4, pause_s=0.1) as load:
            load.goes_on(relay, 60)
        began = time.monotonic()
        assert relay.stop(timeout_s=60) == 0
        took_s = time.monotonic() - began
    print(f"ended {took_s:.1f} s after SIGTERM, with a database that hangs")
    assert took_s < ENDS_S
    assert stored(postgres=url) == []
    with RunningRelay(tmp_path, **config) as another:
        another.until(lambda: not unrecorded(load.calls, stored(postgres=url)))
    assert len(stored(postgres=url)) == len(load.calls)
