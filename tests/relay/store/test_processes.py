"""Several processes and threads that write to one database at once."""

from __future__ import annotations

import multiprocessing
import threading
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_relay.store import SpanQuery
from llmtrace_relay.store.opening import open_store

from .making import BEGIN, TENANT, finding, span

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_relay.store import Store
    from llmtrace_sdk.config.relay import StorageOptions

SPAWN = multiprocessing.get_context("spawn")
WRITERS = 3
ROUNDS = 8
BATCH = 25


def write(options: StorageOptions, writer: int, gate: Any) -> None:
    """Spans of its own, of traces that the others write to as well, and of calls that the others saw too."""
    store = open_store(options)
    gate.wait(60)
    for turn in range(ROUNDS):
        spans = [
            span(
                span_id=f"{writer}-{turn}-{at}",
                trace_id=f"t{at}",
                call_id=f"{turn}-{at}",
                estimated_cost_usd=1.0,
                start_time=BEGIN + at,
            )
            for at in range(BATCH)
        ]
        same = span(span_id="same", trace_id="same", prompt=f"of {writer}", security_findings=(finding(),))
        store.put([*spans[:: 1 if writer % 2 else -1], same])
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_processes_write_at_once(kind: str, empty_options: Callable[[str], StorageOptions]) -> None:
    options = empty_options(kind)
    store = open_store(options)
    gate = SPAWN.Barrier(WRITERS)
    processes = [SPAWN.Process(target=write, args=(options, at, gate)) for at in range(WRITERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(90)
        assert process.exitcode == 0
    query = SpanQuery(tenant_id=TENANT)
    assert store.stats(None).total_spans == WRITERS * ROUNDS * BATCH + 1
    assert store.stats(None).total_traces == BATCH + 1
    assert sum(each.cost_usd for each in store.series(query, 1 << 60, "")) == ROUNDS * BATCH
    same = store.span(TENANT, "same")
    assert same is not None
    assert len(same.security_findings) == 1
    store.close()


def test_threads_read_and_write_at_once(store: Store) -> None:
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                one = span(span_id=f"{number}-{turn}")
                store.put([one])
                assert store.span(TENANT, one.span_id) == one
                store.spans(SpanQuery(tenant_id=TENANT, limit=3))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not faults
    assert store.stats(None).total_spans == 40
