"""Many clients at once, at random: what is shared stays right."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from llmtrace_sdk.core.claims import Claims, Rate, Settlement, Slots

from .test_semantics import SLOW, ask, budget

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.typing import State

CLIENTS = 6
CALLS = 40


def test_a_budget_is_never_overspent(connect: Callable[[], State], tag: str) -> None:
    states = [connect() for _ in range(CLIENTS)]

    def spend(at: int) -> int:
        dice, total = random.Random(at), 0
        for number in range(CALLS):
            claim = budget(tag, dice.randint(1, 40), 1000)
            call = f"{at} {number}"
            if ask(states[at], call, claim).granted:
                actual = dice.randint(0, claim.amount)
                total += actual
                states[at].settle([Settlement(call, (claim,), (actual,))] * dice.randint(1, 2))
            assert states[at].spent([claim])[0] <= 1000
        return total

    with ThreadPoolExecutor(CLIENTS) as pool:
        totals = list(pool.map(spend, range(CLIENTS)))
    assert states[0].spent([budget(tag, 0, None)]) == (sum(totals),)
    assert 900 < sum(totals) <= 1000


def test_slots_are_never_exceeded(connect: Callable[[], State], tag: str) -> None:
    states = [connect() for _ in range(CLIENTS)]
    slots = Slots(f"{tag}:s", 3, 60)
    lock, under_way, most, granted = threading.Lock(), 0, 0, 0

    def work(at: int) -> None:
        nonlocal under_way, most, granted
        for number in range(CALLS):
            call = f"{at} {number}"
            if ask(states[at], call, slots).granted:
                with lock:
                    under_way += 1
                    granted += 1
                    most = max(most, under_way)
                with lock:
                    under_way -= 1
                states[at].settle([Settlement(call, (slots,), ())])

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, range(CLIENTS)))
    assert granted >= CALLS
    assert most <= 3
    assert ask(states[0], "last", slots).remaining == (2,)


def test_a_bucket_gives_its_burst_once(connect: Callable[[], State], tag: str) -> None:
    states = [connect() for _ in range(CLIENTS)]
    rate = Rate(f"{tag}:r", SLOW, 50)

    def work(at: int) -> int:
        return sum(ask(states[at], f"{at} {number}", rate).granted for number in range(CALLS))

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert sum(pool.map(work, range(CLIENTS))) == 50


def test_one_call_asked_by_many_at_once_takes_once(connect: Callable[[], State], tag: str) -> None:
    states = [connect() for _ in range(CLIENTS)]
    claims = (Rate(f"{tag}:r", SLOW, 100), Slots(f"{tag}:s", 100, 60), budget(tag, 7, 10_000))
    together = threading.Barrier(CLIENTS)

    def work(at: int) -> list[bool]:
        firsts = []
        for number in range(20):
            together.wait(20)
            answer = ask(states[at], str(number), *claims)
            assert answer.remaining == (99 - number, 99 - number, 10_000 - 7 * (number + 1))
            firsts.append(not answer.again)
        return firsts

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(work, range(CLIENTS)))
    assert [sum(each) for each in zip(*answers, strict=True)] == [1] * 20
    assert states[0].spent([budget(tag, 0, None)]) == (140,)


@pytest.mark.parametrize("count", [200])
def test_tasks_and_threads_share(connect: Callable[[], State], tag: str, count: int) -> None:
    mine, theirs = connect(), connect()
    claim = budget(tag, 10, 1500)
    counted = []

    def thread() -> None:
        counted.append(sum(ask(theirs, f"t{number}", claim).granted for number in range(count)))

    async def tasks() -> int:
        try:
            answers = [mine.aadmit(Claims(f"a{number}", (), (claim,))) for number in range(count)]
            return sum(answer.granted for answer in await asyncio.gather(*answers))
        finally:
            await mine.aclose()

    beside = threading.Thread(target=thread)
    beside.start()
    granted = asyncio.run(tasks())
    beside.join()
    assert granted + counted[0] == 150
