"""What a call reserves, and what it settles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_sdk.core.claims import Admission, Admit
from llmtrace_sdk.core.limits import BudgetCap, CostCapOptions, RateOptions, ScopedCaps, TenantRate, TokenCap
from llmtrace_sdk.core.model import Labels, Prompt, Settings, Usage
from llmtrace_sdk.core.quota import Quota, Reservation
from llmtrace_sdk.state.memory import MemoryState

if TYPE_CHECKING:
    from llmtrace_sdk.core.admission import Limited

NOW = 1_700_000_000.0


def price(_provider: str, model: str | None, usage: Usage) -> float | None:
    """One dollar for a thousand tokens in, two for a thousand out."""
    return None if model == "unknown" else ((usage.input_tokens or 0) + 2 * (usage.output_tokens or 0)) / 1000


def quota(rates: RateOptions | None = None, **caps: Any) -> Quota:
    options = CostCapOptions(enabled=bool(caps), **caps)
    return Quota(rates or RateOptions(), options, rated=rates is not None, price=price)


def budget(window: str = "daily", **limits: Any) -> tuple[BudgetCap, ...]:
    return (BudgetCap(window=window, **limits),)  # type: ignore[arg-type]


def asked(made: Quota, state: MemoryState, call: str = "c", **more: Any) -> tuple[Reservation, Limited | None]:
    """Ask as a driver does."""
    labels = more.pop("labels", Labels(tenant="t"))
    prompt = Prompt(model=more.pop("model", "m"), settings=Settings(max_tokens=more.pop("max_tokens", 100)))
    reservation = made.reservation(call, "openai", labels, prompt, more.pop("size", 300), NOW, retried=False, **more)
    flow = reservation.take()
    try:
        effect = next(flow)
        assert isinstance(effect, Admit)
        flow.send(state.admit(effect.claims))
    except StopIteration as stop:
        return reservation, stop.value
    raise AssertionError("a reservation asks once")


def state() -> MemoryState:
    return MemoryState(wall=lambda: NOW)


def test_what_the_request_asks_for_is_reserved_and_what_it_took_is_settled() -> None:
    shared, made = state(), quota(default_budget_caps=budget(hard_limit_usd=1.0))
    first, limited = asked(made, shared, "c1")
    assert limited is None
    assert first.admission is not None
    assert first.admission.spent == (300_000,)  # 100 tokens in, 100 out
    settlement = first.settlement("m", Usage(50, 10), made=True)
    assert settlement is not None
    assert settlement.amounts == (70_000,)
    shared.settle([settlement])
    second, _ = asked(made, shared, "c2")
    assert second.admission is not None
    assert second.admission.spent == (370_000,)


def test_calls_that_are_under_way_count_already() -> None:
    shared, made = state(), quota(default_budget_caps=budget(hard_limit_usd=1.0))
    outcomes = [asked(made, shared, f"c{number}")[1] for number in range(4)]
    assert [limited and limited.code for limited in outcomes] == [None, None, None, "cost_cap_exceeded"]
    assert outcomes[3] is not None
    assert outcomes[3].message == "daily budget exceeded: $0.9000 / $1.00"
    assert 0 < outcomes[3].retry_after_s <= 86_400


@pytest.mark.parametrize(
    ("usage", "made", "amount"),
    [
        (Usage(10, 5), True, 20_000),
        (Usage(10, 5), False, 20_000),
        (Usage(), True, 300_000),
        (Usage(), False, 0),
        (Usage(10, None), True, 10_000),
    ],
)
def test_what_nobody_told_stands_as_it_was_reserved(usage: Usage, made: bool, amount: int) -> None:
    reservation, _ = asked(quota(default_budget_caps=budget(hard_limit_usd=1.0)), state())
    settlement = reservation.settlement("m", usage, made=made)
    assert settlement is not None
    assert settlement.amounts == (amount,)


def test_a_model_without_a_price_takes_nothing_of_a_budget_in_dollars() -> None:
    reservation, limited = asked(quota(default_budget_caps=budget(hard_limit_usd=1.0)), state(), model="unknown")
    assert limited is None
    assert reservation.admission is not None
    assert reservation.admission.spent == (0,)


def test_another_agent_does_not_escape_its_tenant() -> None:
    shared, made = state(), quota(default_budget_caps=budget(hard_limit_usd=0.5))
    assert asked(made, shared, "c1", labels=Labels(tenant="t", agent="a"))[1] is None
    limited = asked(made, shared, "c2", labels=Labels(tenant="t", agent="b"))[1]
    assert limited is not None
    assert limited.code == "cost_cap_exceeded"
    assert asked(made, shared, "c3", labels=Labels(tenant="u", agent="a"))[1] is None


def test_each_agent_that_a_pattern_matches_has_a_sum_of_its_own() -> None:
    shared = state()
    made = quota(agents=(ScopedCaps(agent_id="bot-*", budget_caps=budget(hard_limit_tokens=250)),))
    assert asked(made, shared, "c1", labels=Labels(agent="bot-1"))[1] is None
    assert asked(made, shared, "c2", labels=Labels(agent="bot-1"))[1] is not None
    assert asked(made, shared, "c3", labels=Labels(agent="bot-2"))[1] is None
    assert asked(made, shared, "c4", labels=Labels(agent="human"))[1] is None


def test_a_call_counts_once_where_several_patterns_match() -> None:
    wide, narrow = budget(hard_limit_tokens=900), budget(hard_limit_tokens=250)
    scopes = (ScopedCaps(agent_id="bot-*", budget_caps=wide), ScopedCaps(agent_id="bot-a", budget_caps=narrow))
    for caps in (scopes, scopes[::-1]):
        made, state = quota(agents=caps), MemoryState()
        labels = Labels(tenant="t", agent="bot-a")
        assert asked(made, state, "1", labels=labels)[1] is None
        refused = asked(made, state, "2", labels=labels, max_tokens=100)[1]
        assert refused is not None
        assert "/ 250 tokens" in refused.message


def test_two_caps_for_the_same_window_are_a_mistake() -> None:
    twice = (*budget(hard_limit_tokens=900), *budget(soft_limit_tokens=500))
    assert "twice" in CostCapOptions(default_budget_caps=twice).problems()[0]
    assert not CostCapOptions(default_budget_caps=(*twice[:1], *budget(hard_limit_usd=1.0))).problems()


def test_soft_limits_warn_and_let_through() -> None:
    made = quota(default_budget_caps=budget(hard_limit_usd=10.0, soft_limit_usd=0.1))
    reservation, limited = asked(made, state())
    assert limited is None
    (warning,) = reservation.warned
    assert (warning.scope, warning.window) == ("tenant", "daily")
    assert warning.message == "daily budget of tenant at 3.0%: $0.3000 / $10.00"


def test_most_of_a_hard_limit_warns_too() -> None:
    shared, made = state(), quota(default_budget_caps=budget(hard_limit_usd=1.0))
    warned = [bool(asked(made, shared, f"c{number}")[0].warned) for number in range(3)]
    assert warned == [False, False, True]


@pytest.mark.parametrize(
    ("cap", "message"),
    [
        (TokenCap(max_prompt_tokens=99), "Prompt tokens (100) exceed cap (99)"),
        (TokenCap(max_completion_tokens=99), "Completion tokens (100) exceed cap (99)"),
        (TokenCap(max_total_tokens=199), "Total tokens (200) exceed cap (199)"),
    ],
)
def test_a_call_may_be_too_large_by_itself(cap: TokenCap, message: str) -> None:
    _, limited = asked(quota(default_token_cap=cap), state())
    assert limited is not None
    assert (limited.code, limited.message, limited.retry_after_s) == ("cost_cap_exceeded", message, 0)


def test_a_rate_is_the_tenants_own_and_a_retry_is_no_other_call() -> None:
    shared = state()
    rates = RateOptions(
        enabled=True,
        requests_per_second=1,
        burst_size=1,
        tenant_overrides={"vip": TenantRate(requests_per_second=1, burst_size=2)},
    )
    made = quota(rates)
    assert asked(made, shared, "c1")[1] is None
    limited = asked(made, shared, "c2")[1]
    assert limited is not None
    assert (limited.code, limited.limit) == ("rate_limit_exceeded", 1)
    vip = Labels(tenant="vip")
    assert [asked(made, shared, f"v{n}", labels=vip)[1] is None for n in range(3)] == [True, True, False]
    retry = made.reservation("c3", "openai", Labels(tenant="t"), Prompt(), 1, NOW, retried=True)
    assert list(retry.take()) == []
    assert retry.limited is None


def test_without_a_store_a_closed_policy_refuses() -> None:
    made = quota(default_budget_caps=budget(hard_limit_usd=1.0))
    reservation = made.reservation("c", "openai", Labels(), Prompt(), 1, NOW, retried=False)
    flow = reservation.take()
    next(flow)
    with pytest.raises(StopIteration) as stop:
        flow.send(Admission(granted=False, degraded=True, retry_after_s=1.0))
    assert stop.value.value.code == "state_unavailable"
    assert reservation.settlement(None, Usage(1, 1), made=True) is None


def test_an_answer_without_a_bound_has_what_is_left() -> None:
    made = quota(default_budget_caps=budget(hard_limit_tokens=1000), default_completion_tokens=200)
    reservation, _ = asked(made, state(), max_tokens=None)
    assert reservation.allowance("m") == 900  # 100 are the prompt's
    bounded, _ = asked(made, state(), max_tokens=100)
    assert bounded.allowance("m") is None
    dollars = quota(default_budget_caps=budget(hard_limit_usd=1.0), default_completion_tokens=200)
    reservation, _ = asked(dollars, state(), max_tokens=None)
    assert reservation.allowance("m") == 450
    assert reservation.allowance("unknown") is None
