"""The desk: it answers in time whatever the advisers do, and leaves alone those that fail."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import trio

from llmtrace_sdk.core.effects import Ask
from llmtrace_sdk.core.tiers import Unanswered
from llmtrace_sdk.tiers import desk as desks
from llmtrace_sdk.tiers.adviser import NoOpinion
from llmtrace_sdk.tiers.desk import Desk
from tests.forking import forked

from . import parts
from .parts import ATTACK, BENIGN, Oracle

if TYPE_CHECKING:
    from collections.abc import Iterator


class Panic(BaseException):
    """As native code raises."""


class Clock:
    """Steady, and pushed forward by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def ask(count: int = 1, deadline_ms: int = 2_000) -> Ask:
    return Ask("ml", tuple(parts.question(f"text {i}") for i in range(count)), deadline_ms)


@pytest.fixture
def faults() -> list[str]:
    return []


@pytest.fixture
def made(faults: list[str]) -> Iterator[Any]:
    open_desks: list[Desk] = []

    def make(oracle: Oracle, **options: Any) -> Desk:
        desk = Desk(
            {"ml": oracle}, lambda component, error: faults.append(f"{component} {type(error).__name__}"), **options
        )
        open_desks.append(desk)
        return desk

    yield make
    for desk in open_desks:
        assert desk.close(5)


def test_replies_come_in_the_order_of_the_questions(made: Any) -> None:
    oracle = Oracle(lambda q: ATTACK if q.text == "text 1" else BENIGN)
    assert made(oracle).ask(ask(3)) == (BENIGN, ATTACK, BENIGN)
    assert sorted(oracle.asked) == ["text 0", "text 1", "text 2"]


def test_all_questions_are_asked_at_once(made: Any) -> None:
    began = time.monotonic()
    assert made(Oracle(BENIGN, delay_s=0.3)).ask(ask(4)) == (BENIGN,) * 4
    assert time.monotonic() - began < 0.9


def test_nobody_waits_longer_than_allowed(made: Any, faults: list[str]) -> None:
    began = time.monotonic()
    assert made(Oracle(BENIGN, delay_s=1)).ask(ask(2, 100)) == (Unanswered("timeout"),) * 2
    assert time.monotonic() - began < 0.5
    assert faults == ["tier.ml TimeoutError"] * 2


@pytest.mark.parametrize("error", [RuntimeError("secret"), NoOpinion("x"), ImportError(), MemoryError(), Panic()])
def test_whatever_is_raised_is_no_answer(made: Any, faults: list[str], error: BaseException) -> None:
    assert made(Oracle(error)).ask(ask()) == (Unanswered("failed"),)
    assert faults == [f"tier.ml {type(error).__name__}"]


def test_who_fails_again_and_again_is_left_alone_for_a_while(made: Any) -> None:
    clock, oracle = Clock(), Oracle(RuntimeError())
    desk = made(oracle, clock=clock)
    for _ in range(desks.FAILURES):
        assert desk.ask(ask()) == (Unanswered("failed"),)
    assert desk.ask(ask()) == (Unanswered("paused"),)
    assert len(oracle.asked) == desks.FAILURES
    clock.ahead += desks.REST_S + 1
    oracle.answer = BENIGN
    assert desk.ask(ask()) == (BENIGN,)
    oracle.answer = RuntimeError()
    assert desk.ask(ask()) == (Unanswered("failed"),)
    assert desk.ask(ask()) == (Unanswered("failed"),)  # one good answer has wiped the slate


def test_always_too_late_is_a_failure_too(made: Any) -> None:
    desk = made(Oracle(BENIGN, delay_s=0.15))
    replies = []
    for _ in range(desks.FAILURES + 1):
        replies += desk.ask(ask(1, 50))
        time.sleep(0.15)
    assert replies[-1] == Unanswered("paused")


def test_a_wish_to_be_left_alone_is_granted_within_limits(made: Any) -> None:
    clock = Clock()
    desk = made(Oracle(NoOpinion("http_429", 1e9)), clock=clock)
    desk.ask(ask())
    assert desk.ask(ask()) == (Unanswered("paused"),)
    clock.ahead += desks.LONGEST_REST_S + 1
    assert desk.ask(ask()) == (Unanswered("failed"),)


def test_the_number_of_threads_is_bounded(made: Any) -> None:
    desk = made(Oracle(BENIGN, delay_s=0.5))
    replies = desk.ask(ask(40, 2_000))
    assert replies.count(BENIGN) == desks.ASKED_AT_ONCE
    assert replies.count(Unanswered("busy")) == 40 - desks.ASKED_AT_ONCE
    assert desk.ask(ask()) == (BENIGN,)


@pytest.mark.parametrize("run", [asyncio.run, lambda coroutine: trio.run(lambda: coroutine)], ids=["asyncio", "trio"])
def test_the_event_loop_goes_on(made: Any, run: Any) -> None:
    desk, beats = made(Oracle(ATTACK, delay_s=0.3)), 0

    async def main() -> Any:
        import anyio

        async def heart() -> None:
            nonlocal beats
            while True:
                await anyio.sleep(0.01)
                beats += 1

        async with anyio.create_task_group() as group:
            group.start_soon(heart)
            replies = await desk.aask(ask(2))
            group.cancel_scope.cancel()
        return replies

    assert run(main()) == (ATTACK, ATTACK)
    assert beats > 10


@pytest.mark.parametrize("run", [asyncio.run, lambda coroutine: trio.run(lambda: coroutine)], ids=["asyncio", "trio"])
def test_a_cancelled_call_leaves_at_once(made: Any, run: Any) -> None:
    desk = made(Oracle(ATTACK, delay_s=1))

    async def main() -> float:
        import anyio

        began = time.monotonic()
        with anyio.move_on_after(0.1):
            await desk.aask(ask())
        return time.monotonic() - began

    assert run(main()) < 0.6


def test_a_loop_that_nobody_knows_is_no_harm(made: Any, faults: list[str]) -> None:
    coroutine = made(Oracle(ATTACK)).aask(ask())
    with pytest.raises(StopIteration) as end:
        coroutine.send(None)
    assert end.value.value == (Unanswered("failed"),)
    assert len(faults) == 1


# after the call


def conversation(asks: list[Ask], heard: list[Any]) -> Any:
    for one in asks:
        replies = yield one
        heard.append(replies)


def test_later_asks_all_of_it_on_another_thread(made: Any) -> None:
    desk, heard, ends = made(Oracle(ATTACK)), [], []
    flow = conversation([ask(), ask(2)], heard)
    assert desk.later(flow, lambda *a: ends.append((a, threading.current_thread().name)), 1, 2)
    assert desk.flush(5)
    assert heard == [(ATTACK,), (ATTACK, ATTACK)]
    assert ends == [((1, 2), "llmtrace-tiers")]


def test_later_with_nothing_to_ask(made: Any) -> None:
    assert not made(Oracle(ATTACK)).later(conversation([], []), pytest.fail)


def test_a_full_queue_answers_at_once(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "QUEUE_LIMIT", 1)
    desk, heard, done = made(Oracle(BENIGN, delay_s=0.3)), [], []
    taken = [desk.later(conversation([ask(), ask()], heard), done.append, i) for i in range(5)]
    assert not all(taken)
    assert (Unanswered("busy"),) in heard
    assert desk.flush(10)
    assert len(done) == sum(taken)
    assert len(heard) == 10


def test_time_in_the_queue_counts(made: Any, faults: list[str]) -> None:
    oracle, heard = Oracle(BENIGN, delay_s=0.3), []
    desk = made(oracle)
    for _ in range(2):
        assert desk.later(conversation([ask(1, 200)], heard), lambda: None)
        time.sleep(0.05)
        assert desk.later(conversation([ask(1, 50)], heard), lambda: None)
    assert desk.flush(5)
    assert heard == [(Unanswered("timeout"),), (Unanswered("busy"),), (Unanswered("timeout"),), (Unanswered("busy"),)]
    assert len(oracle.asked) == 2


def test_the_end_is_told_whatever_happens(made: Any, faults: list[str]) -> None:
    def broken() -> Any:
        yield ask()
        raise RuntimeError

    desk, done = made(Oracle(BENIGN)), []
    assert desk.later(broken(), done.append, 1)
    assert desk.flush(5)
    assert done == [1]
    assert faults == ["worker RuntimeError"]


def test_a_forked_child_starts_afresh(made: Any) -> None:
    desk = made(Oracle(BENIGN, delay_s=0.2))
    held = [threading.Thread(target=desk.ask, args=(ask(desks.ASKED_AT_ONCE),))]
    held[0].start()
    time.sleep(0.1)
    ended_well = forked(lambda: desk.ask(ask()) == (BENIGN,))
    held[0].join()
    assert ended_well()
