"""Inserts of single rows that bear it when there is one already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_relay.store.sql.bulk import INSERTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Table


def upsert(connection: Connection, table: Table, keys: Sequence[str], changed: Iterable[str] | None = None) -> Any:
    """An insert that changes the row of the same `keys` where there is one: all of it, or the columns `changed`."""
    statement = INSERTS[connection.dialect.name](table)
    if changed is None:
        changed = [column.name for column in table.columns if column.name not in keys]
    return statement.on_conflict_do_update(
        index_elements=keys, set_={name: statement.excluded[name] for name in changed}
    )


def insert_new(connection: Connection, table: Table, keys: Sequence[str]) -> Any:
    """An insert that does nothing where there is a row of the same `keys`; its `rowcount` tells which it was."""
    statement = INSERTS[connection.dialect.name](table).on_conflict_do_nothing(index_elements=keys)
    return statement.execution_options(preserve_rowcount=True)
