"""Finished calls are worked through on the event loop, a few at a time; what is too much goes to the worker."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from llmtrace_relay.behind import IN_A_ROW, LOOK_S, MOST_BYTES, MOST_CALLS, TOGETHER_S, Behind
from llmtrace_sdk import runtime


class Books:
    """Stands for a runtime: what was recorded here, and what was given to the worker."""

    def __init__(self) -> None:
        self.recorded: list[Any] = []
        self.threads: set[int] = set()
        self.delivered: list[Any] = []

    def record(self, exchange: Any, span: Any) -> None:
        self.threads.add(threading.get_ident())
        if exchange.broken:
            raise ValueError("broken")
        self.recorded.append(exchange)

    def deliver(self, exchange: Any, span: Any) -> None:
        self.delivered.append(exchange)


def exchange(*, broken: bool = False) -> Any:
    return SimpleNamespace(broken=broken)


def test_the_loop_records_in_order_and_lets_others_in_between() -> None:
    books, turns = Books(), set[int]()
    calls = [exchange() for _ in range(40)]

    async def serve() -> None:
        behind = Behind()
        for each in calls:
            behind.put(books, each, None, 100)  # type: ignore[arg-type]
        assert not books.recorded
        while len(books.recorded) < len(calls):
            await asyncio.sleep(0)
            turns.add(len(books.recorded))

    asyncio.run(serve())
    assert books.recorded == calls
    assert books.threads == {threading.get_ident()}
    assert turns == {0, IN_A_ROW, 2 * IN_A_ROW, len(calls)}


def test_large_calls_and_too_many_are_for_the_worker() -> None:
    books = Books()

    async def serve() -> None:
        behind = Behind()
        behind.put(books, exchange(), None, MOST_BYTES + 1)  # type: ignore[arg-type]
        for _ in range(MOST_CALLS + 3):
            behind.put(books, exchange(), None, 100)  # type: ignore[arg-type]
        behind.finish()

    asyncio.run(serve())
    assert (len(books.recorded), len(books.delivered)) == (MOST_CALLS, 4)


def test_one_bad_call_stops_no_other() -> None:
    books = Books()

    async def serve() -> None:
        behind = Behind()
        for each in (exchange(), exchange(broken=True), exchange()):
            behind.put(books, each, None, 100)  # type: ignore[arg-type]
        while behind.waiting:
            await asyncio.sleep(0)

    asyncio.run(serve())
    assert len(books.recorded) == 2
    assert runtime.faults["worker"] == 1


@pytest.mark.parametrize("waiting", [0, 7])
def test_who_asks_for_what_is_kept_finishes_it_from_another_thread(waiting: int) -> None:
    books = Books()

    async def serve() -> None:
        behind = Behind()
        for _ in range(waiting):
            behind.put(books, exchange(), None, 100)  # type: ignore[arg-type]
        other = threading.Thread(target=behind.finish)
        other.start()
        other.join()
        assert len(books.recorded) == waiting
        behind.put(books, exchange(), None, 100)  # type: ignore[arg-type]
        while len(books.recorded) <= waiting:
            await asyncio.sleep(0)

    asyncio.run(serve())


@pytest.mark.parametrize(("under_way", "least_s"), [(0, LOOK_S), (1, TOGETHER_S)])
def test_they_wait_a_little_while_calls_are_under_way(under_way: int, least_s: float) -> None:
    async def serve() -> float:
        books = Books()
        clock = asyncio.get_running_loop().time
        behind = Behind()
        behind.under_way = under_way
        behind.put(books, exchange(), None, 100)  # type: ignore[arg-type]
        began = clock()
        while not books.recorded:
            await asyncio.sleep(0)
        return clock() - began

    took = min(asyncio.run(serve()) for _ in range(5))
    assert least_s * 0.9 < took < least_s + 0.003
