"""A store is made when it is opened first, by one process, and says what is wrong when it cannot be."""

from __future__ import annotations

import multiprocessing
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from llmtrace_relay.store import SpanQuery, StoreUnavailable
from llmtrace_relay.store.opening import open_store, spool_folder
from llmtrace_relay.store.sql.migrating import HEAD, SCRIPTS, VERSIONS
from llmtrace_relay.store.sql.schema import metadata
from llmtrace_sdk.config.relay import StorageOptions
from tests.forking import forked

from .making import TENANT, span

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.relay.postgres_server import PostgresServer

SPAWN = multiprocessing.get_context("spawn")
SECRET = "hunter2-secret"


def open_and_put(options: StorageOptions, number: int, gate: Any, told: Any) -> None:
    gate.wait(60)
    store = open_store(options)
    store.put([span(span_id=f"of {number}", trace_id=f"of {number}")])
    told.put(store.spans(SpanQuery(tenant_id=TENANT, trace_id=f"of {number}")).total)
    store.close()


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_processes_may_open_a_new_database_at_once(kind: str, empty_options: Callable[[str], StorageOptions]) -> None:
    options = empty_options(kind)
    gate, told = SPAWN.Barrier(2), SPAWN.Queue()
    processes = [SPAWN.Process(target=open_and_put, args=(options, at, gate, told)) for at in range(2)]
    for process in processes:
        process.start()
    assert [told.get(timeout=60) for _ in processes] == [1, 1]
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    store = open_store(options)
    assert store.stats(None).total_spans == 2
    store.close()


def test_the_last_migration_is_the_one_that_is_asked_for() -> None:
    assert ScriptDirectory(str(SCRIPTS)).get_current_head() == HEAD


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_migrations_make_the_tables_that_are_used(kind: str, empty_options: Callable[[str], StorageOptions]) -> None:
    options = empty_options(kind)
    open_store(options).close()
    url = options.postgres_url.replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url if kind == "postgres" else f"sqlite:///{options.database_path}")
    with engine.connect() as connection, warnings.catch_warnings():
        # SQLite does not tell of indexes of expressions
        warnings.filterwarnings("ignore", message=".*expression-based index.*")
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "version_table": VERSIONS, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
        if kind == "postgres":
            indexes = {each["name"] for each in inspect(connection).get_indexes("spans")}
            assert "spans_by_score" in indexes
    engine.dispose()


def test_a_database_of_a_newer_version_is_left_alone(file_options: StorageOptions) -> None:
    with closing(sqlite3.connect(file_options.database_path)) as connection:
        connection.execute(f"UPDATE {VERSIONS} SET version_num = '9999'")
        connection.commit()
    with pytest.raises(StoreUnavailable, match="newer"):
        open_store(file_options)


def test_a_file_is_its_owners_alone_and_in_wal_mode(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "calls.db"
    store = open_store(StorageOptions(database_path=str(path)))
    store.put([span()])
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    store.close()


def test_a_store_in_memory_is_gone_with_it() -> None:
    options = StorageOptions(profile="memory")
    store = open_store(options)
    store.put([span()])
    other = open_store(options)
    assert (store.stats(None).total_spans, other.stats(None).total_spans) == (1, 0)
    store.close()
    other.close()


def test_what_was_stored_is_there_when_it_is_opened_again(file_options: StorageOptions) -> None:
    one = span(prompt="kept")
    store = open_store(file_options)
    store.put([one])
    store.close()
    store = open_store(file_options)
    assert store.span(TENANT, one.span_id) == one
    store.close()


@pytest.mark.parametrize("broken", ["folder", "no_database"])
def test_a_file_that_is_no_database_is_told(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "calls.db"
    if broken == "folder":
        path.mkdir()
    else:
        path.write_text("this is not a database" * 100)
    with pytest.raises(StoreUnavailable, match=r"calls\.db"):
        open_store(StorageOptions(database_path=str(path)))


def test_a_server_that_is_not_there_is_told_at_once_without_the_password() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"postgresql://me:{SECRET}@127.0.0.1:{held.getsockname()[1]}/calls"
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable) as told:
            open_store(StorageOptions(profile="production", postgres_url=url))
    assert time.monotonic() - begun < 3
    assert SECRET not in repr(told.value)
    assert told.value.__suppress_context__


def test_a_server_that_does_not_answer_is_told_within_seconds() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        url = f"postgres://me:{SECRET}@127.0.0.1:{held.getsockname()[1]}/calls"
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            open_store(StorageOptions(profile="production", postgres_url=url))
    assert 1 < time.monotonic() - begun < 8


def test_a_store_may_be_opened_before_its_server(empty_options: Callable[[str], StorageOptions]) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        away = StorageOptions(profile="production", postgres_url=f"postgresql://me@127.0.0.1:{held.getsockname()[1]}/x")
        store = open_store(away, must_answer=False)
        assert not store.healthy()
        with pytest.raises(StoreUnavailable):
            store.put([span()])
        store.close()
    there = open_store(empty_options("postgres"), must_answer=False)
    there.put([span()])
    assert there.stats(None).total_spans == 1
    there.close()


def test_errors_say_nothing_of_values(postgres: PostgresServer, file_options: StorageOptions) -> None:
    """What PostgreSQL says of a row that it refuses has the row in it."""
    postgres.run("CREATE DATABASE telling")
    remote = StorageOptions(profile="production", postgres_url=postgres.url("telling"))
    remote_store, local_store = open_store(remote), open_store(file_options)
    change = "ALTER TABLE span_texts ADD CONSTRAINT no_texts CHECK (prompt = '')"
    postgres.run(change, "telling")
    with closing(sqlite3.connect(file_options.database_path)) as connection:
        connection.execute("CREATE TRIGGER no_texts BEFORE INSERT ON span_texts BEGIN SELECT RAISE(ABORT, 'no'); END")
    for store in (remote_store, local_store):
        with pytest.raises(StoreUnavailable) as told:
            store.put([span(prompt=SECRET)])
        assert told.value.refused
        assert SECRET not in repr(told.value)
        assert store.stats(None).total_spans == 0
        store.close()


def test_postgres_without_its_driver_says_what_to_install() -> None:
    code = """
import sys
sys.modules["psycopg"] = None
from llmtrace_relay.store import StoreUnavailable
from llmtrace_relay.store.opening import open_store
from llmtrace_sdk.config.relay import StorageOptions
try:
    open_store(StorageOptions(profile="production"))
except StoreUnavailable as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "pip install 'llmtrace-sdk[postgres]'" in done.stdout


def test_where_calls_wait() -> None:
    assert spool_folder(StorageOptions(spool_path="/x/y")) == Path("/x/y")
    assert spool_folder(StorageOptions(database_path="/x/calls.db")) == Path("/x/calls.db.spool")
    assert spool_folder(StorageOptions(profile="production")) == Path("llmtrace.spool")


def test_a_child_that_was_forked_has_connections_of_its_own(file_options: StorageOptions) -> None:
    store = open_store(file_options)
    store.put([span()])

    def stores_one_more() -> bool:
        store.put([span(span_id="of the child")])
        return store.stats(None).total_spans == 2

    assert forked(stores_one_more)()
    store.put([span()])
    assert store.stats(None).total_spans == 3
    store.close()
