"""The state in memory by itself: bounded, quick to forget, and safe to fork."""

from __future__ import annotations

import time
import tracemalloc
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.claims import Budget, Claims, Rate, Settlement, Slots
from llmtrace_sdk.state._entries import Slots as Held
from llmtrace_sdk.state._shelf import Shelf
from llmtrace_sdk.state._wheel import Wheel
from llmtrace_sdk.state.memory import MemoryState
from tests.forking import forked


class Clock:
    """Turned by hand; starts at some time of day."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def made(limit: int = 1000) -> tuple[MemoryState, Clock]:
    clock = Clock()
    return MemoryState(limit, clock, clock), clock


def spend(state: MemoryState, name: str, *, seconds: int = 3600, call: str = "c") -> None:
    state.settle([Settlement(call, (Budget(f"{{t}}:{name}", 0, seconds, 0),), (1,))])


def sum_of(state: MemoryState, name: str) -> int:
    return state.spent([Budget(f"{{t}}:{name}", 0, 3600, 0)])[0]


def test_never_more_keys_than_allowed_and_what_was_given_up_is_counted() -> None:
    state, _ = made(100)
    for number in range(1000):
        state.admit(Claims(str(number), (), (Budget(f"{{t}}:{number}", 0, 5000, 1), Rate(f"{{t}}:r{number}", 0.1, 5))))
        assert len(state) <= 100
    gone = state.evicted
    assert sum(gone.values()) == 2900
    assert set(gone) == {"budget", "rate", "call"}
    assert gone["budget"] >= 966


def test_the_least_recently_used_goes_first() -> None:
    state, _ = made(10)
    spend(state, "old")
    for number in range(200):
        spend(state, f"n{number}", call=str(number))
        assert sum_of(state, "old") == 1
    assert sum_of(state, "n0") == 0


def test_what_has_expired_goes_before_what_counts() -> None:
    state, clock = made(50)
    spend(state, "kept")
    for number in range(40):
        state.block(f"b{number}", 1.0)
    clock.now += 3
    for number in range(30):
        state.block(f"c{number}", 100.0)
    assert state.evicted == {}
    assert sum_of(state, "kept") == 1


def test_forgets_what_has_expired_without_being_asked_for_it() -> None:
    state, clock = made()
    for number in range(500):
        state.block(str(number), 5.0)
    clock.now += 10
    for _ in range(70):
        state.admit(Claims("x", ("none",)))
    assert len(state) == 0


def test_unblocking_leaves_nothing_behind() -> None:
    state, _ = made()
    for number in range(5000):
        state.block(str(number), 1e6 + number)
        state.unblock(str(number))
    assert len(state) == 0
    assert state._shelf._wheel._buckets == {}


def test_a_long_pause_costs_nothing() -> None:
    state, clock = made()
    spend(state, "a", seconds=10**9)
    for number in range(50):
        state.block(str(number), 10.0**number)
    clock.now += 10**9
    begun = time.perf_counter()
    state.admit(Claims("x", ("none",)))
    assert time.perf_counter() - begun < 0.05


@pytest.mark.parametrize("ttl", [float("inf"), 1e300, 0.0, -5.0])
def test_odd_times(ttl: float) -> None:
    state, clock = made()
    state.block("a", ttl)
    assert state.blocked(["a"]) == ({"a"} if ttl > 0 else set())
    clock.now += 5
    state.block("a", 1)
    assert state.blocked(["a"]) == {"a"}


def test_leases_that_are_given_back_take_no_room() -> None:
    held = Held()
    for number in range(10_000):
        held.take(str(number), 1000.0 + number)
        held.give(str(number))
    assert held.held == {}
    assert len(held._queue) <= 17


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 60), st.booleans()), max_size=40), st.integers(1, 5))
def test_the_wheel_gives_each_key_once_and_never_early(steps: list[tuple[int, float, bool]], most: int) -> None:
    wheel, now, due = Wheel(0.0), 0.0, {}
    for number, (ahead, pause, removed) in enumerate(steps):
        key = str(number)
        due[key] = now + ahead
        second = wheel.put(key, due[key])
        if removed:
            wheel.remove(key, second)
            del due[key]
        now += pause
        for taken in wheel.take(now, most):
            assert due.pop(taken) <= now
    assert set(wheel.take(now + 1000, 100)) == due.keys()
    assert wheel._buckets == {}


def test_a_key_of_another_kind_is_not_taken_for_it() -> None:
    shelf = Shelf(5, 0.0)
    shelf.put("a", Held(), 0.0)
    assert shelf.get("a", Held, -1.0) is not None
    from llmtrace_sdk.state._entries import Budget as Sum

    assert shelf.get("a", Sum, -1.0) is None


def test_a_forked_child_goes_on_while_the_parent_holds_the_lock() -> None:
    state, _ = made()
    with state._lock:
        ended_well = forked(lambda: state.admit(Claims("a", (), (Slots("{t}:s", 1, 5),))).granted)
    assert ended_well()


CLAIMS = (
    Rate("{t}:r", 1e6, 10**6),
    Slots("{t}:s", 100, 600.0),
    Budget("{t}:usd:daily", 0, 86400, 10, 10**12),
    Budget("{t}:usd:monthly", 0, 2592000, 10, 10**12),
    Budget("{t}:tokens:daily", 0, 86400, 10, None),
)


def test_an_admission_takes_microseconds(capsys: pytest.CaptureFixture[str]) -> None:
    state = MemoryState()
    taken = []
    for number in range(3000):
        claims = Claims(str(number), ("ip:1", "user:1"), CLAIMS)
        begun = time.perf_counter_ns()
        state.admit(claims)
        taken.append(time.perf_counter_ns() - begun)
        state.settle([Settlement(claims.call, CLAIMS, (1, 1, 1))])
    figure = median(taken) / 1000
    with capsys.disabled():
        print(f"\nadmit in memory, 2 blocks and 5 claims: {figure:.1f} us (median of {len(taken)})")
    assert figure < 100


@pytest.mark.slow
def test_a_key_takes_little_memory(capsys: pytest.CaptureFixture[str]) -> None:
    state = MemoryState()
    count = 50_000
    tracemalloc.start()
    for number in range(count):
        state.settle([Settlement("c", (Budget(f"{{t}}:{number:020}", 0, 3600, 0),), (1,))])
    size = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    with capsys.disabled():
        print(f"\na budget in memory: {size:.0f} bytes, its key included")
    assert size < 600
