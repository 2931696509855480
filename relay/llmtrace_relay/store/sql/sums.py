"""Adds up what was called: over time, by session, by what agents did, and by how much is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, and_, case, cast, func, literal, literal_column, or_, select, tuple_

from llmtrace_relay.store import Bucket, Page, Session, Stats
from llmtrace_relay.store.sql import filters
from llmtrace_relay.store.sql.schema import actions, spans, traces

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

    from llmtrace_relay.store import SpanQuery

BUCKETS: Final = 10_000
TOP_ACTIONS: Final = 20
EVERY_LIMIT: Final = 1 << 60
_GROUPS: Final = {"model": "model_name", "provider": "provider", "agent": "agent", "outcome": "outcome"}
_FAILED: Final = ("upstream_error", "client_error")


def series(connection: Connection, query: SpanQuery, every_us: int, by: str) -> list[Bucket]:
    """Sums over pieces of time, by group."""
    every = min(max(every_us, 1), EVERY_LIMIT)
    # not `%` alone: of times before 1970 it is negative
    begin = (spans.c.start_time - ((spans.c.start_time % every) + every) % every).label("start")
    group = func.coalesce(spans.c[_GROUPS[by]], "") if by else literal("")
    chosen = (
        select(begin, group.label("by_group"), *_bucket_sums())
        .where(*filters.span_conditions(query, connection))
        .group_by(literal_column("1"), literal_column("2"))
        .order_by(literal_column("1").desc(), literal_column("2"))
        .limit(BUCKETS)
    )
    found = [_bucket(row) for row in connection.execute(chosen)]
    return sorted(found, key=lambda bucket: (bucket.start, bucket.group))


def sessions(connection: Connection, query: SpanQuery) -> Page[Session]:
    """Whole sessions with a span that matches, the latest first."""
    conditions = [*filters.span_conditions(query, connection), spans.c.session.is_not(None)]
    matching = select(spans.c.tenant_id, spans.c.session).where(*conditions).distinct()
    limit, offset = filters.page_of(query.limit, query.offset)
    total = connection.scalar(select(func.count()).select_from(matching.subquery())) or 0
    last = func.max(spans.c.start_time)
    billed = case((spans.c.billed, spans.c.estimated_cost_usd), else_=0)
    tokens = case((spans.c.billed, spans.c.total_tokens), else_=0)
    chosen = (
        select(
            spans.c.session,
            spans.c.tenant_id,
            func.min(spans.c.start_time).label("first"),
            last.label("last"),
            func.count().label("spans"),
            func.sum(billed).label("cost_usd"),
            func.sum(tokens).label("total_tokens"),
            func.max(spans.c.security_score).label("max_security_score"),
        )
        .where(*_of_sessions(query, matching))
        .group_by(spans.c.tenant_id, spans.c.session)
        .order_by(last.desc(), spans.c.session, spans.c.tenant_id)
        .limit(limit)
        .offset(offset)
    )
    found = tuple(_session(row) for row in connection.execute(chosen))
    return Page(found, total, query.limit, query.offset)


def _of_sessions(query: SpanQuery, matching: Select[Any]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [spans.c.session.is_not(None)]
    if query.tenant_id is not None:
        found.append(spans.c.tenant_id == query.tenant_id)
    if filters.narrows(query) or query.trace_id is not None:
        found.append(tuple_(spans.c.tenant_id, spans.c.session).in_(matching))
    return found


def action_sums(connection: Connection, query: SpanQuery) -> dict[str, Any]:
    """What agents did."""
    conditions = filters.span_conditions(query, connection)
    total = connection.scalar(select(func.count()).select_from(spans).where(*conditions)) or 0
    joined = spans.join(actions, actions.c.span == spans.c.id)
    kinds = connection.execute(
        select(actions.c.action_type, func.count(), func.count(spans.c.id.distinct()))
        .select_from(joined)
        .where(*conditions)
        .group_by(actions.c.action_type)
        .order_by(actions.c.action_type)
    ).all()
    often = func.count()
    top = connection.execute(
        select(actions.c.name, actions.c.action_type, often)
        .select_from(joined)
        .where(*conditions)
        .group_by(actions.c.name, actions.c.action_type)
        .order_by(often.desc(), actions.c.name, actions.c.action_type)
        .limit(TOP_ACTIONS)
    )
    in_spans = {kind: count for kind, _, count in kinds}
    return {
        "total_spans": total,
        "spans_with_tool_calls": in_spans.get("tool_call", 0),
        "spans_with_web_access": in_spans.get("web_access", 0),
        "spans_with_commands": in_spans.get("command_execution", 0),
        "action_counts": {kind: count for kind, count, _ in kinds},
        "top_actions": [{"name": name, "action_type": kind, "count": count} for name, kind, count in top],
    }


def stats(connection: Connection, tenant_id: str | None) -> Stats:
    """How much is kept."""
    of_spans = [spans.c.tenant_id == tenant_id] if tenant_id is not None else []
    of_traces = [traces.c.tenant_id == tenant_id] if tenant_id is not None else []
    count, size = connection.execute(select(func.count(), func.sum(spans.c.size)).where(*of_spans)).one()
    total, oldest, newest = connection.execute(
        select(func.count(), func.min(traces.c.started), func.max(traces.c.started)).where(*of_traces)
    ).one()
    return Stats(
        total_traces=total,
        total_spans=count,
        storage_size_bytes=int(size or 0),
        oldest_trace=oldest,
        newest_trace=newest,
    )


def _bucket_sums() -> list[ColumnElement[Any]]:
    columns = spans.c
    blocked = columns.outcome == "blocked"
    failed = and_(~blocked, or_(columns.outcome.in_(_FAILED), func.coalesce(columns.status_code, 0) >= 400))
    billed = columns.billed
    return [
        func.count().label("spans"),
        _number_of(failed).label("errors"),
        _number_of(blocked).label("blocked"),
        _number_of(columns.action == "flag").label("flagged"),
        func.sum(columns.finding_count).label("findings"),
        func.sum(case((billed, columns.prompt_tokens), else_=0)).label("prompt_tokens"),
        func.sum(case((billed, columns.completion_tokens), else_=0)).label("completion_tokens"),
        func.sum(case((billed, columns.estimated_cost_usd), else_=0)).label("cost_usd"),
        func.sum(columns.duration_ms).label("duration_ms_sum"),
        func.max(columns.duration_ms).label("duration_ms_max"),
    ]


def _number_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(cast(case((condition, 1), else_=0), BigInteger))


def _bucket(row: Any) -> Bucket:
    whole = {name: int(getattr(row, name) or 0) for name in Bucket.__struct_fields__ if hasattr(row, name)}
    return Bucket(**{**whole, "start": row.start, "group": row.by_group, "cost_usd": float(row.cost_usd or 0)})


def _session(row: Any) -> Session:
    values = dict(row._mapping)
    return Session(
        **{**values, "cost_usd": float(row.cost_usd or 0), "total_tokens": int(row.total_tokens or 0)},
    )
