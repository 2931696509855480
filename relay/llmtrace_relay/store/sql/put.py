"""Keeps spans: whole batches, each in one transaction, and each call billed to one span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import case, func, select, text, update

from llmtrace_relay.store.sql import rows
from llmtrace_relay.store.sql.bulk import Bulk, Given
from llmtrace_relay.store.sql.schema import actions, findings, spans, texts, traces
from llmtrace_relay.store.sql.types import word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Executable

    from llmtrace_relay.model import Span
    from llmtrace_relay.store.sql.rows import Key


class _Place(NamedTuple):
    """The row numbers of a span and its trace, and whether the row is there already."""

    trace: int
    span: int
    known: bool


class _Holder(NamedTuple):
    """The span that a call is billed to; its row number where it is there already."""

    key: Key
    priced: bool
    number: int | None = None


def _earlier(excluded: Any) -> dict[str, Any]:
    # a change even where nothing changes: it locks the trace, so its spans are put by one at a time
    return {"started": case((excluded.started < traces.c.started, excluded.started), else_=traces.c.started)}


_TRACES: Final = Bulk([traces.c.trace_id, traces.c.tenant_id, traces.c.started], ("trace_id", "tenant_id"), _earlier)
_SPANS: Final = Bulk([spans.c[name] for name in rows.SPAN_COLUMNS], ("id",))
_TEXTS: Final = Bulk([texts.c[name] for name in rows.TEXT_COLUMNS], ("span",))
_FINDINGS: Final = Bulk([findings.c[name] for name in rows.FINDING_COLUMNS])
_ACTIONS: Final = Bulk([actions.c[name] for name in rows.ACTION_COLUMNS])
_KEYS: Final = Given([spans.c.id, spans.c.tenant_id, traces.c.trace_id, spans.c.span_id])
_CALLS: Final = Given([spans.c.tenant_id, spans.c.bill])


def put(connection: Connection, given: Sequence[Span]) -> None:
    """Keep spans, within a transaction. Of several of the same key the last is kept."""
    arrived = {rows.key_of(span): span for span in given}
    # all put rows in the same order, or two of them could wait for each other
    kept = dict(sorted(arrived.items(), key=_key))
    places = _places(connection, kept)
    billed = _bill(connection, arrived)
    _SPANS.run(
        connection,
        [rows.span_row(span, key, places[key].trace, places[key].span, key in billed) for key, span in kept.items()],
    )
    known = [place.span for place in places.values() if place.known]
    if known:
        connection.execute(findings.delete().where(findings.c.span.in_(known)))
        connection.execute(actions.delete().where(actions.c.span.in_(known), actions.c.added.is_(False)))
    _TEXTS.run(connection, [rows.text_row(span, places[key].span) for key, span in kept.items()])
    found = [row for key, span in kept.items() for row in rows.finding_rows(span, key, places[key].span)]
    if found:
        _FINDINGS.run(connection, found)
    done = [
        rows.action_row(action, places[key].span, added=False)
        for key, span in kept.items()
        for action in span.agent_actions
    ]
    if done:
        _ACTIONS.run(connection, done)


def _places(connection: Connection, kept: dict[Key, Span]) -> dict[Key, _Place]:
    """Make the traces; tell where spans belong."""
    started: dict[tuple[str, str], int] = {}
    for (tenant, trace, _), span in kept.items():
        started[trace, tenant] = min(span.start_time, started.get((trace, tenant), span.start_time))
    _TRACES.run(connection, [(*key, at) for key, at in started.items()])
    dialect = connection.dialect.name
    asked = _KEYS.pack(dialect, [(at, *key) for at, key in enumerate(kept)])
    found = connection.execute(_known(dialect), {"given": asked}).all()
    keys = list(kept)
    fresh = iter(_numbers(connection, sum(number is None for _, _, number in found)))
    return {
        keys[at]: _Place(trace, next(fresh) if number is None else number, number is not None)
        for at, trace, number in found
    }


def _numbers(connection: Connection, count: int) -> Sequence[int]:
    """Numbers for new rows of `spans`."""
    if not count:
        return ()
    if connection.dialect.name == "sqlite":  # nobody else writes in this transaction
        last = connection.scalar(select(func.max(spans.c.id))) or 0
        return range(last + 1, last + 1 + count)
    drawn = text("SELECT nextval(pg_get_serial_sequence('spans', 'id')) FROM generate_series(1, :count)")
    return connection.scalars(drawn, {"count": count}).all()


def _bill(connection: Connection, arrived: dict[Key, Span]) -> set[Key]:
    """The spans that are billed, of those that came in this order. A call is billed to its first span; one without a
    price gives way to the first that has one.
    """
    calls = {(key[0], word(span.call_id)) for key, span in arrived.items() if span.billed and span.call_id is not None}
    before = _holders(connection, calls)
    holders, billed = dict(before), set()
    for key, span in arrived.items():
        if not span.billed:
            continue
        if span.call_id is not None:
            call, mine = (key[0], word(span.call_id)), _Holder(key, span.estimated_cost_usd is not None)
            holder = holders.get(call)
            if holder is not None and holder.key != key and (holder.priced or not mine.priced):
                continue
            if holder is not None:
                billed.discard(holder.key)
            holders[call] = mine
        billed.add(key)
    lost = [holder.number for call, holder in before.items() if holders[call].key != holder.key]
    if lost:
        connection.execute(update(spans).where(spans.c.id.in_(lost)).values(billed=False, bill=None))
    return billed


def _holders(connection: Connection, calls: set[tuple[str, str]]) -> dict[tuple[str, str], _Holder]:
    if not calls:
        return {}
    dialect = connection.dialect.name
    found = connection.execute(_billed(dialect), {"given": _CALLS.pack(dialect, sorted(calls))})
    return {
        (tenant, call): _Holder((tenant, trace, span), cost is not None, number)
        for number, tenant, call, trace, span, cost in found
        if number is not None
    }


# Outer joins, though there is always a trace and no span is not asked for: else SQLite may begin with all rows of a
# table that it takes for small.


def _known(dialect: str) -> Executable:
    if dialect not in _known_statements:
        source, given = _KEYS.source(dialect)
        joined = source.outerjoin(
            traces, (traces.c.trace_id == given["trace_id"]) & (traces.c.tenant_id == given["tenant_id"])
        ).outerjoin(spans, (spans.c.trace == traces.c.id) & (spans.c.span_id == given["span_id"]))
        _known_statements[dialect] = select(given["id"], traces.c.id, spans.c.id).select_from(joined)
    return _known_statements[dialect]


def _billed(dialect: str) -> Executable:
    if dialect not in _billed_statements:
        source, given = _CALLS.source(dialect)
        same = (spans.c.tenant_id == given["tenant_id"]) & (spans.c.bill == given["bill"]) & spans.c.bill.is_not(None)
        joined = source.outerjoin(spans, same).outerjoin(traces, traces.c.id == spans.c.trace)
        columns = (spans.c.id, spans.c.tenant_id, spans.c.bill, traces.c.trace_id, spans.c.span_id)
        _billed_statements[dialect] = select(*columns, spans.c.estimated_cost_usd).select_from(joined)
    return _billed_statements[dialect]


_known_statements: dict[str, Executable] = {}
_billed_statements: dict[str, Executable] = {}


def _key(item: tuple[Key, Span]) -> Key:
    return item[0]
