"""Databases go away under load and processes are killed; what was put is stored all the same."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from llmtrace_relay.store import SpanQuery, StoreUnavailable
from llmtrace_relay.store.opening import open_store
from llmtrace_relay.store.writer import Writer
from llmtrace_sdk.config.relay import StorageOptions
from tests.waiting import until

from .making import TENANT, span
from .stores import Faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_relay.store import Store
    from tests.relay.postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parents[3]
UNDER_WAY = 50
_numbers = itertools.count(1)


class Load:
    """Puts spans from a thread until it is left; all of them must be stored then."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.faults = Faults()
        self.writer = Writer(store, folder, 1 << 30, self.faults)
        self.count = 0
        self.slowest_s = 0.0
        self._store = store
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._put)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)
        flushed = self.writer.flush(30)
        closed = self.writer.close(10)
        assert flushed
        assert closed
        assert self._store.stats(None).total_spans == self.count
        assert (self.writer.dropped, self.writer.pending) == (0, 0)

    def goes_on(self) -> None:
        """Wait until some more spans were put, and fail if the database holds them up."""
        wanted = self.count + UNDER_WAY
        assert until(lambda: self.count >= wanted, 10)

    def stores(self) -> None:
        """Wait until some more spans were stored."""
        wanted = self.writer.stored + UNDER_WAY
        assert until(lambda: self.writer.stored >= wanted, 30)

    def _put(self) -> None:
        while not self._ended.wait(0.002):
            begun = time.monotonic()
            self.writer.put(span(prompt="x" * 500))
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
            self.count += 1


@pytest.fixture
def remote(killed_postgres: PostgresServer) -> Iterator[Store]:
    name = f"outage{next(_numbers)}"
    killed_postgres.run(f"CREATE DATABASE {name}")
    store = open_store(StorageOptions(profile="production", postgres_url=killed_postgres.url(name)))
    yield store
    store.close()


def test_a_server_is_killed_hangs_and_restarts_under_load(
    killed_postgres: PostgresServer, remote: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmtrace_relay.store.sql.store.LONG_ANSWER_S", 1.0)
    with Load(remote, tmp_path / "spool") as load:
        load.stores()
        killed_postgres.kill()
        assert until(lambda: "store" in load.faults, 20)
        load.goes_on()
        assert killed_postgres.start()
        load.stores()
        with killed_postgres.paused():
            known = len(load.faults)
            assert until(lambda: len(load.faults) > known, 20)
            load.goes_on()
        load.stores()
    assert load.slowest_s < 2


@pytest.mark.slow
def test_a_hanging_server_is_told_in_time_and_is_used_again(
    killed_postgres: PostgresServer, remote: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmtrace_relay.store.sql.store.HEALTH_S", 1.0)
    remote.put([span()])
    with killed_postgres.paused():
        begun = time.monotonic()
        assert not remote.healthy()
        with pytest.raises(StoreUnavailable):
            remote.span(TENANT, "x")
        assert time.monotonic() - begun < 12
    assert remote.healthy()
    assert remote.stats(None).total_spans == 1


def test_a_restart_between_two_questions_goes_unnoticed(killed_postgres: PostgresServer, remote: Store) -> None:
    remote.put([span()])
    killed_postgres.kill()
    assert killed_postgres.start()
    assert remote.stats(None).total_spans == 1
    killed_postgres.kill()
    assert killed_postgres.start()
    remote.put([span()])
    assert remote.stats(None).total_spans == 2


def test_tables_that_were_lost_are_made_anew(killed_postgres: PostgresServer, remote: Store) -> None:
    remote.put([span()])
    (name,) = killed_postgres.run("SELECT max(datname) FROM pg_database WHERE datname LIKE 'outage%'")[0]
    killed_postgres.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public", name)
    with pytest.raises(StoreUnavailable):
        remote.put([span()])
    remote.put([span()])
    assert remote.stats(None).total_spans == 1


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Another process writes to the file and does not end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_a_file_is_locked_by_another_under_load(
    file_options: StorageOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmtrace_relay.store.sql.engines.BUSY_S", 0.2)
    store = open_store(file_options)
    with Load(store, tmp_path / "spool") as load:
        load.stores()
        with locked(file_options.database_path):
            assert until(lambda: "store" in load.faults, 20)
            load.goes_on()
            assert store.healthy()
        load.stores()
    store.close()


def start_putting(url: str, spool: Path, name: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "tests.relay.store.putting", url, str(spool), name]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)


def killed_after(process: subprocess.Popen[bytes], lines: int) -> int:
    """Kill a process as soon as it has put so many spans; gives how many it had."""
    assert process.stdout is not None
    for _ in range(lines):
        assert process.stdout.readline()
    process.kill()
    told = process.stdout.read()
    process.wait()
    process.stdout.close()
    whole = told[: told.rindex(b"\n") + 1] if b"\n" in told else b""
    return lines + whole.count(b"\n")


def stored(store: Store, name: str) -> set[str]:
    return {each.span_id for each in store.each(SpanQuery(tenant_id=TENANT)) if each.span_id.startswith(f"{name}-")}


@pytest.mark.parametrize("away", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_what_was_put_survives_kill_9(file_options: StorageOptions, tmp_path: Path, *, away: bool) -> None:
    spool = tmp_path / "spool"
    names = ("a", "b")
    processes = [start_putting(file_options.database_path, spool, name) for name in names]
    counts: dict[str, Any] = {}
    if away:
        with locked(file_options.database_path):
            counts = {name: killed_after(each, 300) for name, each in zip(names, processes, strict=True)}
    else:
        counts = {name: killed_after(each, 700) for name, each in zip(names, processes, strict=True)}
    store = open_store(file_options)
    writer = Writer(store, spool, 1 << 30, Faults())
    writer.start()
    assert until(lambda: not list(spool.iterdir()), 20)
    assert writer.close(20)
    for name, count in counts.items():
        found = stored(store, name)
        # the last one may have been put and not told
        assert {f"{name}-{at}" for at in range(count)} <= found
        assert len(found) <= count + 1
    store.close()
