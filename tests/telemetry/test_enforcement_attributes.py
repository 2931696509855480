"""What enforcement, limits and actions leave on a span."""

from __future__ import annotations

from msgspec import structs

from llmtrace_sdk.core.model import ActionStatus, BudgetWarning
from llmtrace_sdk.telemetry import attributes, names
from tests.telemetry.rig import record


def test_a_call_that_nothing_happened_to_says_nothing_of_it() -> None:
    facts = attributes.of_call(record())
    for name in (names.USAGE_ESTIMATED, names.BUDGET_WARNINGS, names.ACTIONS, names.REDACTIONS_COUNT):
        assert facts[name] is None


def test_what_was_changed_estimated_warned_of_and_done_is_there() -> None:
    warning = BudgetWarning("tenant", "daily", 9.0, 10.0, "words that name nobody")
    made = structs.replace(
        record(),
        changes=3,
        usage_estimated=True,
        warnings=(warning,),
        actions=(ActionStatus("webhook", "error", 3, "http_500"), ActionStatus("log", "success")),
    )
    facts = attributes.of_call(made)
    assert facts[names.REDACTIONS_COUNT] == 3
    assert facts[names.USAGE_ESTIMATED] is True
    assert facts[names.BUDGET_WARNINGS] == ["tenant.daily"]
    assert facts[names.ACTIONS] == ["webhook:error", "log:success"]
