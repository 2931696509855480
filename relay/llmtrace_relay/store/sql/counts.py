"""Counts spans and findings by what they have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from llmtrace_relay.model import SEVERITIES
from llmtrace_relay.store.sql import filters
from llmtrace_relay.store.sql.schema import findings, spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Select

    from llmtrace_relay.store import FindingQuery, SpanQuery

COMBINATIONS: Final = 1_000


def count_spans(connection: Connection, query: SpanQuery, by: Sequence[str]) -> dict[tuple[str, ...], int]:
    """How many spans match, by the values of columns."""
    conditions = filters.span_conditions(query, connection)
    return _counted(connection, select(*(spans.c[name] for name in by)).select_from(spans).where(*conditions), by)


def count_findings(connection: Connection, query: FindingQuery, by: Sequence[str]) -> dict[tuple[str, ...], int]:
    """How many findings match, by the values of columns."""
    source = filters.finding_source(query)
    conditions = filters.finding_conditions(query)
    return _counted(connection, select(*(findings.c[name] for name in by)).select_from(source).where(*conditions), by)


def _counted(connection: Connection, wanted: Select[Any], by: Sequence[str]) -> dict[tuple[str, ...], int]:
    columns = list(wanted.selected_columns)
    often = func.count()
    ordered = wanted.add_columns(often).group_by(*columns).order_by(often.desc(), *columns).limit(COMBINATIONS)
    found: dict[tuple[str, ...], int] = {}
    for *values, count in connection.execute(ordered):
        names = tuple(_name(column, value) for column, value in zip(by, values, strict=True))
        found[names] = found.get(names, 0) + count  # nothing and an empty text have one name
    return found


def _name(column: str, value: Any) -> str:
    if value is None:
        return ""
    return SEVERITIES[value] if column == "severity" else str(value)
