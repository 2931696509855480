"""Engines for SQLite and PostgreSQL, set up so that several processes can write and nobody waits for ever."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool, StaticPool

from llmtrace_relay.store import StoreUnavailable

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Engine

BUSY_S: Final = 5.0
CONNECT_S: Final = 3
POOL_SIZE: Final = 5
CACHE_KIB: Final = 16 << 10
ANALYSED_ROWS: Final = 1_000
CHECKPOINT_PAGES: Final = 4_000
WAL_LIMIT: Final = 64 << 20
STATEMENT_MS: Final = 30_000
_POSTGRES_DEFAULTS: Final[dict[str, Any]] = {
    "connect_timeout": CONNECT_S,
    "application_name": "llmtrace-relay",
    "prepare_threshold": None,  # poolers that share a connection do not know what was prepared on it
}
_PRAGMAS: Final = (
    "foreign_keys = ON",
    "synchronous = NORMAL",  # with WAL: a crash of the machine may lose the last moments, never break the file
    f"cache_size = -{CACHE_KIB}",
    f"journal_size_limit = {WAL_LIMIT}",
    f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
    f"analysis_limit = {ANALYSED_ROWS}",
    "temp_store = MEMORY",
)


def sqlite_engine(path: str | None) -> Engine:
    """An engine for a SQLite file, which only its owner may read; None is a database in memory."""
    if path is None:
        # all threads share the connection, or each would have a database of its own
        engine = create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}, hide_parameters=True
        )
    else:
        engine = create_engine(
            URL.create("sqlite", database=path),
            poolclass=QueuePool,
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            pool_timeout=BUSY_S,
            connect_args={"check_same_thread": False, "timeout": BUSY_S},
            hide_parameters=True,
        )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def make_file(path: str) -> None:
    """Make a SQLite file in WAL mode, with its folder, unless it is there. Raises `StoreUnavailable`."""
    import sqlite3

    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as connection:
            _use_wal(connection)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"the database file {path} cannot be used: {error}; see storage.database_path") from None


def postgres_engine(url: str) -> Engine:
    """An engine for PostgreSQL. Raises `StoreUnavailable` where psycopg is not installed."""
    try:
        from llmtrace_relay.store.sql.limits import LimitedConnection
    except ImportError:
        raise StoreUnavailable("PostgreSQL needs psycopg: pip install 'llmtrace-sdk[postgres]'") from None
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        pool_timeout=CONNECT_S,
        hide_parameters=True,
    )

    def connect(_dialect: Any, _record: Any, words: list[Any], named: dict[str, Any]) -> Any:
        connection = LimitedConnection.connect(*words, **{**_POSTGRES_DEFAULTS, **named})
        connection.deadline = time.monotonic() + CONNECT_S
        connection.autocommit = True  # or the next rollback would take the setting back
        connection.execute(f"SET statement_timeout = {STATEMENT_MS}")
        connection.autocommit = False
        return connection

    event.listen(engine, "do_connect", connect)
    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    # switching needs the file for oneself, and SQLite does not always wait for that
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # so that deleting gives space back
                connection.execute("PRAGMA journal_mode = WAL")  # some file systems cannot; then it is slower
        except connection.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # or the driver would begin transactions by itself
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function("llmtrace_holds", 2, _holds, deterministic=True)


def _holds(text: str | None, folded: str) -> bool:
    return text is not None and folded in text.casefold()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("llmtrace_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
