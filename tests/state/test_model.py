"""Any sequence of operations at any times, on a store and on the model: the answers are the same."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from llmtrace_sdk.core.claims import Admission, Budget, Claims, Offence, Rate, Settlement, Slots
from llmtrace_sdk.state._scripts import scripts
from llmtrace_sdk.state.memory import MemoryState
from llmtrace_sdk.state.redis import RedisState

from .model import Model

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.core.claims import Claim
    from llmtrace_sdk.typing import State

    from .redis_server import RedisServer

# Times are multiples of a 64th of a second, and rates powers of two: exact in every clock.
TICK = Fraction(1, 64)
START = Fraction(1_790_000_000)
PERIOD = 20
CALLS = st.sampled_from("abcd")
TICKS = st.one_of(st.just(16), st.just(32), st.integers(0, 8), st.integers(0, 640))

# The rule of a bucket may be another one at every call.
rates = st.builds(
    Rate, st.sampled_from(["{t}:r", "{t}:r1"]), st.sampled_from([0.125, 0.5, 4.0]), st.sampled_from([1, 2, 5])
)
slots = st.builds(Slots, st.just("{t}:s"), st.sampled_from([0, 1, 2, 2]), st.sampled_from([0.25, 30.0]))
budgets = st.builds(
    Budget,
    st.sampled_from(["{t}:b", "{t}:b2"]),
    st.integers(0, 1).map(lambda n: int(START) + n * PERIOD),
    st.just(PERIOD),
    st.sampled_from([0, 7, 50]),
    st.sampled_from([None, 0, 50, 100]),
)
some_claims = st.lists(
    st.one_of(rates, slots, budgets), min_size=1, max_size=3, unique_by=lambda claim: (claim.key, type(claim))
).map(tuple)


class Agreement(RuleBasedStateMachine):
    """`make` gives a store with a clock that the test turns."""

    make: Callable[[Agreement], State]
    blocks = st.just(())
    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(START, self.shared)
        self.asked: dict[str, tuple[Claim, ...]] = {}

    @initialize()
    def connect(self) -> None:
        self.store = self.make()

    def turned(self) -> None:
        """The clock was turned."""

    @rule(ticks=TICKS)
    def wait(self, ticks: int) -> None:
        self.model.now += ticks * TICK
        self.turned()

    @rule(call=CALLS, claims=some_claims, remembered=st.sampled_from([0.5, 5.0, 300.0]), data=st.data())
    def admit(self, call: str, claims: tuple[Claim, ...], remembered: float, data: st.DataObject) -> None:
        claims = self.asked.setdefault(call, claims)
        asked = Claims(call, data.draw(self.blocks), claims, remembered)
        got, expected = self.store.admit(asked), self.model.admit(asked)
        assert abs(got.retry_after_s - expected.retry_after_s) <= 3e-6
        assert without_wait(got) == without_wait(expected)

    @rule(call=CALLS, amounts=st.lists(st.integers(0, 200), min_size=4, max_size=4), undo=st.booleans())
    def settle(self, call: str, amounts: list[int], undo: bool) -> None:
        claims = self.asked.get(call, ())
        if claims:
            count = sum(isinstance(claim, Budget) for claim in claims)
            settlement = Settlement(call, claims, None if undo else tuple(amounts[:count]))
            self.store.settle([settlement])
            self.model.settle(settlement)

    @rule(call=CALLS)
    def anew(self, call: str) -> None:
        """The next call of this name is another one, with other claims; its name is not used again."""
        self.asked.pop(call, None)
        self.model.calls.pop(call, None)
        self.forget(call)

    def forget(self, call: str) -> None:
        raise NotImplementedError

    @rule(limit=st.integers(1, 3), ttl=st.sampled_from([0.25, 4.0]))
    def offend(self, limit: int, ttl: float) -> None:
        offence = Offence(f"s{limit}{ttl}", f"offended{limit}{ttl}", limit, ttl)
        assert self.store.offend(offence) == self.model.offend(offence)

    @invariant()
    def sums_agree(self) -> None:
        if hasattr(self, "store"):
            all_budgets = [
                Budget(key, int(START) + n * PERIOD, PERIOD, 0) for key in ("{t}:b", "{t}:b2") for n in (0, 1)
            ]
            assert self.store.spent(all_budgets) == tuple(self.model.sum(each) for each in all_budgets)


def without_wait(admission: Admission) -> tuple[Any, ...]:
    return (
        admission.granted,
        admission.refused,
        admission.blocked,
        admission.remaining,
        admission.spent,
        admission.again,
    )


class MemoryAgreement(Agreement):
    shared = False
    blocks = st.lists(st.sampled_from(["x", "y", "offended20.25", "offended14.0"]), max_size=2).map(tuple)

    def make(self) -> State:
        return MemoryState(clock=lambda: float(self.model.now - START), wall=lambda: float(self.model.now))

    def forget(self, call: str) -> None:
        self.store._shelf.drop(f"{{t}}:call:{call}")

    @rule(ticks=st.integers(640, 64 * 6000))
    def wait_long(self, ticks: int) -> None:
        self.model.now += ticks * TICK

    @rule(key=st.sampled_from("xy"), ttl=st.sampled_from([0.25, 2.0, 60.0]))
    def block(self, key: str, ttl: float) -> None:
        self.store.block(key, ttl)
        self.model.blocks[key] = self.model.now + Fraction(ttl)

    @rule(key=st.sampled_from("xy"))
    def unblock(self, key: str) -> None:
        self.store.unblock(key)
        self.model.blocks.pop(key, None)

    @invariant()
    def blocks_agree(self) -> None:
        if hasattr(self, "store"):
            expected = {key for key, ends in self.model.blocks.items() if ends > self.model.now}
            assert self.store.blocked(["x", "y", "offended20.25", "offended14.0"]) == expected & {
                "x",
                "y",
                "offended20.25",
                "offended14.0",
            }


OFTEN = settings(max_examples=200, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
VERY_OFTEN = settings(OFTEN, max_examples=1500)


def test_memory_agrees() -> None:
    run_state_machine_as_test(MemoryAgreement, settings=OFTEN)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_agrees_at_length() -> None:
    run_state_machine_as_test(MemoryAgreement, settings=VERY_OFTEN)


def redis_agreement(server: RedisServer) -> type[Agreement]:
    """The scripts as they are, but for the line that asks the server's clock."""
    state = RedisState(
        server.url,
        scripts=scripts("local now = tonumber(redis.call('GET', 'test-clock'))\n"),
        timeout_s=5,
        connect_timeout_s=5,
    )

    class RedisAgreement(Agreement):
        def make(self) -> State:
            server.ask("FLUSHALL")
            self.turned()
            return state

        def turned(self) -> None:
            server.ask("SET", "test-clock", int(self.model.now * 1_000_000))

        def forget(self, call: str) -> None:
            server.ask("DEL", f"llmtrace:{{t}}:call:{call}")

    return RedisAgreement


def test_redis_agrees(server: RedisServer) -> None:
    run_state_machine_as_test(redis_agreement(server), settings=settings(OFTEN, max_examples=40))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_redis_agrees_at_length(server: RedisServer) -> None:
    run_state_machine_as_test(redis_agreement(server), settings=settings(OFTEN, max_examples=500))
