"""Hundreds of tasks ask at once: few round trips, an answer for each, and an end to waiting."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_sdk.core.claims import Claims, Rate, Slots
from llmtrace_sdk.errors import StateUnavailable
from llmtrace_sdk.state._breaker import Breaker
from llmtrace_sdk.state._carrier import PATIENCE, TOGETHER, TRIPS, Carrier
from llmtrace_sdk.state._messages import Command
from llmtrace_sdk.state.redis import RedisState

from .proxy import Proxy
from .test_semantics import budget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .redis_server import RedisCluster, RedisServer

TASKS = 1_000


async def burst(state: RedisState, tag: str, tasks: int = TASKS) -> Counter[str]:
    """How so many calls at once end, in a word each."""
    claims = (Rate(f"{tag}:r", 1e6, 10**6), Slots(f"{tag}:s", 10**6, 60.0), budget(tag, 1, None))

    async def one(number: int) -> str:
        try:
            return str((await state.aadmit(Claims(f"{tag}{number}", ("ip:1",), claims))).granted)
        except StateUnavailable as error:
            return error.reason

    return Counter(await asyncio.gather(*(one(number) for number in range(tasks))))


def test_a_thousand_tasks_at_once_are_answered_over_few_connections(server: RedisServer, tag: str) -> None:
    """With a time-out that one after the other they would exceed by far."""
    with Proxy(server.port) as proxy:
        state = RedisState(f"redis://127.0.0.1:{proxy.port}", timeout_s=0.5, connect_timeout_s=0.5)

        async def run() -> list[Counter[str]]:
            ends = [await burst(state, f"{tag[:-1]}-{number}}}") for number in range(2)]
            await state.aclose()
            return ends

        assert asyncio.run(run()) == [Counter({"True": TASKS})] * 2
        assert len(proxy._open) / 2 <= TRIPS
        # unknown scripts and what one more connection is greeted with included
        assert proxy.round_trips < TASKS / 5


def test_a_thousand_tasks_on_a_cluster(shared_cluster: RedisCluster, tag: str) -> None:
    state = RedisState(shared_cluster.url, timeout_s=2, connect_timeout_s=2)

    async def run() -> Counter[str]:
        await burst(state, tag, 1)  # finds the nodes
        tags = [f"{{{number}{tag[1:]}" for number in range(4)]
        ends = await asyncio.gather(*(burst(state, each, TASKS // 4) for each in tags))
        assert len(state._lanes._loops[asyncio.get_running_loop()].carriers) >= 3
        await state.aclose()
        return sum(ends, Counter())

    assert asyncio.run(run()) == Counter({"True": TASKS})


def test_a_script_that_is_forgotten_is_sent_once_for_a_whole_trip(server: RedisServer, tag: str) -> None:
    with Proxy(server.port) as proxy:
        state = RedisState(f"redis://127.0.0.1:{proxy.port}", timeout_s=5, connect_timeout_s=5, connections=1)

        async def run() -> Counter[str]:
            await burst(state, tag, 1)
            server.ask("SCRIPT", "FLUSH")
            proxy.heard()
            ends = await burst(state, tag, TOGETHER)
            await state.aclose()
            return ends

        assert asyncio.run(run()) == Counter({"True": TOGETHER})
        assert Counter(words[0] for words in proxy.heard())[b"EVAL"] == 1


def test_a_burst_while_redis_hangs_or_is_gone_ends_in_time(server: RedisServer, tag: str) -> None:
    state = RedisState(server.url)

    async def run() -> list[tuple[set[str], float]]:
        await burst(state, tag, 1)
        ends = []
        for away in (server.pause, lambda: (server.resume(), server.kill())):
            away()
            begun = time.monotonic()
            ends.append((set(await burst(state, tag)), time.monotonic() - begun))
            await asyncio.sleep(1.1)  # it is left alone for a second
        await state.aclose()
        return ends

    (hung, took), (gone, took_gone) = asyncio.run(run())
    assert hung <= {"timeout", "busy", "resting"}
    assert gone <= {"connection", "timeout", "resting", "busy"}
    assert max(took, took_gone) < 5, "a thousand of them, one after the other, would take a hundred seconds"


# of the carrier alone


class Server:
    """Answers what it is told to, and keeps how much came together."""

    def __init__(self, answer: Callable[[Sequence[Command]], Any]) -> None:
        self.trips: list[int] = []
        self._answer = answer

    async def __call__(self, commands: Sequence[Command]) -> list[Any]:
        self.trips.append(len(commands))
        await asyncio.sleep(0)
        answered = self._answer(commands)
        return list(await answered if asyncio.iscoroutine(answered) else answered)


def carrier(server: Server, *, failures: int = 10**9, **more: Any) -> Carrier:
    times = {"answer_s": 5.0, "trip_s": 5.0, **more}
    return Carrier(server, Breaker(failures, 60, time.monotonic), **times)


def words_of(commands: Sequence[Command]) -> list[Any]:
    return [command.words for command in commands]


async def ends_of(asked: Sequence[Any]) -> Counter[str]:
    ends = await asyncio.gather(*asked, return_exceptions=True)
    return Counter(end.reason if isinstance(end, StateUnavailable) else type(end).__name__ for end in ends)


def test_each_question_has_its_own_answers() -> None:
    server = Server(words_of)

    async def run() -> None:
        way = carrier(server)
        questions = [[Command((number, at)) for at in range(number % 3 + 1)] for number in range(500)]
        answers = await asyncio.gather(*(way.ask(each) for each in questions))
        assert answers == [words_of(each) for each in questions]

    asyncio.run(run())
    assert sum(server.trips) == 167 + 2 * 167 + 3 * 166
    assert max(server.trips) <= TOGETHER
    assert len(server.trips) < 30


def test_a_question_with_more_commands_than_a_trip_goes_alone() -> None:
    async def run() -> int:
        return len(await carrier(Server(words_of)).ask([Command((at,)) for at in range(3 * TOGETHER)]))

    assert asyncio.run(run()) == 3 * TOGETHER


def test_an_error_for_one_is_no_error_for_the_others() -> None:
    def answer(commands: Sequence[Command]) -> list[Any]:
        return [TimeoutError() if command.words[0] == 3 else b"fine" for command in commands]

    async def run() -> Counter[str]:
        way = carrier(Server(answer))
        return await ends_of([way.ask([Command((number,))]) for number in range(10)])

    assert asyncio.run(run()) == Counter({"list": 9, "timeout": 1})


def test_who_is_cancelled_takes_nobody_along() -> None:
    server = Server(words_of)

    async def run() -> Counter[str]:
        way = carrier(server)
        tasks = [asyncio.create_task(way.ask([Command((number,))])) for number in range(1_000)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        return await ends_of(tasks)

    assert asyncio.run(run()) == Counter({"list": 500, "CancelledError": 500})
    assert sum(server.trips) < 1_000, "nobody asks for those who have gone before they went"


@pytest.mark.parametrize("begun", [True, False])
def test_closing_leaves_nobody_waiting(begun: bool) -> None:
    async def never(_: Sequence[Command]) -> list[Any]:
        await asyncio.sleep(60)
        return []

    async def run() -> Counter[str]:
        way = carrier(Server(never), answer_s=60.0, trip_s=60.0)
        tasks = [asyncio.create_task(way.ask([Command((number,))])) for number in range(1_000)]
        await asyncio.sleep(0.01 if begun else 0)
        way.close()
        return await asyncio.wait_for(ends_of(tasks), 5)

    assert asyncio.run(run()) == Counter({"closed": 1_000})


def test_after_a_failure_those_who_have_waited_long_enough_give_up() -> None:
    async def slow(commands: Sequence[Command]) -> list[Any]:
        await asyncio.sleep(0.05)
        raise ConnectionError

    async def run() -> tuple[Counter[str], int]:
        server = Server(slow)
        way = carrier(server, answer_s=0.02)
        return await ends_of([way.ask([Command((number,))]) for number in range(1_000)]), len(server.trips)

    ends, trips = asyncio.run(run())
    assert ends == Counter({"connection": TRIPS * TOGETHER, "busy": 1_000 - TRIPS * TOGETHER})
    assert trips == TRIPS


def test_what_rests_is_not_asked_for_those_who_wait() -> None:
    async def run() -> Counter[str]:
        def fails(_: Sequence[Command]) -> list[Any]:
            raise ConnectionError

        way = carrier(Server(fails), failures=5)
        return await ends_of([way.ask([Command((number,))]) for number in range(1_000)])

    ends = asyncio.run(run())
    assert ends["resting"] >= 1_000 - 2 * TRIPS * TOGETHER
    assert ends["resting"] + ends["connection"] == 1_000


def test_nobody_waits_for_ever_though_others_are_answered() -> None:
    async def slow(commands: Sequence[Command]) -> list[Any]:
        await asyncio.sleep(0.02)
        return [b""] * len(commands)

    async def run() -> tuple[Counter[str], float]:
        way = carrier(Server(slow), answer_s=0.01, trips=1)
        begun = time.monotonic()
        return await ends_of([way.ask([Command((number,))]) for number in range(2_000)]), time.monotonic() - begun

    ends, took = asyncio.run(run())
    assert ends["list"] >= TOGETHER
    assert ends["busy"] > 0
    assert took < 5
    assert took > PATIENCE * 0.01


def test_questions_that_come_at_the_last_moment_are_carried() -> None:
    async def run() -> None:
        way = carrier(Server(words_of), trips=1)

        async def chain(number: int) -> None:
            for at in range(50):
                assert await way.ask([Command((number, at))]) == [(number, at)]
                if dice(number, at):
                    await asyncio.sleep(0)

        await asyncio.wait_for(asyncio.gather(*(chain(number) for number in range(20))), 10)

    def dice(number: int, at: int) -> bool:
        return (number * 7 + at * 13) % 3 == 0

    asyncio.run(run())
