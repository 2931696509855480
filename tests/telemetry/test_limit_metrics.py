"""What limits, budgets, prices and actions leave in the metrics, and under which dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from msgspec import structs

from llmtrace_sdk.core.admission import Refused
from llmtrace_sdk.core.model import ActionStatus, BudgetWarning, Labels

from .rig import Rig, blocked, decided, record

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import CallRecord

OURS = ("llmtrace.action.executions", "llmtrace.limit.rejections", "llmtrace.budget.warnings")
LABELS = Labels(tenant="acme", agent="planner", user="jane", session="s-1")


def told(*records: CallRecord) -> Rig:
    rig = Rig()
    for each in records:
        rig.tell(each)
    return rig


def test_a_call_that_nothing_of_it_happened_to_leaves_nothing() -> None:
    rig = told(record(cost_source="list"), record(cost_source=""))
    assert not {*OURS, "llmtrace.cost.unknown_prices"} & set(rig.metrics())


def test_actions_are_counted_by_name_and_end() -> None:
    ends = (ActionStatus("webhook", "error", 3, "http_500"), ActionStatus("log", "success"))
    rig = told(record(actions=ends, labels=LABELS), record(actions=ends[1:]))
    counts = {(a["llmtrace.action.name"], a["llmtrace.action.status"]): n for a, n in rig.points(OURS[0])}
    assert counts == {("webhook", "error"): 1, ("log", "success"): 2}
    assert rig.metrics()[OURS[0]].unit == "{execution}"


@pytest.mark.parametrize("code", get_args(Refused))
def test_refusals_by_a_limit_are_counted_by_code(code: str) -> None:
    refused = blocked(decision=structs.replace(decided("block"), reason=code), findings=(), labels=LABELS)
    assert told(refused, refused).points(OURS[1]) == [({"llmtrace.limit.code": code}, 2)]


def test_other_blocks_and_shadows_of_limits_are_none() -> None:
    shadow = record(decision=structs.replace(decided("log", "block"), reason="rate_limit_exceeded"))
    assert told(blocked(), shadow).points(OURS[1]) == []


def test_budgets_nearly_spent_are_counted_by_scope_and_window() -> None:
    daily = BudgetWarning("tenant", "daily", 9.0, 10.0, "words")
    hourly = BudgetWarning("agent", "hourly", 9.0, 10.0, "words about planner")
    rig = told(record(warnings=(daily, hourly), labels=LABELS), record(warnings=(daily,)))
    counts = {(a["llmtrace.budget.scope"], a["llmtrace.budget.window"]): n for a, n in rig.points(OURS[2])}
    assert counts == {("tenant", "daily"): 2, ("agent", "hourly"): 1}


def test_calls_whose_price_nobody_knows_are_counted_by_vendor_and_not_by_model() -> None:
    rig = told(record(cost_source="unknown"), record(cost_source="unknown", provider="acme.ai"))
    counts = {attributes["gen_ai.provider.name"]: n for attributes, n in rig.points("llmtrace.cost.unknown_prices")}
    assert counts == {"openai": 1, "acme.ai": 1}
    assert all(len(attributes) == 1 for attributes, _ in rig.points("llmtrace.cost.unknown_prices"))


def test_a_call_without_a_span_is_counted_too() -> None:
    rig = Rig()
    rig.telemetry.deliver_unspanned(record(actions=(ActionStatus("log", "success"),)))
    assert [count for _, count in rig.points(OURS[0])] == [1]
