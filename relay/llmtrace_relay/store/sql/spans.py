"""Reads spans, traces and findings."""

from __future__ import annotations

from collections import defaultdict
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select, tuple_

from llmtrace_relay.model import Trace
from llmtrace_relay.store import FoundFinding, Page
from llmtrace_relay.store.sql import filters, rows
from llmtrace_relay.store.sql.schema import actions, findings, spans, texts, traces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from llmtrace_relay.model import AgentAction, Finding, Span
    from llmtrace_relay.store import FindingQuery, SpanQuery

TRACE_SPANS: Final = 1_000
"""How many spans of one trace are given at most: the first ones."""
PAGE_SPANS: Final = 20_000
"""How many spans a page of traces has at most; of each trace as many."""
CHUNK: Final = 1_000
"""How many rows are asked for by number at once: databases limit the parameters of a statement."""

_WHOLE: Final[Select[Any]] = select(
    *(column for column in spans.columns if column.name not in ("bill", "size")),
    traces.c.trace_id,
    *(column for column in texts.columns if column.name != "span"),
).select_from(spans.join(traces, traces.c.id == spans.c.trace).outerjoin(texts, texts.c.span == spans.c.id))


def page_of_spans(connection: Connection, query: SpanQuery) -> Page[Span]:
    """Spans that match."""
    conditions = filters.span_conditions(query, connection)
    limit, offset = filters.page_of(query.limit, query.offset)
    total = connection.scalar(select(func.count()).select_from(spans).where(*conditions)) or 0
    columns, falling = filters.order_columns(query.order)
    ordered = filters.order_by(columns, falling=falling)
    ids = connection.scalars(select(spans.c.id).where(*conditions).order_by(*ordered).limit(limit).offset(offset)).all()
    return Page(tuple(spans_of(connection, ids)), total, query.limit, query.offset)


def next_spans(
    connection: Connection, query: SpanQuery, after: tuple[Any, ...] | None, count: int
) -> tuple[list[Span], tuple[Any, ...] | None]:
    """Spans that match, from behind a place in their order on, and the place where they end (None: at the end)."""
    conditions = filters.span_conditions(query, connection)
    columns, falling = filters.order_columns(query.order)
    if after is not None:
        place = tuple_(*columns)
        conditions.append(place < after if falling else place > after)
    ordered = filters.order_by(columns, falling=falling)
    places = connection.execute(select(*columns).where(*conditions).order_by(*ordered).limit(count)).all()
    found = spans_of(connection, [place[-1] for place in places])
    return found, tuple(places[-1]) if len(places) == count else None


def one_span(connection: Connection, tenant_id: str | None, span_id: str) -> Span | None:
    """A span; the latest, where several have that id."""
    wanted = select(spans.c.id).where(spans.c.span_id == span_id)
    if tenant_id is not None:
        wanted = wanted.where(spans.c.tenant_id == tenant_id)
    # a sum, or SQLite would take the index of times and go through all spans of the tenant
    ids = connection.scalars(wanted.order_by((spans.c.start_time + 0).desc()).limit(1)).all()
    return next(iter(spans_of(connection, ids)), None)


def page_of_traces(connection: Connection, query: SpanQuery) -> Page[Trace]:
    """Whole traces with a span that matches."""
    conditions = filters.span_conditions(query, connection)
    limit, offset = filters.page_of(query.limit, query.offset)
    matching = _matching_traces(query, conditions)
    total = connection.scalar(select(func.count()).select_from(traces).where(*matching)) or 0
    columns, falling = filters.order_columns(query.order)
    if len(columns) == 2:
        ordered = filters.order_by([traces.c.started, traces.c.id], falling=falling)
        wanted = select(traces.c.id).where(*matching)
    else:
        most = func.max(columns[0])
        ordered = [most.desc(), func.max(spans.c.start_time).desc(), spans.c.trace.desc()]
        wanted = select(spans.c.trace).where(*conditions).group_by(spans.c.trace)
    ids = connection.scalars(wanted.order_by(*ordered).limit(limit).offset(offset)).all()
    return Page(tuple(traces_of(connection, ids)), total, query.limit, query.offset)


def one_trace(connection: Connection, tenant_id: str | None, trace_id: str) -> Trace | None:
    """A trace."""
    wanted = select(traces.c.id).where(traces.c.trace_id == trace_id)
    if tenant_id is not None:
        wanted = wanted.where(traces.c.tenant_id == tenant_id)
    ids = connection.scalars(wanted.order_by(traces.c.started.desc()).limit(1)).all()
    return next(iter(traces_of(connection, ids)), None)


def page_of_findings(connection: Connection, query: FindingQuery) -> Page[FoundFinding]:
    """Findings that match, the newest first."""
    conditions = filters.finding_conditions(query)
    limit, offset = filters.page_of(query.limit, query.offset)
    counted = filters.finding_source(query)
    total = connection.scalar(select(func.count()).select_from(counted).where(*conditions)) or 0
    joined = findings.join(spans, spans.c.id == findings.c.span).join(traces, traces.c.id == spans.c.trace)
    found = connection.execute(
        select(findings, traces.c.trace_id, spans.c.span_id, spans.c.model_name, spans.c.provider, spans.c.action)
        .select_from(joined)
        .where(*conditions)
        .order_by(findings.c.detected_at.desc(), findings.c.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return Page(tuple(_found(row) for row in found), total, query.limit, query.offset)


def spans_of(connection: Connection, ids: Sequence[int]) -> list[Span]:
    """The spans of these row numbers, in their order."""
    found: dict[int, Span] = {}
    for at in range(0, len(ids), CHUNK):
        found |= _spans_by_number(connection, ids[at : at + CHUNK])
    return [found[number] for number in ids if number in found]


def traces_of(connection: Connection, ids: Sequence[int]) -> list[Trace]:
    """The traces of these row numbers, in their order."""
    if not ids:
        return []
    place = func.row_number().over(partition_by=spans.c.trace, order_by=(spans.c.start_time, spans.c.id))
    placed = select(spans.c.id, spans.c.trace, place.label("place")).where(spans.c.trace.in_(ids)).subquery()
    most = min(TRACE_SPANS, max(PAGE_SPANS // len(ids), 1))
    wanted = select(placed.c.id, placed.c.trace).where(placed.c.place <= most).order_by(placed.c.trace, placed.c.place)
    members: defaultdict[int, list[int]] = defaultdict(list)
    for number, owner in connection.execute(wanted):
        members[owner].append(number)
    flat = [number for owner in ids for number in members[owner]]
    whole = dict(zip(flat, spans_of(connection, flat), strict=True))
    return [_trace([whole[number] for number in members[owner]]) for owner in ids if members[owner]]


def _spans_by_number(connection: Connection, ids: Sequence[int]) -> dict[int, Span]:
    whole = {row.id: row for row in connection.execute(_WHOLE.where(spans.c.id.in_(ids)))}
    told = _findings_of(connection, [number for number, row in whole.items() if row.finding_count])
    done = _actions_of(connection, ids)
    return {number: rows.span_of(row, told[number], done[number]) for number, row in whole.items()}


def _matching_traces(query: SpanQuery, conditions: list[ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    found = filters.trace_conditions(query)
    if filters.narrows(query):
        found.append(traces.c.id.in_(select(spans.c.trace).where(*conditions)))
    return found


def _trace(members: list[Span]) -> Trace:
    first = members[0]
    return Trace(trace_id=first.trace_id, tenant_id=first.tenant_id, spans=tuple(members), created_at=first.start_time)


def _findings_of(connection: Connection, ids: Sequence[int]) -> defaultdict[int, list[Finding]]:
    found: defaultdict[int, list[Finding]] = defaultdict(list)
    if ids:
        # sorted here: SQLite would rather go through all findings in their order than sort a few
        chosen = connection.execute(select(findings).where(findings.c.span.in_(ids))).all()
        for row in sorted(chosen, key=attrgetter("id")):
            found[row.span].append(rows.finding_of(row))
    return found


def _actions_of(connection: Connection, ids: Sequence[int]) -> defaultdict[int, list[AgentAction]]:
    found: defaultdict[int, list[AgentAction]] = defaultdict(list)
    chosen = connection.execute(select(actions).where(actions.c.span.in_(ids))).all()
    for row in sorted(chosen, key=attrgetter("added", "id")):
        found[row.span].append(rows.action_of(row))
    return found


def _found(row: Row[Any]) -> FoundFinding:
    return FoundFinding(
        rows.finding_of(row), row.tenant_id, row.trace_id, row.span_id, row.model_name, row.provider, row.action
    )
