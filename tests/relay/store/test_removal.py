"""What is deleted is gone with all that belongs to it, and what it took is given back."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llmtrace_relay.store import FindingQuery, SpanQuery
from llmtrace_relay.store.opening import open_store

from .making import BEGIN, OTHER, SECOND, TENANT, action, finding, span

if TYPE_CHECKING:
    from llmtrace_relay.store import Store
    from llmtrace_sdk.config.relay import StorageOptions


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmtrace_relay.store.sql.removal.BATCH", 3)


def left(store: Store) -> list[str]:
    return [each.span_id for each in store.each(SpanQuery(tenant_id=None, order="oldest"))]


def test_traces_with_a_span_that_matches_are_deleted_whole(store: Store) -> None:
    store.put([span(trace_id=f"t{at}", provider="a", security_findings=(finding(),)) for at in range(10)])
    store.put([span(trace_id=f"t{at}", provider="b", agent_actions=(action(),)) for at in range(5)])
    theirs = span(tenant_id=OTHER, provider="b")
    store.put([theirs])
    assert store.delete(SpanQuery(tenant_id=TENANT, provider="b", limit=1, offset=1)) == 5
    assert store.stats(TENANT).total_traces == 5
    assert store.stats(TENANT).total_spans == 5
    assert store.findings(FindingQuery(tenant_id=TENANT)).total == 5
    assert store.actions(SpanQuery(tenant_id=None))["action_counts"] == {}
    assert store.delete(SpanQuery(tenant_id=TENANT, trace_id="t7")) == 1
    assert store.delete(SpanQuery(tenant_id=TENANT, trace_id="t7")) == 0
    assert store.delete(SpanQuery(tenant_id=TENANT)) == 4
    assert left(store) == [theirs.span_id]


def test_what_began_before_a_time_is_purged(store: Store) -> None:
    old = [span(start_time=BEGIN + at) for at in range(8)]
    begun_before = [span(trace_id="t", start_time=BEGIN + 9), span(trace_id="t", start_time=BEGIN + 2 * SECOND)]
    young = [span(start_time=BEGIN + 10), span(start_time=BEGIN + 11, tenant_id=OTHER)]
    store.put([*old, *begun_before, *young])
    assert store.purge(BEGIN + 10, None) == 10
    assert left(store) == [each.span_id for each in young]
    assert store.purge(BEGIN + 10, None) == 0
    assert store.purge(None, None) == 0


def test_the_oldest_are_purged_until_the_rest_has_room(store: Store) -> None:
    spans = [span(start_time=BEGIN + at, prompt="x" * 10_000) for at in range(20)]
    store.put(spans)
    size = store.stats(None).storage_size_bytes
    assert store.purge(None, size) == 0
    assert store.purge(None, size // 2) == 10
    assert left(store) == [each.span_id for each in spans[10:]]
    assert store.stats(None).storage_size_bytes <= size // 2
    assert store.purge(BEGIN + 12, size // 2) == 2
    assert store.purge(None, 0) == 8
    assert left(store) == []


def test_a_call_whose_span_was_purged_is_billed_to_the_next(store: Store) -> None:
    store.put([span(call_id="c", start_time=BEGIN, estimated_cost_usd=1.0)])
    store.purge(BEGIN + 1, None)
    next_one = span(call_id="c", estimated_cost_usd=1.0)
    store.put([next_one])
    back = store.span(TENANT, next_one.span_id)
    assert back is not None
    assert back.billed


def test_a_file_shrinks_and_its_size_is_told_about_right(
    file_options: StorageOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmtrace_relay.store.sql.removal.BATCH", 200)
    store = open_store(file_options)
    spans = [span(prompt="x" * 1500, response="y" * 500, session="s", start_time=BEGIN + at) for at in range(1000)]
    store.put(spans)
    store.close()
    path = Path(file_options.database_path)
    full = path.stat().st_size
    store = open_store(file_options)
    assert full / 2 < store.stats(None).storage_size_bytes < full * 1.5
    store.purge(None, 100_000)
    store.close()
    assert path.stat().st_size < full / 4


def test_others_write_while_much_is_deleted(store: Store) -> None:
    store.put([span(start_time=BEGIN + at) for at in range(300)])
    written = threading.Event()

    def write() -> None:
        store.put([span(span_id="meanwhile", start_time=BEGIN + SECOND)])
        written.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert store.purge(BEGIN + SECOND, None) == 300
    thread.join(20)
    assert written.is_set()
    assert left(store) == ["meanwhile"]
