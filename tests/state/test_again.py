"""A call that asks again, settles again, settles late, or never."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from llmtrace_sdk.core.claims import Claims, Rate, Settlement, Slots
from llmtrace_sdk.state.redis import RedisState

from .test_semantics import SLOW, after, ask, budget

if TYPE_CHECKING:
    from llmtrace_sdk.core.claims import Claim
    from llmtrace_sdk.typing import State

    from .redis_server import RedisServer


def everything(tag: str) -> tuple[Claim, ...]:
    return Rate(f"{tag}:r", SLOW, 2), Slots(f"{tag}:s", 1, 60), budget(tag, 40, 100), budget(tag, 7, None, name="c")


def sums(state: State, tag: str) -> tuple[int, ...]:
    return state.spent([budget(tag, 0, None), budget(tag, 0, None, name="c")])


def test_the_first_answer_again(state: State, tag: str) -> None:
    first = ask(state, "a", *everything(tag))
    again = [ask(state, "a", *everything(tag)) for _ in range(3)]
    assert not first.again
    assert all(each.again and each.granted for each in again)
    assert {(each.remaining, each.spent) for each in (first, *again)} == {((1, 0, 60, None), (None, None, 40, 7))}
    assert sums(state, tag) == (40, 7)


def test_a_refusal_is_not_remembered(state: State, tag: str) -> None:
    slots = Slots(f"{tag}:s", 1, 60)
    ask(state, "a", slots)
    assert not ask(state, "b", slots).granted
    state.settle([Settlement("a", (slots,), ())])
    answer = ask(state, "b", slots)
    assert (answer.granted, answer.again) == (True, False)


def test_calls_of_other_tenants_are_other_calls(state: State, tag: str) -> None:
    assert not ask(state, "a", budget(tag, 1, 9)).again
    assert not ask(state, "a", budget("{other" + tag[1:], 1, 9)).again


def test_forgotten_after_a_while(state: State, tag: str) -> None:
    claims = Claims("a", (), (budget(tag, 10, 100),), 0.1)
    state.admit(claims)
    after(0.1)
    assert not state.admit(claims).again
    assert state.spent([budget(tag, 0, None)]) == (20,)


def test_what_was_taken_replaces_what_was_reserved(state: State, tag: str) -> None:
    claims = everything(tag)
    ask(state, "a", *claims)
    state.settle([Settlement("a", claims, (55, 0))])
    assert sums(state, tag) == (55, 0)
    assert ask(state, "b", Slots(f"{tag}:s", 1, 60)).granted


def test_more_than_was_reserved_goes_over_the_limit(state: State, tag: str) -> None:
    claim = budget(tag, 10, 100)
    ask(state, "a", claim)
    state.settle([Settlement("a", (claim,), (250,))])
    answer = ask(state, "b", claim)
    assert (answer.granted, answer.remaining, answer.spent) == (False, (0,), (250,))


def test_settling_twice_is_settling_once(state: State, tag: str) -> None:
    claims = everything(tag)
    ask(state, "a", *claims)
    state.settle([Settlement("a", claims, (55, 1))] * 3)
    state.settle([Settlement("a", claims, (55, 1))])
    assert sums(state, tag) == (55, 1)


def test_of_two_settlements_the_last_counts(state: State, tag: str) -> None:
    claims = everything(tag)
    ask(state, "a", *claims)
    state.settle([Settlement("a", claims, (55, 1)), Settlement("a", claims, (20, 3))])
    assert sums(state, tag) == (20, 3)


def test_undone_as_if_it_had_never_been(state: State, tag: str) -> None:
    claims = everything(tag)
    for _ in range(4):
        answer = ask(state, "a", *claims)
        assert (answer.granted, answer.again, answer.remaining) == (True, False, (1, 0, 60, None))
        state.settle([Settlement("a", claims)] * 2)
        assert sums(state, tag) == (0, 0)


def test_undoing_what_never_was_gives_nothing(state: State, tag: str) -> None:
    claims = everything(tag)
    ask(state, "a", *claims)
    state.settle([Settlement("b", claims)])
    assert sums(state, tag) == (40, 7)
    assert ask(state, "c", Rate(f"{tag}:r", SLOW, 2)).remaining == (0,)


def test_again_after_settling_takes_what_was_given_back_but_no_token(state: State, tag: str) -> None:
    claims = everything(tag)
    ask(state, "a", *claims)
    state.settle([Settlement("a", claims, (5, 1))])
    retry = ask(state, "a", *claims)
    assert (retry.granted, retry.again) == (True, True)
    assert retry.remaining == (1, 0, 55, None)
    assert retry.spent == (None, None, 45, 8)
    assert not ask(state, "b", Slots(f"{tag}:s", 1, 60)).granted
    state.settle([Settlement("a", claims, (30, 1))] * 2)
    assert sums(state, tag) == (35, 2)


def test_a_retry_may_be_refused(state: State, tag: str) -> None:
    claims = everything(tag)
    ask(state, "a", *claims)
    state.settle([Settlement("a", claims, (90, 1))])
    retry = ask(state, "a", *claims)
    assert (retry.granted, retry.refused, retry.again) == (False, 2, True)
    assert sums(state, tag) == (90, 1)


def test_undoing_a_retry_leaves_what_the_first_attempt_took(state: State, tag: str) -> None:
    claims = everything(tag)
    ask(state, "a", *claims)
    state.settle([Settlement("a", claims, (5, 1))])
    ask(state, "a", *claims)
    state.settle([Settlement("a", claims)])
    assert sums(state, tag) == (5, 1)
    assert ask(state, "b", *claims).remaining == (0, 0, 55, None)


def test_settled_late_it_adds_once(state: State, tag: str) -> None:
    claim = budget(tag, 10, 100)
    state.admit(Claims("a", (), (claim,), 0.05))
    after(0.05)
    state.settle([Settlement("a", (claim,), (30,))] * 3)
    assert state.spent([claim]) == (40,)


def test_settled_without_having_asked_it_adds_once(state: State, tag: str) -> None:
    claim = budget(tag, 10, 100)
    state.settle([Settlement("a", (claim,), (30,))] * 2)
    assert state.spent([claim]) == (30,)
    answer = ask(state, "a", claim)
    assert (answer.again, answer.spent) == (False, (40,))


def test_a_crash_leaves_the_reservation(state: State, tag: str) -> None:
    claim = budget(tag, 60, 100)
    state.admit(Claims("crashed", (), (claim,), 0.05))
    after(0.05)
    assert not ask(state, "b", claim).granted
    assert state.spent([claim]) == (60,)


def test_a_retry_needs_no_token(state: State, tag: str) -> None:
    claims = (Rate(f"{tag}:r", SLOW, 1), budget(tag, 1, 9))
    ask(state, "a", *claims)
    state.settle([Settlement("a", claims, (1,))])
    answer = ask(state, "a", *claims)
    assert (answer.granted, answer.remaining) == (True, (0, 7))


def test_a_slot_comes_back_from_a_call_that_is_forgotten(state: State, tag: str) -> None:
    slots = Slots(f"{tag}:s", 1, 600)
    state.admit(Claims("a", (), (slots,), 0.05))
    after(0.05)
    assert not ask(state, "b", slots).granted
    state.settle([Settlement("a", (slots,), ())])
    assert ask(state, "b", slots).granted


def test_where_the_sum_is_lost_what_was_taken_counts_whole(state: State, server: RedisServer, tag: str) -> None:
    claim = budget(tag, 40, 100)
    if isinstance(state, RedisState):
        state = RedisState(server.url, timeout_s=5)
    ask(state, "a", claim)
    if isinstance(state, RedisState):
        server.ask("DEL", f"llmtrace:{tag}:b:{claim.start}")
    else:
        state._shelf.drop(f"{tag}:b:{claim.start}")
    state.settle([Settlement("a", (claim,), (30,))])
    assert state.spent([claim]) == (30,)
    state.close()


@pytest.mark.parametrize("amounts", [(), (1,), (1, 2, 3)])
def test_amounts_that_do_not_match_settle_nothing(state: State, tag: str, amounts: tuple[int, ...]) -> None:
    claims = everything(tag)
    ask(state, "a", *claims)
    with pytest.raises(ValueError, match="amounts for 2 budgets"):
        state.settle([Settlement("a", claims, (1, 1)), Settlement("b", claims, amounts)])
    assert sums(state, tag) == (40, 7)


def test_a_large_batch(state: State, tag: str) -> None:
    claim = budget(tag, 2, None)
    for number in range(450):
        ask(state, str(number), claim)
    begun = time.monotonic()
    state.settle([Settlement(str(number), (claim,), (1,)) for number in range(450)])
    assert time.monotonic() - begun < 5
    assert state.spent([claim]) == (450,)
