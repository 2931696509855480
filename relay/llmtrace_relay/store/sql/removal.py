"""Deletes traces, in batches, so that whoever writes meanwhile waits but moments."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from llmtrace_relay.store.sql import filters
from llmtrace_relay.store.sql.database import LONG_ANSWER_S
from llmtrace_relay.store.sql.schema import spans, traces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from llmtrace_relay.store import SpanQuery
    from llmtrace_relay.store.sql.database import Database

BATCH: Final = 200
VACUUM_PAGES: Final = 2_000
SMALL_ROWS: Final = 10_000


def delete_matching(database: Database, query: SpanQuery) -> int:
    """Delete the traces that have a span that matches; gives how many."""

    def some(connection: Connection) -> int:
        matching = select(spans.c.trace).where(*filters.span_conditions(query, connection))
        ids = connection.scalars(select(traces.c.id).where(traces.c.id.in_(matching)).limit(BATCH)).all()
        _delete(connection, ids)
        return len(ids)

    total = 0
    while deleted := database.write(some, LONG_ANSWER_S):
        total += deleted
    if total:
        give_back(database)
    return total


def purge(database: Database, before: int | None, max_bytes: int | None) -> int:
    """Delete traces that began before a time, then the oldest until at most `max_bytes` are taken; gives how many
    spans.
    """
    total = 0
    if before is not None:
        while deleted := database.write(lambda connection: _oldest(connection, before), LONG_ANSWER_S):
            total += deleted
    if max_bytes is not None:
        total += _shrink(database, max_bytes)
    if total:
        give_back(database)
    if database.kind == "sqlite":
        database.write(_look_at_sizes)
    return total


def _look_at_sizes(connection: Connection) -> None:
    """Have SQLite look at the tables, to choose well among the indexes; other databases do so by themselves.

    What it says of small tables is forgotten: it holds until the next look, and a table that was small then would be
    gone through from end to end by every statement that meets it, however much it has grown since.
    """
    connection.exec_driver_sql("PRAGMA optimize")
    if connection.exec_driver_sql("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'").first():
        connection.exec_driver_sql("DELETE FROM sqlite_stat1 WHERE CAST(stat AS INTEGER) < ?", (SMALL_ROWS,))
        connection.exec_driver_sql("ANALYZE sqlite_schema")  # forget it here, too


def give_back(database: Database) -> None:
    """Let SQLite give the pages of deleted rows back to the file system; PostgreSQL does so by itself."""
    if database.kind != "sqlite":
        return

    def some(connection: Connection) -> int:
        driver: Any = connection.connection.driver_connection
        # executed in any other way it gives back one page; it ends the transaction, which has done nothing yet
        driver.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
        return int(connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)

    left = database.write(some)
    while left and (now := database.write(some)) < left:
        left = now


def _oldest(connection: Connection, before: int) -> int:
    wanted = select(traces.c.id).where(traces.c.started < before).order_by(traces.c.started).limit(BATCH)
    return _delete(connection, connection.scalars(wanted).all())


def _shrink(database: Database, max_bytes: int) -> int:
    size = database.read(lambda connection: int(connection.scalar(select(func.sum(spans.c.size))) or 0), LONG_ANSWER_S)
    total = 0
    while size > max_bytes:
        excess = size - max_bytes
        deleted, freed = database.write(partial(_oldest_of_size, wanted=excess), LONG_ANSWER_S)
        if not deleted:
            break
        total, size = total + deleted, size - freed
    return total


def _oldest_of_size(connection: Connection, wanted: int) -> tuple[int, int]:
    """Delete the oldest traces until `wanted` bytes are freed, at most a batch; gives the spans and bytes."""
    oldest = select(traces.c.id, traces.c.started).order_by(traces.c.started).limit(BATCH).subquery()
    sizes = connection.execute(
        select(oldest.c.id, func.coalesce(func.sum(spans.c.size), 0))
        .select_from(oldest.outerjoin(spans, spans.c.trace == oldest.c.id))
        .group_by(oldest.c.id, oldest.c.started)
        .order_by(oldest.c.started)
    )
    ids, freed = [], 0
    for number, size in sizes.all():
        if freed >= wanted:
            break
        ids.append(number)
        freed += int(size)
    return _delete(connection, ids), freed


def _delete(connection: Connection, ids: Sequence[int]) -> int:
    """Delete traces with all that they have; gives how many spans that were."""
    if not ids:
        return 0
    count = connection.scalar(select(func.count()).select_from(spans).where(spans.c.trace.in_(ids))) or 0
    connection.execute(traces.delete().where(traces.c.id.in_(ids)))
    return count
