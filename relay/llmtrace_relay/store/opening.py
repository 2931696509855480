"""Opens the store that the settings name."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llmtrace_relay.store import StoreUnavailable
from llmtrace_relay.store.sql.database import Database
from llmtrace_relay.store.sql.engines import make_file, postgres_engine, sqlite_engine
from llmtrace_relay.store.sql.migrating import migrate
from llmtrace_relay.store.sql.store import SqlStore

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from llmtrace_relay.store import Store
    from llmtrace_sdk.config.relay import StorageOptions


def open_store(options: StorageOptions, *, must_answer: bool = True) -> Store:
    """The store of a profile, its tables made or brought up to date. Several processes may do so at once.

    Raises `StoreUnavailable` where the database does not answer within seconds; with `must_answer` False the store is
    given all the same, and makes its tables when it is first asked something and the database is there.
    """
    database = _database(options)
    try:
        with suppress(*(() if must_answer else (StoreUnavailable,))):
            database.prepare()
    except BaseException:
        database.close()
        raise
    return SqlStore(database)


def spool_folder(options: StorageOptions) -> Path:
    """Where calls wait for the database: `spool_path`, else beside the SQLite file, else in the working directory."""
    if options.spool_path is not None:
        return Path(options.spool_path)
    if options.profile == "lite":
        path = Path(options.database_path)
        return path.with_name(f"{path.name}.spool")
    return Path("llmtrace.spool")


def _database(options: StorageOptions) -> Database:
    if options.profile == "memory":
        return Database(sqlite_engine(None), migrate, one_at_a_time=True)
    if options.profile == "production":
        return Database(postgres_engine(options.postgres_url), migrate)
    path = str(Path(options.database_path).absolute())

    def prepare(engine: Engine) -> None:
        make_file(path)
        migrate(engine)

    return Database(sqlite_engine(path), prepare)
