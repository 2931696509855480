"""What is too old or too much is deleted every so often, by one of many."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING

import pytest

from llmtrace_relay.store import StoreUnavailable
from llmtrace_relay.store.opening import open_store
from llmtrace_relay.store.retention import Retention
from llmtrace_sdk.config.relay import StorageOptions
from tests.waiting import until

from .making import BEGIN, SECOND, span
from .stores import Faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmtrace_relay.store import Store

DAY = 24 * 3600 * SECOND


@pytest.fixture
def kept() -> Iterator[Store]:
    store = open_store(StorageOptions(profile="memory"))
    store.put([span(start_time=BEGIN - at * DAY, prompt="x" * 10_000) for at in range(10)])
    yield store
    store.close()


def retention(store: Store, now: int = BEGIN, every_s: float = 600.0, **options: float | None) -> Retention:
    given = StorageOptions(**({"retention_days": None} | options))  # type: ignore[arg-type]
    return Retention(store, given, lambda: now, Faults(), first_s=0.0, every_s=every_s)


def test_what_is_too_old_goes(kept: Store) -> None:
    assert retention(kept, retention_days=4.5).run_once() == 5
    assert kept.stats(None).oldest_trace == BEGIN - 4 * DAY


def test_what_is_too_much_goes(kept: Store) -> None:
    size = kept.stats(None).storage_size_bytes
    assert retention(kept, max_bytes=size // 2).run_once() == 5
    assert kept.stats(None).newest_trace == BEGIN


def test_to_have_looked_while_there_was_little_makes_nothing_dear_later(tmp_path: Path) -> None:
    """SQLite would take the tables for small until the next look, and go through all rows for each one that is put."""
    options = StorageOptions(database_path=str(tmp_path / "kept.db"))
    store = open_store(options)
    place = tmp_path / "kept.db"
    try:
        store.put([span(start_time=BEGIN + at) for at in range(45)])
        with sqlite3.connect(place) as direct:
            direct.execute("ANALYZE")
        assert retention(store, retention_days=4.5).run_once() == 0
        with sqlite3.connect(place) as direct:
            assert direct.execute("SELECT count(*) FROM sqlite_stat1").fetchone() == (0,)
        before = min(_put_s(store) for _ in range(5))
        store.put([span(start_time=BEGIN + at) for at in range(8_000)])
        assert min(_put_s(store) for _ in range(5)) < 4 * before
    finally:
        store.close()


def _put_s(store: Store) -> float:
    began = time.thread_time()
    store.put([span(start_time=BEGIN + at) for at in range(100)])
    return time.thread_time() - began


def test_one_of_many_does_it_until_its_lease_ends(kept: Store) -> None:
    first, second = retention(kept, retention_days=8), retention(kept, retention_days=1)
    assert first.run_once() == 1
    assert second.run_once() == 0
    later = BEGIN + 1_200 * SECOND
    assert retention(kept, later, retention_days=1).run_once() > 0
    assert first.run_once() == 0


def test_it_runs_soon_and_again(kept: Store) -> None:
    running = retention(kept, every_s=0.05, retention_days=4.5)
    running.start()
    running.start()
    assert until(lambda: running.deleted == 5, 10)
    kept.put([span(start_time=BEGIN - 20 * DAY)])
    assert until(lambda: running.deleted == 6, 10)
    assert running.close(10)


def test_a_store_that_is_away_is_told_and_tried_again(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    faults, lease = Faults(), kept.lease
    monkeypatch.setattr(kept, "lease", lambda *_: (_ for _ in ()).throw(StoreUnavailable()))
    running = Retention(kept, StorageOptions(retention_days=4.5), lambda: BEGIN, faults, first_s=0.0, every_s=0.05)
    running.start()
    assert until(lambda: len(faults) > 1, 10)
    assert set(faults) == {"retention"}
    monkeypatch.setattr(kept, "lease", lease)
    assert until(lambda: running.deleted == 5, 10)
    assert running.close(10)


def test_without_bounds_nothing_runs(kept: Store) -> None:
    running = retention(kept)
    running.start()
    assert not [thread for thread in threading.enumerate() if thread.name == "llmtrace-retention"]
    assert running.close(1)
