"""Many, at once, half-way, and across processes: nothing is left behind and nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import runtime
from tests.forking import forked

from .wire import FAMILIES, HELLO, URL, Wire, client, fetch

if TYPE_CHECKING:
    from types import ModuleType

    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from llmtrace_sdk.fake_provider import FakeProvider
    from llmtrace_sdk.testing import Records

STREAM = {**HELLO, "stream": True}


def inference(spans: InMemorySpanExporter) -> list[Any]:
    """The calls' own spans: a slow scan has one too."""
    return [s for s in spans.get_finished_spans() if "gen_ai.operation.name" in (s.attributes or {})]


async def abort(http: Any, url: str, how: int) -> None:
    """Drop a stream in one of the ways in which programs drop streams."""
    request = http.build_request("POST", url, json={**STREAM, "model": "gpt-4o-mini+chunks=50"})
    if how == 0:
        task = asyncio.ensure_future(http.send(request, stream=True))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return
    response = await http.send(request, stream=True)
    if how == 1:
        await response.aclose()
    elif how == 2:
        await anext(response.aiter_raw())
        await response.aclose()
    else:
        async with asyncio.timeout(5):
            async for _ in response.aiter_raw():
                await response.aclose()
                break


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("module", FAMILIES, ids=lambda m: m.__name__)
def test_ten_thousand_aborted_streams_leave_nothing_behind(
    module: ModuleType, provider: FakeProvider, spans: InMemorySpanExporter
) -> None:
    count = 10_000
    ends: Counter[str] = Counter()
    stop = llmtrace.on_record(lambda record: ends.update([record.outcome]))
    url = f"{provider.url}/v1/chat/completions"

    async def main() -> tuple[int, int]:
        limits = module.Limits(max_connections=4, max_keepalive_connections=4)
        async with llmtrace.instrument(module.AsyncClient(limits=limits)) as http:
            await abort(http, url, 2)
            gc.collect()
            tasks = len(asyncio.all_tasks())
            for start in range(0, count, 4):
                await asyncio.gather(*(abort(http, url, (start + n) % 4) for n in range(4)))
            pool = http._transport._pool
            return len(asyncio.all_tasks()) - tasks, sum(
                not c.is_idle() and not c.is_closed() for c in pool.connections
            )

    left_tasks, busy = asyncio.run(main())
    gc.collect()
    assert llmtrace.flush(30)
    stop()
    assert left_tasks <= 0
    assert busy == 0
    assert sum(ends.values()) == count + 1
    assert set(ends) <= {"abandoned", "complete"}
    assert len(inference(spans)) == count + 1
    assert runtime.worker.dropped == 0


@pytest.mark.parametrize("module", FAMILIES, ids=lambda m: m.__name__)
def test_memory_does_not_grow_with_the_number_of_calls(module: ModuleType) -> None:
    http = client(module, "sync", Wire([b'data: {"choices":[]}\n\n'] * 5, [("content-type", "text/event-stream")]))

    def rounds(count: int) -> None:
        for number in range(count):
            with http.stream("POST", URL, json=STREAM) as response:
                if number % 2:
                    next(response.iter_raw())
                else:
                    list(response.iter_raw())
        assert llmtrace.flush(10)

    rounds(300)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    rounds(1500)
    gc.collect()
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    ours = [s for s in after.compare_to(before, "filename") if "llmtrace_sdk" in s.traceback[0].filename]
    assert sum(s.size_diff for s in ours) < 100_000


def test_a_dropped_response_is_freed_without_the_cycle_collector(llmtrace_records: Records) -> None:
    """True of httpx2; a bare response of httpx is a cycle by itself."""
    gc.disable()
    try:
        http = client(httpx2, "sync", Wire([b"{}"] * 3))
        response = http.send(http.build_request("POST", URL, json=HELLO), stream=True)
        del response
        (record,) = llmtrace_records.settled()
    finally:
        gc.enable()
    assert record.stream_end == "abandoned"


def test_two_event_loops_share_a_configuration(llmtrace_records: Records) -> None:
    async def main() -> None:
        async with client(httpx2, "async", Wire()) as one, client(httpx, "async", Wire()) as other:
            await asyncio.gather(*(http.post(URL, json=HELLO) for http in (one, other) for _ in range(20)))

    for _ in range(2):
        asyncio.run(main())
    assert [r.outcome for r in llmtrace_records.settled()] == ["complete"] * 80


def test_two_loops_in_two_threads_and_plain_threads(llmtrace_records: Records) -> None:
    faults: list[BaseException] = []

    def work(colour: str, module: ModuleType) -> None:
        try:
            for _ in range(25):
                fetch(module, colour, Wire())
        except BaseException as error:
            faults.append(error)

    threads = [
        threading.Thread(target=work, args=(c, m)) for c in ("sync", "async") for m in FAMILIES for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    records = llmtrace_records.settled()
    assert len({record.id for record in records}) == len(records) == 200


def test_labels_reach_the_records_of_their_own_tasks(llmtrace_records: Records) -> None:
    async def one(number: int) -> None:
        async with llmtrace.context(session=str(number)), client(httpx2, "async", Wire()) as http:
            await http.post(URL, json={**HELLO, "model": str(number)})

    async def main() -> None:
        await asyncio.gather(*(one(number) for number in range(30)))

    asyncio.run(main())
    assert all(record.labels.session == record.prompt.model for record in llmtrace_records.settled())
    assert len(llmtrace_records) == 30


def test_calls_before_and_after_a_fork_in_both_processes() -> None:
    records: list[llmtrace.CallRecord] = []
    stop = llmtrace.on_record(records.append)
    fetch(httpx2, "sync", Wire())
    assert llmtrace.flush(5)

    def two_calls() -> bool:
        records.clear()
        fetch(httpx2, "sync", Wire())
        fetch(httpx, "async", Wire())
        return llmtrace.flush(5) and len(records) == 2

    assert forked(two_calls)()
    fetch(httpx2, "sync", Wire())
    assert llmtrace.flush(5)
    stop()
    assert len(records) == 2


def test_a_full_queue_is_counted_and_ends_the_span(spans: InMemorySpanExporter) -> None:
    gate, limit = threading.Event(), runtime.worker._limit
    dropped = runtime.worker.dropped
    runtime.worker.put(gate.wait)
    runtime.worker._limit = 1
    try:
        for _ in range(5):
            fetch(httpx2, "sync", Wire())
    finally:
        runtime.worker._limit = limit
        gate.set()
    assert llmtrace.flush(5)
    assert runtime.worker.dropped - dropped >= 3
    assert len(inference(spans)) == 5
    runtime.worker.dropped = dropped
    assert runtime.faults.pop("queue") >= 3
