"""Brings the tables of a database to the shape that this version uses, by one process at a time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import inspect, text

from llmtrace_relay.store import StoreUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

HEAD: Final = "0001"
"""The revision that this version uses: the last of `store/migrations/versions`."""
SCRIPTS: Final = Path(__file__).parents[1] / "migrations"
VERSIONS: Final = "llmtrace_alembic_version"
_LOCK_KEY: Final = 0x6C6C6D7472616365 >> 1
"""A number of our own among PostgreSQL's advisory locks."""

_one_at_a_time: Final = threading.Lock()  # what Alembic works on is global


def migrate(engine: Engine) -> None:
    """Run the migrations that have not been run. Raises `StoreUnavailable` where a newer version has been here."""
    with engine.connect() as connection, connection.begin():
        found = _revision(connection)
    if found == HEAD:
        return
    # SQLite has one writer anyway; PostgreSQL gives the lock back with the transaction, however that ends
    with engine.connect().execution_options(llmtrace_writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        if _revision(connection) != HEAD:
            _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSIONS):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSIONS}")).scalar()  # noqa: S608 - a constant
    return None if found is None else str(found)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        with _one_at_a_time:
            command.upgrade(config, "head")
    except CommandError:
        raise StoreUnavailable(
            "the database has a shape that this version does not know; a newer one has been here: install that"
        ) from None
