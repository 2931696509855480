"""Many rows at once, with little work in Python: the values are made to fit here, once, and not looked at again.

SQLite takes a row at a time, compiled once. To PostgreSQL they go as JSON, one parameter that the server takes apart: a
parameter per value costs psycopg ten times as much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import Text, bindparam, cast, column, func, literal_column, select, text
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, FromClause, Table

INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_ENCODER: Final = msgspec.json.Encoder()


class Given:
    """Rows that are given with a statement, as JSON."""

    def __init__(self, columns: Sequence[Column[Any]]) -> None:
        self.names = [each.name for each in columns]
        self._columns = columns
        self._fits: list[Callable[[Any], Any] | None] = [getattr(each.type, "fit", None) for each in columns]

    def fit(self, given: Iterable[Sequence[Any]]) -> list[list[Any]]:
        """The rows, each value made to fit its column."""
        fits = self._fits
        return [
            [value if fit is None or value is None else fit(value) for fit, value in zip(fits, row, strict=True)]
            for row in given
        ]

    def pack(self, dialect: str, given: Iterable[Sequence[Any]]) -> str:
        """The parameter `given` of a statement."""
        fitted: list[Any] = self.fit(given)
        if dialect == "postgresql":
            names = self.names
            fitted = [dict(zip(names, row, strict=True)) for row in fitted]
        return _ENCODER.encode(fitted).decode()

    def source(self, dialect: str) -> tuple[FromClause, dict[str, ColumnElement[Any]]]:
        """What to select from, and its columns by name."""
        parameter = bindparam("given", type_=Text())
        if dialect == "postgresql":
            wanted = (column(each.name, each.type) for each in self._columns)
            rows = func.json_to_recordset(cast(parameter, postgresql.JSON())).table_valued(*wanted)
            derived = rows.render_derived("given", with_types=True)
            return derived, {name: derived.c[name] for name in self.names}
        each = func.json_each(parameter).table_valued("value", name="given")
        paths: list[ColumnElement[Any]] = [literal_column(f"'$[{at}]'") for at in range(len(self.names))]
        found = (func.json_extract(each.c.value, path) for path in paths)
        return each, dict(zip(self.names, found, strict=True))


class Bulk:
    """Inserts rows. Where there is one of the same `keys`, its other columns are changed, in the way that `changed`
    says of a statement; without `keys` there is none.
    """

    def __init__(
        self,
        columns: Sequence[Column[Any]],
        keys: Sequence[str] = (),
        changed: Callable[[Any], dict[str, Any]] | None = None,
    ) -> None:
        self._table: Table = columns[0].table
        self._given = Given(columns)
        self._keys = keys
        self._changed = changed or self._all_changed
        self._statements: dict[str, Any] = {}

    def run(self, connection: Connection, given: Iterable[Sequence[Any]]) -> None:
        """Insert rows, at least one, with values in the order of the columns."""
        dialect = connection.dialect.name
        statement = self._statements.get(dialect)
        if dialect == "sqlite":
            if statement is None:
                statement = self._statements[dialect] = str(self._row_by_row().compile(dialect=connection.dialect))
            connection.exec_driver_sql(statement, [tuple(row) for row in self._given.fit(given)])
        else:
            if statement is None:
                statement = self._statements[dialect] = self._all_at_once(dialect)
            connection.execute(statement, {"given": self._given.pack(dialect, given)})

    def _row_by_row(self) -> Any:
        # without a condition SQLite takes the ON of what follows for a part of the SELECT
        parameters: list[ColumnElement[Any]] = [bindparam(name) for name in self._given.names]
        chosen = select(*parameters).where(text("true"))
        return self._insert("sqlite", self._given.names, chosen)

    def _all_at_once(self, dialect: str) -> Any:
        source, columns = self._given.source(dialect)
        return self._insert(dialect, list(columns), select(*columns.values()).select_from(source))

    def _insert(self, dialect: str, names: list[str], chosen: Any) -> Any:
        statement = INSERTS[dialect](self._table).from_select(names, chosen, include_defaults=False)
        if not self._keys:
            return statement
        return statement.on_conflict_do_update(index_elements=self._keys, set_=self._changed(statement.excluded))

    def _all_changed(self, excluded: Any) -> dict[str, Any]:
        return {name: excluded[name] for name in self._given.names if name not in self._keys}
