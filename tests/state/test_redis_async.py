"""Tasks of one event loop or several, cancelled at any time; processes that fork."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from llmtrace_sdk.core.claims import Claims, Slots
from llmtrace_sdk.errors import StateUnavailable
from llmtrace_sdk.state.redis import RedisState
from tests.forking import forked
from tests.programs import free_port

from .test_semantics import ask, budget

if TYPE_CHECKING:
    from .redis_server import RedisCluster, RedisServer


def test_answers_stay_with_their_questions_when_tasks_are_cancelled(shared_server: RedisServer, tag: str) -> None:
    state = RedisState(shared_server.url, timeout_s=5, connections=8)
    dice = random.Random(7)

    async def one(number: int) -> None:
        answer = await state.aadmit(Claims(str(number), (), (Slots(f"{tag}:s{number}", number + 1, 60),)))
        assert answer.remaining == (number,)

    async def all_of_them() -> int:
        tasks = [asyncio.create_task(one(number)) for number in range(300)]
        for task in dice.sample(tasks, 150):
            await asyncio.sleep(dice.random() / 500)
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        await state.aclose()
        assert {type(end) for end in ends} <= {type(None), asyncio.CancelledError}
        return sum(end is None for end in ends)

    assert asyncio.run(all_of_them()) >= 150


def test_each_event_loop_has_connections_of_its_own(shared_server: RedisServer, tag: str) -> None:
    state = RedisState(shared_server.url, timeout_s=5)

    async def one(number: int) -> None:
        assert (await state.aadmit(Claims(str(number), (), (budget(tag, 1, 9),)))).granted
        loop = state._lanes._loops.pop(asyncio.get_running_loop())
        await loop.client.aclose()

    for number in range(3):
        asyncio.run(one(number))
    assert ask(state, "x", budget(tag, 1, 9)).spent == (4,)
    state.close()


def test_a_cluster_from_tasks(shared_cluster: RedisCluster, tag: str) -> None:
    state = RedisState(shared_cluster.url, timeout_s=5, connect_timeout_s=5)

    async def run() -> None:
        claims = (budget(tag, 10, 100),)
        answers = await asyncio.gather(*(state.aadmit(Claims(str(n), (f"{tag}x",), claims)) for n in range(20)))
        assert sum(answer.granted for answer in answers) == 10
        state.block(f"{tag}x", 60)
        assert (await state.aadmit(Claims("y", (f"{tag}x",), (budget(tag, 1, None, name="c"),)))).blocked == f"{tag}x"
        assert state.spent([budget(tag, 0, None, name="c")]) == (0,)
        await state.aclose()

    asyncio.run(run())


def test_the_other_event_loop(shared_server: RedisServer, tag: str) -> None:
    trio = pytest.importorskip("trio")
    state = RedisState(shared_server.url, timeout_s=5)
    answer = trio.run(state.aadmit, Claims("a", (), (budget(tag, 1, 9),)))
    assert answer.remaining == (8,)
    state.close()


def test_it_hangs(server: RedisServer, tag: str) -> None:
    state = RedisState(server.url, failures=3, rest_s=60)

    async def run() -> list[str]:
        await state.aadmit(Claims("a", (), (budget(tag, 1, 9),)))
        reasons = []
        with server.paused():
            for number in range(5):
                begun = time.monotonic()
                with pytest.raises(StateUnavailable) as raised:
                    await state.aadmit(Claims(str(number), (), (budget(tag, 1, 9),)))
                assert time.monotonic() - begun < 1
                reasons.append(raised.value.reason)
        await state.aclose()
        return reasons

    assert asyncio.run(run()) == ["timeout"] * 3 + ["resting"] * 2


def test_nobody_listens(tag: str) -> None:
    for scheme in ("redis", "redis-cluster"):
        state = RedisState(f"{scheme}://127.0.0.1:{free_port()}")

        async def run(state: RedisState = state) -> str:
            with pytest.raises(StateUnavailable) as raised:
                await state.aadmit(Claims("a", (), (budget(tag, 1, 9),)))
            await state.aclose()
            return raised.value.reason

        assert asyncio.run(run()) == "connection"


def test_the_loop_turns_while_redis_hangs(server: RedisServer, tag: str) -> None:
    state = RedisState(server.url, timeout_s=0.3)

    async def run() -> int:
        await state.aadmit(Claims("a", (), (budget(tag, 1, 9),)))
        turns = 0
        with server.paused():
            asked = asyncio.create_task(state.aadmit(Claims("b", (), (budget(tag, 1, 9),))))
            while not asked.done():
                await asyncio.sleep(0.005)
                turns += 1
        assert isinstance(asked.exception(), StateUnavailable)
        await state.aclose()
        return turns

    assert asyncio.run(run()) > 10


def test_a_forked_child_has_connections_of_its_own(shared_server: RedisServer, tag: str) -> None:
    state = RedisState(shared_server.url, timeout_s=5)
    assert ask(state, "p", budget(tag, 1, None)).granted

    def all_granted(name: object, times: int) -> bool:
        return all(
            ask(state, f"{name} {n}", Slots(f"{tag}:{name} {n}", n + 1, 60)).remaining == (n,) for n in range(times)
        )

    children = [forked(partial(all_granted, number, 50)) for number in range(3)]
    assert all_granted("p", 100)
    assert [ended_well() for ended_well in children] == [True] * 3
    state.close()
