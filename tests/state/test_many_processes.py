"""Processes that know nothing of each other spend one budget."""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING

import pytest

from llmtrace_sdk.core.claims import Budget
from llmtrace_sdk.state.redis import RedisState

from .spenders import Job, Spent, tasks, threads, total

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

LIMIT = 20_000
PROCESSES = 4


@pytest.mark.slow
@pytest.mark.parametrize("store", ["server", "cluster"])
def test_together_they_stay_within_it(
    store: str, tag: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    url = request.getfixturevalue(f"shared_{store}").url
    spawn = multiprocessing.get_context("spawn")
    out = spawn.Queue()
    start = int(time.time()) // 86400 * 86400
    running: list[BaseProcess] = []
    for number in range(PROCESSES):
        job = Job(url, f"p{number}", f"{tag}:b", start, LIMIT, 100)
        running.append(spawn.Process(target=(threads, tasks)[number % 2], args=(job, out)))
    crashing = Job(url, "crash", f"{tag}:b", start, LIMIT, 5, crash_at=3)
    running.append(spawn.Process(target=threads, args=(crashing, out)))
    for process in running:
        process.start()
    sums = [out.get(timeout=90) for _ in range(PROCESSES)]
    for process in running:
        process.join(20)
        assert process.exitcode == 0
    state = RedisState(url, timeout_s=5)
    spent = state.spent([Budget(f"{tag}:b", start, 86400, 0)])[0]
    state.close()
    report(capsys, store, total(sums), spent)
    assert spent >= total(sums).taken
    crashed = 30 * 70  # at most so much more was taken or left reserved by the process that crashed
    assert spent - total(sums).taken <= crashed
    assert spent <= LIMIT + total(sums).under + crashed * 20 // 70
    assert total(sums).refused > 0
    assert spent >= LIMIT - 50


def report(capsys: pytest.CaptureFixture[str], store: str, sums: Spent, spent: int) -> None:
    with capsys.disabled():
        print(
            f"\n{PROCESSES} processes and one that crashes, {store}: limit {LIMIT}, spent and reserved {spent},"
            f" settled {sums.taken} in {sums.granted} calls, {sums.refused} refused, {sums.under} beyond reservations"
        )
