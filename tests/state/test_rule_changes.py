"""A rule that is changed holds at once, for who is over it and for who is not."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

from llmtrace_sdk.core.claims import Admission, Claims, Rate, Settlement
from llmtrace_sdk.state._weighing import ROUNDING_S
from llmtrace_sdk.state.memory import MemoryState
from llmtrace_sdk.state.redis import RedisState

from .test_semantics import after

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.typing import State

    from .redis_server import RedisServer

SLOW = 0.01
_calls = count()


def ask(state: State, rate: Rate) -> Admission:
    return state.admit(claims_of(rate))


def claims_of(rate: Rate) -> Claims:
    return Claims(f"call {next(_calls)}", claims=(rate,))


def granted(state: State, rate: Rate, most: int = 50) -> int:
    """How many calls in a row are granted."""
    return next((n for n in range(most) if not ask(state, rate).granted), most)


class TestRaised:
    def test_a_raised_rate_pays_the_debt_at_the_new_rate(self, state: State, tag: str) -> None:
        slow, fast = Rate(f"{tag}:r", SLOW, 3), Rate(f"{tag}:r", 20, 3)
        assert granted(state, slow) == 3
        assert ask(state, slow).retry_after_s > 90
        wait = ask(state, fast).retry_after_s
        assert 0 < wait <= 1 / 20 + ROUNDING_S
        after(wait)
        assert ask(state, fast).granted

    def test_a_raised_rate_is_no_fresh_burst(self, state: State, tag: str) -> None:
        assert granted(state, Rate(f"{tag}:r", SLOW, 5)) == 5
        assert granted(state, Rate(f"{tag}:r", 10 * SLOW, 5)) == 0

    def test_a_raised_burst_has_room_at_once(self, state: State, tag: str) -> None:
        assert granted(state, Rate(f"{tag}:r", SLOW, 2)) == 2
        more = Rate(f"{tag}:r", SLOW, 6)
        answer = ask(state, more)
        assert (answer.granted, answer.remaining) == (True, (3,))
        assert granted(state, more) == 3

    def test_both_at_once(self, state: State, tag: str) -> None:
        assert granted(state, Rate(f"{tag}:r", SLOW, 2)) == 2
        assert granted(state, Rate(f"{tag}:r", 10 * SLOW, 6)) == 4


class TestLowered:
    def test_a_lowered_rate_is_no_fresh_burst(self, state: State, tag: str) -> None:
        fast, slow = Rate(f"{tag}:r", 5, 4), Rate(f"{tag}:r", SLOW, 4)
        assert granted(state, fast) == 4
        answer = ask(state, slow)
        assert (answer.granted, answer.remaining) == (False, (0,))
        assert 0 < answer.retry_after_s <= 1 / SLOW

    def test_what_is_left_stays(self, state: State, tag: str) -> None:
        ask(state, Rate(f"{tag}:r", 0.1, 5))
        ask(state, Rate(f"{tag}:r", 0.1, 5))
        assert granted(state, Rate(f"{tag}:r", SLOW, 5)) == 3

    def test_a_lowered_burst_waits_for_one_token_only(self, state: State, tag: str) -> None:
        assert granted(state, Rate(f"{tag}:r", 0.1, 20)) == 20
        few = Rate(f"{tag}:r", 0.1, 2)
        answer = ask(state, few)
        assert not answer.granted
        assert 9 < answer.retry_after_s <= 10

    def test_lowered_and_raised_again_gives_nothing(self, state: State, tag: str) -> None:
        many, few = Rate(f"{tag}:r", SLOW, 20), Rate(f"{tag}:r", SLOW, 1)
        assert granted(state, many) == 20
        for _ in range(3):
            assert granted(state, few) == 0
            assert granted(state, many) == 0

    def test_a_token_given_back_is_one_of_the_rule_in_force(self, state: State, tag: str) -> None:
        fast, slow = Rate(f"{tag}:r", 5, 2), Rate(f"{tag}:r", SLOW, 2)
        state.admit(Claims(f"given back {tag}", claims=(fast,)))
        assert granted(state, slow) == 1
        state.settle([Settlement(f"given back {tag}", (fast,))])
        assert granted(state, slow) == 1

    def test_the_extremes(self, state: State, tag: str) -> None:
        nothing, everything = Rate(f"{tag}:r", 0, 10**9), Rate(f"{tag}:r", 1e9, 10**9)
        for _ in range(3):
            assert ask(state, nothing).granted
            assert ask(state, everything).granted
        assert granted(state, Rate(f"{tag}:r", 0, 1)) == 1


def test_a_refusal_that_keeps_the_new_rule_takes_nothing(connect: Callable[[], State], tag: str) -> None:
    mine, other = connect(), connect()
    slow, fast = Rate(f"{tag}:r", SLOW, 2), Rate(f"{tag}:r", 10 * SLOW, 2)
    assert granted(mine, slow) == 2
    first = ask(mine, fast).retry_after_s
    waits = [ask(each, fast).retry_after_s for each in (other, mine, other)]
    assert waits == sorted(waits, reverse=True)
    assert first - 2 < waits[-1] <= first <= 10


def test_in_async_code(connect: Callable[[], State], tag: str) -> None:
    slow, fast = Rate(f"{tag}:r", SLOW, 3), Rate(f"{tag}:r", 20, 3)
    assert granted(connect(), slow) == 3

    async def raised() -> tuple[Admission, Admission]:
        state = connect()
        try:
            refused = await state.aadmit(claims_of(fast))
            await asyncio.sleep(refused.retry_after_s + 0.002)
            return refused, await state.aadmit(claims_of(fast))
        finally:
            await state.aclose()

    refused, later = asyncio.run(raised())
    assert (refused.granted, later.granted) == (False, True)
    assert refused.retry_after_s <= 1 / 20 + ROUNDING_S


def test_one_round_trip(server: RedisServer) -> None:
    state = RedisState(server.url, timeout_s=5, connect_timeout_s=5)
    for _ in range(2):
        ask(state, Rate("{t}:r", SLOW, 1))
    before = server.calls()["evalsha"]
    assert not ask(state, Rate("{t}:r", 0.1, 1)).granted
    assert server.calls()["evalsha"] - before == 1
    state.close()


def test_a_bucket_in_memory_is_forgotten_when_its_debt_is_paid() -> None:
    now = [100.0]
    state = MemoryState(clock=lambda: now[0])
    granted(state, Rate("{t}:r", SLOW, 3))
    assert not ask(state, Rate("{t}:r", 1.0, 3)).granted
    kept = len(state)
    now[0] += 1000
    state.unblock("swept")
    ask(state, Rate("{other}:r", 1.0, 1))
    assert len(state) < kept
