"""What is asked often is answered from an index, in a file that knows nothing of its tables and in one that does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from llmtrace_relay.store import FindingQuery, SpanQuery
from llmtrace_relay.store.opening import open_store

from .making import BEGIN, OTHER, TENANT, finding, span

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_relay.store import Store
    from llmtrace_sdk.config.relay import StorageOptions


def of_spans(**asked: Any) -> Callable[[Store], Any]:
    return lambda store: (
        store.spans(SpanQuery(tenant_id=TENANT, **asked)),
        store.traces(SpanQuery(tenant_id=TENANT, **asked)),
    )


ASKED: dict[str, tuple[Callable[[Store], Any], str]] = {
    "newest": (of_spans(), "spans_by_tenant"),
    "of a time": (of_spans(start_time=BEGIN, end_time=BEGIN + 5), "spans_by_tenant"),
    "of a model": (of_spans(model_name="m1"), "spans_by_model"),
    "of an agent": (of_spans(agent="a1"), "spans_by_agent"),
    "of a session": (of_spans(session="s1"), "spans_by_session"),
    "of a user": (of_spans(user="u1"), "spans_by_user"),
    "with a score": (of_spans(min_security_score=90), "spans_by_score"),
    "of a trace": (of_spans(trace_id="t1"), "traces_by_id"),
    "by id": (lambda store: store.span(TENANT, "x"), "spans_by_id"),
    "trace by id": (lambda store: store.trace(TENANT, "x"), "traces_by_id"),
    "of all tenants": (lambda store: store.spans(SpanQuery(tenant_id=None, end_time=BEGIN)), "spans_by_time"),
    "findings": (lambda store: store.findings(FindingQuery(tenant_id=TENANT)), "findings_by_tenant"),
    "findings of a type": (
        lambda store: store.findings(FindingQuery(tenant_id=TENANT, finding_type="email")),
        "findings_by_type",
    ),
    "sessions": (lambda store: store.sessions(SpanQuery(tenant_id=TENANT)), "spans_by_session"),
    "put": (lambda store: store.put([span(call_id="c", span_id="again", trace_id="again")]), "spans_by_bill"),
    "purge": (lambda store: store.purge(1, None), "traces_by_time"),
}


@pytest.fixture(params=["fresh", "analysed"])
def filled(request: pytest.FixtureRequest, file_options: StorageOptions) -> Any:
    store = open_store(file_options)
    store.put(
        [
            span(
                tenant_id=TENANT if at % 2 else OTHER,
                model_name=f"m{at % 7}",
                agent=f"a{at % 11}",
                session=f"s{at % 30}",
                user=f"u{at % 13}",
                trace_id=f"t{at // 2}",
                security_score=at % 100,
                security_findings=(finding(finding_type="email" if at % 9 else "other"),),
            )
            for at in range(600)
        ]
    )
    if request.param == "analysed":
        store.purge(None, None)
    yield store
    store.close()


def test_indexes_are_used(filled: Any) -> None:
    asked: list[tuple[str, Any]] = []
    engine = filled._database.engine

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters[0] if isinstance(parameters, list) else parameters))

    event.listen(engine, "before_cursor_execute", note)
    for name, (ask, index) in ASKED.items():
        asked.clear()
        ask(filled)
        plans: list[str] = []
        for statement, parameters in tuple(asked):
            if statement.startswith(("SELECT", "DELETE", "INSERT")):
                with engine.connect() as connection:
                    driver = connection.connection.driver_connection
                    plans += [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        assert any(f"INDEX {index} " in plan for plan in plans), (name, plans)
        assert not [plan for plan in plans if plan in ("SCAN spans", "SCAN traces", "SCAN findings")], (name, plans)
