"""Programs of their own that spend one budget, with threads or with tasks; started by `test_many_processes`."""

from __future__ import annotations

import asyncio
import os
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from llmtrace_sdk.core.claims import Budget, Claims, Settlement
from llmtrace_sdk.state.redis import RedisState

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

WORKERS = 6


class Job(NamedTuple):
    """`calls` for each of the workers; a share of them takes more than it reserved, `crash_at` ends the process."""

    url: str
    name: str
    key: str
    start: int
    limit: int
    calls: int
    crash_at: int | None = None


class Spent(NamedTuple):
    """What a process was granted, took, and took beyond what it had reserved."""

    granted: int
    refused: int
    taken: int
    under: int


def claim_of(job: Job, dice: random.Random) -> tuple[Budget, int]:
    """A reservation, and what will really be taken: one in ten was underestimated."""
    amount = dice.randint(1, 50)
    actual = amount + dice.randint(1, 20) if dice.random() < 0.1 else dice.randint(0, amount)
    return Budget(job.key, job.start, 86400, amount, job.limit), actual


def threads(job: Job, out: Queue[Spent]) -> None:
    """Spends with threads."""
    state = RedisState(job.url, timeout_s=20, connect_timeout_s=20)

    def work(worker: int) -> Spent:
        dice, granted, taken, under = random.Random(f"{job.name}{worker}"), 0, 0, 0
        for number in range(job.calls):
            claim, actual = claim_of(job, dice)
            call = f"{job.name}-{worker}-{number}"
            if not state.admit(Claims(call, (), (claim,))).granted:
                continue
            if job.crash_at == number:
                os._exit(0)
            state.settle([Settlement(call, (claim,), (actual,))])
            granted, taken, under = granted + 1, taken + actual, under + max(actual - claim.amount, 0)
        return Spent(granted, job.calls - granted, taken, under)

    with ThreadPoolExecutor(WORKERS) as pool:
        out.put(total(list(pool.map(work, range(WORKERS)))))
    state.close()


def tasks(job: Job, out: Queue[Spent]) -> None:
    """Spends with tasks of an event loop, settling from a thread as the worker does."""
    state = RedisState(job.url, timeout_s=20, connect_timeout_s=20)

    async def work(worker: int) -> Spent:
        dice, granted, taken, under = random.Random(f"{job.name}{worker}"), 0, 0, 0
        for number in range(job.calls):
            claim, actual = claim_of(job, dice)
            call = f"{job.name}-{worker}-{number}"
            if not (await state.aadmit(Claims(call, (), (claim,)))).granted:
                continue
            await asyncio.to_thread(state.settle, [Settlement(call, (claim,), (actual,))])
            granted, taken, under = granted + 1, taken + actual, under + max(actual - claim.amount, 0)
        return Spent(granted, job.calls - granted, taken, under)

    async def all_of_them() -> list[Spent]:
        done = await asyncio.gather(*(work(worker) for worker in range(WORKERS)))
        await state.aclose()
        return done

    out.put(total(asyncio.run(all_of_them())))


def total(parts: list[Spent]) -> Spent:
    """The sum of them."""
    return Spent(*(sum(each) for each in zip(*parts, strict=True)))
