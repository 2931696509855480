"""What is asked -> conditions and orders of SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import exists, func, literal_column, or_, select

from llmtrace_relay.store.cleaning import clean
from llmtrace_relay.store.sql.schema import findings, spans, texts, traces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, FromClause

    from llmtrace_relay.store import FindingQuery, SpanQuery

OFFSET_LIMIT: Final = 1 << 62
_RANKED: Final = {
    "slowest": "duration_ms",
    "dearest": "estimated_cost_usd",
    "riskiest": "security_score",
}


def span_conditions(query: SpanQuery, connection: Connection) -> list[ColumnElement[bool]]:
    """What a span must meet."""
    columns = spans.c
    wanted: list[tuple[Any, Any]] = [
        (query.provider, columns.provider),
        (query.model_name, columns.model_name),
        (query.operation_name, columns.operation_name),
        (query.outcome, columns.outcome),
        (query.agent, columns.agent),
        (query.session, columns.session),
        (query.user, columns.user_name),
    ]
    found: list[ColumnElement[bool]] = [column == value for value, column in wanted if value is not None]
    found += _bounds(query)
    if query.trace_id is not None:  # the tenant there only, or SQLite would go through all spans of the tenant
        found.append(columns.trace.in_(select(traces.c.id).where(*trace_conditions(query))))
    elif query.tenant_id is not None:
        found.append(columns.tenant_id == query.tenant_id)
    if query.finding_type is not None:
        of_type = select(findings.c.span).where(findings.c.finding_type == query.finding_type)
        if query.tenant_id is not None:
            of_type = of_type.where(findings.c.tenant_id == query.tenant_id)
        found.append(columns.id.in_(of_type))
    if query.search:
        searched = _searched(query.search, connection)
        found.append(exists().where(texts.c.span == columns.id, searched).correlate(spans))
    return found


def trace_conditions(query: SpanQuery) -> list[ColumnElement[bool]]:
    """What a trace must meet, apart from its spans."""
    found: list[ColumnElement[bool]] = []
    if query.tenant_id is not None:
        found.append(traces.c.tenant_id == query.tenant_id)
    if query.trace_id is not None:
        found.append(traces.c.trace_id == query.trace_id)
    return found


def narrows(query: SpanQuery) -> bool:
    """Whether anything is asked for but a tenant, and a trace."""
    plain = {"tenant_id", "trace_id", "order", "limit", "offset"}
    return any(getattr(query, name) is not None for name in query.__struct_fields__ if name not in plain)


def finding_conditions(query: FindingQuery) -> list[ColumnElement[bool]]:
    """What a finding, joined to its span and trace, must meet."""
    wanted: list[tuple[Any, Any]] = [
        (query.tenant_id, findings.c.tenant_id),
        (query.finding_type, findings.c.finding_type),
        (query.trace_id, traces.c.trace_id),
        (query.model_name, spans.c.model_name),
        (query.agent, spans.c.agent),
    ]
    found: list[ColumnElement[bool]] = [column == value for value, column in wanted if value is not None]
    if query.start_time is not None:
        found.append(findings.c.detected_at >= query.start_time)
    if query.end_time is not None:
        found.append(findings.c.detected_at < query.end_time)
    if query.min_severity is not None:
        found.append(findings.c.severity >= min(max(query.min_severity, 0), 127))
    if query.min_confidence is not None:
        found.append(findings.c.confidence_score >= query.min_confidence)
    return found


def finding_source(query: FindingQuery) -> FromClause:
    """The findings, joined to their spans and traces where the conditions need those."""
    whole = findings.join(spans, spans.c.id == findings.c.span).join(traces, traces.c.id == spans.c.trace)
    return whole if {query.trace_id, query.model_name, query.agent} != {None} else findings


def order_columns(order: str) -> tuple[list[ColumnElement[Any]], bool]:
    """The columns that spans are sorted by, and whether the largest come first."""
    ages: list[ColumnElement[Any]] = [spans.c.start_time, spans.c.id]
    if order in _RANKED:
        return [ranked(spans.c[_RANKED[order]]), *ages], True
    return ages, order != "oldest"


def order_by(columns: Sequence[ColumnElement[Any]], *, falling: bool) -> list[ColumnElement[Any]]:
    """The columns for ORDER BY."""
    return [column.desc() if falling else column.asc() for column in columns]


def ranked(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column of which nothing counts as less than zero; as the indexes say it."""
    return func.coalesce(column, literal_column("-1"))


def page_of(limit: int, offset: int) -> tuple[int, int]:
    """A limit and an offset that a database takes."""
    return min(max(limit, 0), OFFSET_LIMIT), min(max(offset, 0), OFFSET_LIMIT)


def _bounds(query: SpanQuery) -> list[ColumnElement[bool]]:
    columns = spans.c
    found: list[ColumnElement[bool]] = []
    if query.start_time is not None:
        found.append(columns.start_time >= query.start_time)
    if query.end_time is not None:
        found.append(columns.start_time < query.end_time)
    if query.min_security_score is not None:
        # the second is what the index knows the score by
        found.append(columns.security_score >= query.min_security_score)
        found.append(ranked(columns.security_score) >= query.min_security_score)
    if query.max_security_score is not None:
        found.append(columns.security_score <= query.max_security_score)
    if query.min_cost_usd is not None:
        found.append(columns.estimated_cost_usd >= query.min_cost_usd)
        found.append(ranked(columns.estimated_cost_usd) >= query.min_cost_usd)
    return found


def _searched(search: str, connection: Connection) -> ColumnElement[bool]:
    words = clean(search)
    columns = (texts.c.prompt, texts.c.response)
    if connection.dialect.name == "sqlite":  # whose LIKE knows the cases of ASCII alone
        return or_(*(func.llmtrace_holds(column, words.casefold()) for column in columns))
    return or_(*(column.icontains(words, autoescape=True) for column in columns))
