"""Several workers: calls are shared out, metrics are sums, and one that is killed takes with it what it had in hand."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.programs import is_alive
from tests.relay.running import RunningRelay

from .books import metric, seconds_until, stored, twice, unrecorded
from .load import CUT, DROPPED, PLAIN, REFUSED, STREAM, Load, fault_counts
from .watching import connections, listens, workers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmtrace_sdk.fake_provider import FakeProvider

pytestmark = pytest.mark.slow

CLIENTS = 24
GONE_S = 0.5
"""How long it takes the system to clear a process away; until then it is given connections."""
IN_MEMORY_S = 0.5
"""A record may be in memory for so long after its call: the worker thread makes it, and another keeps it."""


@pytest.fixture(scope="module")
def relay(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRelay]:
    """One for all tests here, the last of which ends it."""
    folder, limits = tmp_path_factory.mktemp("workers"), {"rate_limiting": {"enabled": False}}
    with RunningRelay(folder, workers=2, upstream_url=provider.url, **limits) as running:
        running.until(lambda: _all_listen(running))
        yield running


def _all_listen(relay: RunningRelay) -> bool:
    return len(workers(relay)) == 2 and all(listens(pid, relay.url) for pid in workers(relay))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody can write to the database meanwhile."""
    with closing(sqlite3.connect(folder / "llmtrace.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_calls_are_shared_out_and_counted_once(relay: RunningRelay) -> None:
    with Load(relay.url, PLAIN, STREAM, clients=CLIENTS) as load:
        load.goes_on(relay, 400)
        spread = [connections(pid, relay.url) for pid in workers(relay)]
    print(f"connections of each worker: {spread}")
    assert min(spread) >= 3, "one worker has nearly all connections"
    assert fault_counts(load.calls) == {}
    made = len(load.calls)
    relay.until(lambda: metric(relay.url, "llmtrace_requests_total") == made)
    relay.until(lambda: len(stored(relay.folder)) == made)
    for _ in range(10):  # whichever worker answers
        assert metric(relay.url, "llmtrace_requests_total", status_code="200") == made
        assert metric(relay.url, "llmtrace_request_duration_seconds_count") == made
    assert metric(relay.url, "llmtrace_active_connections") == 0
    assert twice(stored(relay.folder)) == 0


def test_a_worker_that_is_killed_under_load(relay: RunningRelay) -> None:
    victim, other = workers(relay)
    with Load(relay.url, PLAIN, STREAM, clients=CLIENTS) as load:
        load.goes_on(relay, 200)
        assert fault_counts(load.calls) == {}
        with locked(relay.folder):  # so that much waits in the spool
            load.goes_on(relay, 300)
            under_way = connections(victim, relay.url)
            killed = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            load.goes_on(relay, 300)
            replaced_s = seconds_until(lambda: _all_listen(relay) and victim not in workers(relay))
        load.goes_on(relay, 100)
    faults = fault_counts(load.calls)
    last_s = max(call.began - killed for call in load.calls if call.fault)
    print(f"a worker with {under_way} connections was killed, and replaced after {replaced_s:.1f} s")
    print(f"calls that failed: {faults} of {len(load.calls)}; the last began {last_s:.3f} s after the kill")
    assert other in workers(relay)
    assert set(faults) <= {REFUSED, DROPPED, CUT}
    assert sum(faults.values()) <= under_way + CLIENTS  # who comes again before it is gone may come to it again
    assert last_s < GONE_S, "calls fail that came when it was gone"
    complete = [call for call in load.calls if call.complete]
    last = [call for call in complete if call.began + call.took_s < killed - IN_MEMORY_S or call.began > killed]
    relay.until(lambda: not unrecorded(last, stored(relay.folder)))
    spans = stored(relay.folder)
    lost = [killed - call.began - call.took_s for call in unrecorded(complete, spans)]
    print(f"of {len(complete)} complete calls {len(lost)} have no record; ended before the kill: {lost} s")
    assert len(lost) <= under_way
    assert twice(spans) == 0


def test_workers_end_when_the_process_that_started_them_is_killed(relay: RunningRelay) -> None:
    serving = workers(relay)
    relay.stop(signal.SIGKILL)
    seconds_until(lambda: not any(is_alive(pid) for pid in serving), 20)
