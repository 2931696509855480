from __future__ import annotations

import gc
import threading
import time

import pytest

from llmtrace_sdk.worker import Worker
from tests.forking import forked


class Faults:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __call__(self, component: str, error: BaseException) -> None:
        self.seen.append((component, str(error)))


@pytest.fixture
def faults() -> Faults:
    return Faults()


def test_jobs_run_in_order_on_one_other_thread(faults: Faults) -> None:
    worker, done = Worker(faults), []
    for number in range(100):
        assert worker.put(lambda n: done.append((n, threading.current_thread().name)), number)
    assert worker.flush(5)
    assert done == [(n, "llmtrace-worker") for n in range(100)]
    assert worker.close(5)


def test_no_thread_before_the_first_job(faults: Faults) -> None:
    before = threading.active_count()
    worker = Worker(faults)
    assert threading.active_count() == before
    assert worker.flush(1)
    assert worker.close(1)


def test_a_job_that_raises_is_counted_and_the_next_one_runs(faults: Faults) -> None:
    worker, done = Worker(faults), []
    worker.put(lambda: 1 / 0)
    worker.put(done.append, 1)
    assert worker.flush(5)
    assert (done, faults.seen) == ([1], [("worker", "division by zero")])
    worker.close(5)


def test_a_full_queue_drops_and_counts(faults: Faults) -> None:
    worker, gate = Worker(faults, limit=3), threading.Event()
    worker.put(gate.wait)
    while worker._jobs:
        time.sleep(0.001)
    taken = [worker.put(int) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    assert worker.dropped == 2
    assert not worker.flush(0.05)
    gate.set()
    assert worker.close(5)


def test_after_close_a_new_job_starts_a_new_thread(faults: Faults) -> None:
    worker, done = Worker(faults), []
    for number in range(3):
        worker.put(done.append, number)
        assert worker.close(5)
    assert done == [0, 1, 2]


def test_jobs_from_finalizers_do_not_deadlock(faults: Faults) -> None:
    worker, done = Worker(faults), []

    class Dying:
        def __del__(self) -> None:
            worker.put(done.append, 1)

    for _ in range(500):
        cycle = [Dying()]
        cycle.append(cycle)  # type: ignore[arg-type]
    del cycle
    gc.collect()
    assert worker.flush(5)
    assert sum(done) == 500
    worker.close(5)


def test_many_threads(faults: Faults) -> None:
    worker, done = Worker(faults), []
    threads = [threading.Thread(target=lambda: [worker.put(done.append, 1) for _ in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.flush(10)
    assert len(done) == 4000
    worker.close(5)


def test_a_forked_child_has_its_own_thread_and_none_of_the_parents_jobs(faults: Faults) -> None:
    worker, gate, done = Worker(faults), threading.Event(), []
    worker.put(gate.wait)
    worker.put(done.append, "parent")

    def does_its_own() -> bool:
        worker.put(done.append, "child")
        return worker.flush(5) and done == ["child"]

    assert forked(does_its_own)()
    gate.set()
    assert worker.flush(5)
    assert done == ["parent"]
    worker.close(5)
