"""What every store does alike: in memory, on one Redis server, on a cluster of three."""

from __future__ import annotations

import time
from math import ceil, inf
from typing import TYPE_CHECKING

import pytest

from llmtrace_sdk.core.claims import Admission, Budget, Claims, Offence, Rate, Settlement, Slots, Standing

if TYPE_CHECKING:
    from llmtrace_sdk.typing import State

HOUR = 3600
SLOW = 1e-6


def this_hour() -> int:
    return int(time.time()) // HOUR * HOUR


def budget(tag: str, amount: int, limit: int | None, *, start: int | None = None, name: str = "b") -> Budget:
    return Budget(f"{tag}:{name}", this_hour() if start is None else start, HOUR, amount, limit)


def ask(state: State, call: str, *claims: Rate | Slots | Budget, blocks: tuple[str, ...] = ()) -> Admission:
    return state.admit(Claims(call, blocks, claims))


def after(seconds: float) -> None:
    """Wait until at least so many have passed."""
    time.sleep(seconds + 0.002)


class TestRate:
    def test_a_burst_is_granted_and_no_more(self, state: State, tag: str) -> None:
        rate = Rate(f"{tag}:r", SLOW, 3)
        answers = [ask(state, str(n), rate) for n in range(4)]
        assert [each.granted for each in answers] == [True, True, True, False]
        assert [each.remaining for each in answers] == [(2,), (1,), (0,), (0,)]
        assert answers[3].refused == 0
        assert answers[3].spent == (None,)

    def test_tells_exactly_when_the_next_token_is_there(self, state: State, tag: str) -> None:
        rate = Rate(f"{tag}:r", 0.01, 1)
        ask(state, "a", rate)
        wait = ask(state, "b", rate).retry_after_s
        assert 95 < wait <= 100
        assert ask(state, "c", rate).retry_after_s <= wait

    def test_refills_by_the_time_that_passed(self, state: State, tag: str) -> None:
        rate = Rate(f"{tag}:r", 10, 2)
        start = time.monotonic()
        granted = 0
        while granted < 6:
            answer = ask(state, f"{granted} {time.monotonic()}", rate)
            granted += answer.granted
            after(answer.retry_after_s)
        assert time.monotonic() - start >= 0.4

    def test_waiting_as_long_as_told_is_enough(self, state: State, tag: str) -> None:
        rate = Rate(f"{tag}:r", 20, 1)
        for number in range(3):
            ask(state, f"{number} a", rate)
            answer = ask(state, f"{number} b", rate)
            after(answer.retry_after_s)
            assert ask(state, f"{number} c", rate).granted
            after(0.05)

    @pytest.mark.parametrize("rate", [(0.0, 1), (-1.0, 1), (1e-300, 1)])
    def test_a_rate_of_nothing_has_its_burst(self, state: State, tag: str, rate: tuple[float, int]) -> None:
        claim = Rate(f"{tag}:r", *rate)
        assert ask(state, "a", claim).granted
        assert not ask(state, "b", claim).granted

    @pytest.mark.parametrize("rate", [(1.0, 0), (1.0, -5)])
    def test_no_burst_is_no_call(self, state: State, tag: str, rate: tuple[float, int]) -> None:
        assert not ask(state, "a", Rate(f"{tag}:r", *rate)).granted

    @pytest.mark.parametrize("rate", [(1e9, 10**9), (inf, 1)])
    def test_a_rate_of_everything(self, state: State, tag: str, rate: tuple[float, int]) -> None:
        assert all(ask(state, str(n), Rate(f"{tag}:r", *rate)).granted for n in range(20))


class TestSlots:
    def test_as_many_as_there_are(self, state: State, tag: str) -> None:
        slots = Slots(f"{tag}:s", 2, 60)
        answers = [ask(state, str(n), slots) for n in range(3)]
        assert [each.granted for each in answers] == [True, True, False]
        assert [each.remaining for each in answers] == [(1,), (0,), (0,)]
        assert 55 < answers[2].retry_after_s <= 60

    def test_given_back_when_settled(self, state: State, tag: str) -> None:
        slots = Slots(f"{tag}:s", 1, 60)
        for number in range(5):
            assert ask(state, str(number), slots).granted
            assert not ask(state, "other", slots).granted
            state.settle([Settlement(str(number), (slots,), ())])

    def test_free_again_when_the_lease_ends(self, state: State, tag: str) -> None:
        slots = Slots(f"{tag}:s", 1, 0.1)
        assert ask(state, "crashed", slots).granted
        answer = ask(state, "next", slots)
        assert not answer.granted
        after(answer.retry_after_s)
        assert ask(state, "next", slots).granted

    def test_each_lease_ends_by_itself(self, state: State, tag: str) -> None:
        ask(state, "a", Slots(f"{tag}:s", 2, 0.05))
        ask(state, "b", Slots(f"{tag}:s", 2, 600))
        after(0.05)
        answer = ask(state, "c", Slots(f"{tag}:s", 2, 600))
        assert (answer.granted, answer.remaining) == (True, (0,))
        assert not ask(state, "d", Slots(f"{tag}:s", 2, 600)).granted

    def test_a_lowered_limit_waits_for_enough_leases(self, state: State, tag: str) -> None:
        for number in range(3):
            ask(state, str(number), Slots(f"{tag}:s", 3, 10.0 * (number + 1)))
        answer = ask(state, "x", Slots(f"{tag}:s", 1, 10))
        assert not answer.granted
        assert 25 < answer.retry_after_s <= 30

    def test_none_at_all(self, state: State, tag: str) -> None:
        answer = ask(state, "a", Slots(f"{tag}:s", 0, 5))
        assert (answer.granted, answer.retry_after_s) == (False, 5)


class TestBudget:
    def test_what_is_reserved_counts(self, state: State, tag: str) -> None:
        answers = [ask(state, str(n), budget(tag, 40, 100)) for n in range(3)]
        assert [each.granted for each in answers] == [True, True, False]
        assert [each.spent for each in answers] == [(40,), (80,), (80,)]
        assert [each.remaining for each in answers] == [(60,), (20,), (20,)]
        assert state.spent([budget(tag, 0, None)]) == (80,)

    def test_may_be_spent_to_the_last_unit(self, state: State, tag: str) -> None:
        assert ask(state, "a", budget(tag, 100, 100)).granted
        answer = ask(state, "b", budget(tag, 0, 100))
        assert (answer.granted, answer.refused) == (False, 0)

    def test_an_amount_of_nothing_is_granted_while_any_is_left(self, state: State, tag: str) -> None:
        assert ask(state, "a", budget(tag, 99, 100)).granted
        assert ask(state, "b", budget(tag, 0, 100)).granted

    def test_of_nothing_refuses_everything(self, state: State, tag: str) -> None:
        assert not ask(state, "a", budget(tag, 0, 0)).granted
        assert not ask(state, "b", budget(tag, 0, -7)).granted

    def test_without_limit_is_only_kept(self, state: State, tag: str) -> None:
        answer = ask(state, "a", budget(tag, 10**12, None))
        assert (answer.granted, answer.remaining, answer.spent) == (True, (None,), (10**12,))

    def test_tells_the_end_of_the_period(self, state: State, tag: str) -> None:
        now = time.time()
        start = int(now) - 100
        ask(state, "a", Budget(f"{tag}:b", start, 1000, 5, 5))
        wait = ask(state, "b", Budget(f"{tag}:b", start, 1000, 5, 5)).retry_after_s
        assert 895 < wait <= start + 1000 - now

    def test_each_period_has_its_own_sum(self, state: State, tag: str) -> None:
        last, this = this_hour() - HOUR, this_hour()
        assert ask(state, "a", budget(tag, 100, 100, start=last)).granted
        assert ask(state, "b", budget(tag, 70, 100, start=this)).granted
        assert state.spent([budget(tag, 0, None, start=last), budget(tag, 0, None, start=this)]) == (100, 70)

    def test_settles_in_the_period_that_has_passed(self, state: State, tag: str) -> None:
        last = budget(tag, 100, 100, start=this_hour() - HOUR)
        ask(state, "a", last)
        state.settle([Settlement("a", (last,), (30,))])
        assert state.spent([last, budget(tag, 0, None)]) == (30, 0)

    @pytest.mark.parametrize("amount", [-5, 2**63, 10**30])
    def test_sums_neither_sink_nor_wrap(self, state: State, tag: str, amount: int) -> None:
        for number in range(3):
            assert ask(state, str(number), budget(tag, amount, None)).granted
        assert state.spent([budget(tag, 0, None)]) == (0 if amount < 0 else 2**53 - 1,)

    def test_twice_in_one_call_counts_twice(self, state: State, tag: str) -> None:
        ask(state, "a", budget(tag, 5, 100), budget(tag, 5, 100))
        assert state.spent([budget(tag, 0, None)]) == (10,)


class TestAllOrNothing:
    def test_what_refuses_last_takes_nothing_of_the_first(self, state: State, tag: str) -> None:
        rate, slots = Rate(f"{tag}:r", SLOW, 2), Slots(f"{tag}:s", 5, 60)
        answer = ask(state, "a", rate, slots, budget(tag, 10, 100), budget(tag, 11, 10, name="c"))
        assert (answer.granted, answer.refused, answer.remaining) == (False, 3, (2, 5, 100, 10))
        assert answer.spent == (None, None, 0, 0)
        fine = ask(state, "a", rate, slots, budget(tag, 10, 100), budget(tag, 10, 10, name="c"))
        assert (fine.granted, fine.remaining, fine.again) == (True, (1, 4, 90, 0), False)

    def test_the_longest_wait_is_told(self, state: State, tag: str) -> None:
        rate, slots = Rate(f"{tag}:r", 0.1, 1), Slots(f"{tag}:s", 1, 1000)
        ask(state, "a", rate, slots)
        answer = ask(state, "b", rate, slots)
        assert (answer.refused, ceil(answer.retry_after_s / 100)) == (0, 10)

    def test_nothing_asked_is_granted(self, state: State) -> None:
        assert ask(state, "a") == Admission(granted=True)
        state.settle([Settlement("a", (), ())])
        state.settle([])

    def test_keys_need_one_tag(self, state: State, tag: str) -> None:
        for claims in ((Rate("r", 1, 1),), (Rate("{}:r", 1, 1),), (Rate(f"{tag}:r", 1, 1), Slots("{other}:s", 1, 1))):
            with pytest.raises(ValueError, match="tag"):
                ask(state, "a", *claims)


class TestBlocks:
    def test_a_block_refuses_and_nothing_is_taken(self, state: State, tag: str) -> None:
        rate, mine = Rate(f"{tag}:r", SLOW, 1), f"ip:{tag}"
        state.block(mine, 60)
        answer = ask(state, "a", rate, budget(tag, 10, 10), Slots(f"{tag}:s", 1, 60), blocks=("none", mine))
        assert (answer.granted, answer.blocked, answer.refused) == (False, mine, None)
        assert 55 < answer.retry_after_s <= 60
        assert state.spent([budget(tag, 0, None)]) == (0,)
        state.unblock(mine)
        fine = ask(state, "a", rate, budget(tag, 10, 10), Slots(f"{tag}:s", 1, 60), blocks=("none", mine))
        assert (fine.granted, fine.again) == (True, False)

    def test_a_block_refuses_also_who_asks_again_but_takes_nothing_back(self, state: State, tag: str) -> None:
        mine = f"ip:{tag}"
        ask(state, "a", budget(tag, 10, 100), blocks=(mine,))
        state.block(mine, 60)
        assert ask(state, "a", budget(tag, 10, 100), blocks=(mine,)).blocked == mine
        assert state.spent([budget(tag, 0, None)]) == (10,)
        state.unblock(mine)

    def test_without_claims(self, state: State, tag: str) -> None:
        assert ask(state, "a", blocks=(f"x{tag}",)).granted
        state.block(f"x{tag}", 60)
        assert not ask(state, "a", blocks=(f"x{tag}",)).granted

    def test_ends_by_itself(self, state: State, tag: str) -> None:
        state.block(f"x{tag}", 0.1)
        assert state.blocked([f"x{tag}", f"y{tag}"]) == {f"x{tag}"}
        after(0.1)
        assert state.blocked([f"x{tag}"]) == set()
        assert state.blocked([]) == set()

    def test_offences_add_up_to_a_block(self, state: State, tag: str) -> None:
        offence = Offence(f"s{tag}", f"b{tag}", 3, 60)
        assert [state.offend(offence) for _ in range(4)] == [
            Standing(1, False),
            Standing(2, False),
            Standing(3, True),
            Standing(3, True),
        ]
        assert state.blocked([f"b{tag}"]) == {f"b{tag}"}

    def test_old_offences_do_not_count(self, state: State, tag: str) -> None:
        offence = Offence(f"s{tag}", f"b{tag}", 2, 0.1)
        state.offend(offence)
        after(0.1)
        assert state.offend(offence) == Standing(1, False)

    def test_an_offence_never_shortens_a_block(self, state: State, tag: str) -> None:
        state.block(f"b{tag}", 600)
        assert state.offend(Offence(f"s{tag}", f"b{tag}", 1, 1)).blocked
        assert ask(state, "a", blocks=(f"b{tag}",)).retry_after_s > 500
        state.block(f"b{tag}", 5)
        assert ask(state, "a", blocks=(f"b{tag}",)).retry_after_s <= 5


class TestAnnouncements:
    def test_others_see_it_at_once(self, state: State, tag: str) -> None:
        assert state.latest(tag) is None
        first = state.publish(tag, b"\x00one\xff")
        second = state.publish(tag, b"two")
        assert second > first > 0
        found = state.latest(tag)
        assert found is not None
        assert (found.version, found.value) == (second, b"two")

    def test_too_much(self, state: State, tag: str) -> None:
        with pytest.raises(ValueError, match="1048576"):
            state.publish(tag, b"x" * ((1 << 20) + 1))
