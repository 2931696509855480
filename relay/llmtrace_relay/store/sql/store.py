"""The store: everything that is kept, in one SQL database."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from llmtrace_relay.store import StoreUnavailable
from llmtrace_relay.store.sql import counts, removal, rows, sums
from llmtrace_relay.store.sql import spans as reading
from llmtrace_relay.store.sql.database import LONG_ANSWER_S
from llmtrace_relay.store.sql.metadata import SqlMetadata
from llmtrace_relay.store.sql.put import put
from llmtrace_relay.store.sql.schema import actions, spans, traces

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from llmtrace_relay.model import AgentAction, Span, Trace
    from llmtrace_relay.store import Bucket, FindingQuery, FoundFinding, Page, Session, SpanQuery, Stats
    from llmtrace_relay.store.sql.database import Database

EACH_BATCH: Final = 200
HEALTH_S: Final = 3.0


class SqlStore(SqlMetadata):
    """A `Store` in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, given: Sequence[Span], /) -> None:
        """See `Spans.put`."""
        if given:
            self._database.write(lambda connection: put(connection, given), LONG_ANSWER_S)

    def traces(self, query: SpanQuery, /) -> Page[Trace]:
        """See `Spans.traces`."""
        return self._database.read(lambda connection: reading.page_of_traces(connection, query), LONG_ANSWER_S)

    def trace(self, tenant_id: str | None, trace_id: str, /) -> Trace | None:
        """See `Spans.trace`."""
        return self._database.read(lambda connection: reading.one_trace(connection, tenant_id, trace_id))

    def spans(self, query: SpanQuery, /) -> Page[Span]:
        """See `Spans.spans`."""
        return self._database.read(lambda connection: reading.page_of_spans(connection, query), LONG_ANSWER_S)

    def span(self, tenant_id: str | None, span_id: str, /) -> Span | None:
        """See `Spans.span`."""
        return self._database.read(lambda connection: reading.one_span(connection, tenant_id, span_id))

    def each(self, query: SpanQuery, /) -> Iterator[Span]:
        """See `Spans.each`. No transaction stays open between batches: what changes meanwhile may show or not."""
        place: tuple[Any, ...] | None = None
        while True:
            some = partial(reading.next_spans, query=query, after=place, count=EACH_BATCH)
            found, place = self._database.read(some, LONG_ANSWER_S)
            yield from found
            if place is None:
                return

    def findings(self, query: FindingQuery, /) -> Page[FoundFinding]:
        """See `Spans.findings`."""
        return self._database.read(lambda connection: reading.page_of_findings(connection, query), LONG_ANSWER_S)

    def series(self, query: SpanQuery, every_us: int, by: str, /) -> list[Bucket]:
        """See `Spans.series`."""
        return self._database.read(lambda connection: sums.series(connection, query, every_us, by), LONG_ANSWER_S)

    def sessions(self, query: SpanQuery, /) -> Page[Session]:
        """See `Spans.sessions`."""
        return self._database.read(lambda connection: sums.sessions(connection, query), LONG_ANSWER_S)

    def add_action(self, tenant_id: str | None, trace_id: str, action: AgentAction, /) -> bool:
        """See `Spans.add_action`."""

        def work(connection: Connection) -> bool:
            wanted = select(spans.c.id).join(traces, traces.c.id == spans.c.trace).where(traces.c.trace_id == trace_id)
            if tenant_id is not None:
                wanted = wanted.where(traces.c.tenant_id == tenant_id)
            first = connection.scalar(wanted.order_by(spans.c.start_time, spans.c.id).limit(1))
            if first is not None:
                values = zip(rows.ACTION_COLUMNS, rows.action_row(action, first, added=True), strict=True)
                connection.execute(actions.insert(), dict(values))
            return first is not None

        return self._database.write(work)

    def actions(self, query: SpanQuery, /) -> dict[str, Any]:
        """See `Spans.actions`."""
        return self._database.read(lambda connection: sums.action_sums(connection, query), LONG_ANSWER_S)

    def count_spans(self, query: SpanQuery, by: Sequence[str], /) -> dict[tuple[str, ...], int]:
        """See `Spans.count_spans`."""
        return self._database.read(lambda connection: counts.count_spans(connection, query, by), LONG_ANSWER_S)

    def count_findings(self, query: FindingQuery, by: Sequence[str], /) -> dict[tuple[str, ...], int]:
        """See `Spans.count_findings`."""
        return self._database.read(lambda connection: counts.count_findings(connection, query, by), LONG_ANSWER_S)

    def stats(self, tenant_id: str | None, /) -> Stats:
        """See `Spans.stats`."""
        return self._database.read(lambda connection: sums.stats(connection, tenant_id), LONG_ANSWER_S)

    def delete(self, query: SpanQuery, /) -> int:
        """See `Spans.delete`."""
        return removal.delete_matching(self._database, query)

    def purge(self, before: int | None, max_bytes: int | None, /) -> int:
        """See `Spans.purge`."""
        return removal.purge(self._database, before, max_bytes)

    def healthy(self) -> bool:
        """See `Store.healthy`."""
        try:
            return self._database.read(lambda connection: connection.scalar(select(1)) == 1, HEALTH_S)
        except StoreUnavailable:
            return False

    def close(self) -> None:
        """See `Store.close`."""
        self._database.close()
