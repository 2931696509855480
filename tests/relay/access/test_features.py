from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmtrace_relay.features import ELSEWHERE, FEATURES, IMMUTABLE, apply, in_force, warnings, wrong
from llmtrace_sdk.config import Settings
from llmtrace_sdk.core.limits import BudgetCap, CostCapOptions
from llmtrace_sdk.core.tiers import JudgeOptions, MLOptions
from llmtrace_sdk.errors import ConfigError

READY = Settings(judge=JudgeOptions(model="m"), ml=MLOptions(model_path="m.onnx"))


def others(name: str) -> list[Any]:
    """The values that a flag does not have by default."""
    return [value for value in FEATURES[name].choices or (True, False) if value != in_force(READY)[name]]


@pytest.mark.parametrize("name", FEATURES)
def test_every_flag_changes_its_setting_and_nothing_else(name: str) -> None:
    feature = FEATURES[name]
    for value in others(name):
        changed = apply(READY, {name: value})
        group = getattr(changed, feature.group)
        assert getattr(group, feature.key) == value
        back = replace(changed, **{feature.group: getattr(READY, feature.group)})
        assert back == READY
        assert replace(group, **{feature.key: getattr(getattr(READY, feature.group), feature.key)}) == getattr(
            READY, feature.group
        )
        assert in_force(changed) == {**in_force(READY), name: value}


def test_rate_limits_that_are_not_spoken_of_are_on_in_the_relay() -> None:
    assert READY.rate_limiting.enabled is None
    assert in_force(READY)["rate_limiting_enabled"] is True
    assert apply(READY, {"rate_limiting_enabled": False}).rate_limiting.enabled is False


def test_nothing_to_change_changes_nothing() -> None:
    assert apply(READY, {}) == READY
    assert apply(READY, dict.fromkeys(FEATURES)) == READY


def test_a_flag_that_only_another_version_knows_is_left_alone() -> None:
    assert apply(READY, {"of_the_future": 7, "shadow": True}).enforcement.shadow


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("shadow", "true", "wrong_type"),
        ("shadow", 1, "wrong_type"),
        ("enforcement_mode", True, "wrong_type"),
        ("enforcement_mode", "BLOCK", "invalid_value"),
        ("operating_point", "", "invalid_value"),
        ("analyzer_regex_enabled", True, "immutable"),
        ("over_defence", True, "unknown_feature"),
        ("nonsense", True, "unknown_feature"),
    ],
)
def test_what_cannot_be_set_is_told_why(name: str, value: object, code: str) -> None:
    found = wrong(name, value)
    assert found is not None
    assert found.code == code
    if name in FEATURES:
        with pytest.raises(ConfigError, match=name):
            apply(READY, {name: value})


@pytest.mark.parametrize("name", [*ELSEWHERE, *IMMUTABLE])
def test_flags_of_the_other_proxy_are_answered_with_what_to_do_instead(name: str) -> None:
    found = wrong(name, True)
    assert found is not None
    assert found.words.startswith(f"{name}: ")
    assert name not in FEATURES


def test_what_a_client_made_up_is_not_repeated() -> None:
    found = wrong("x" * 5000, True)
    assert found is not None
    assert "xxx" not in found.words
    assert "enforcement_mode" in found.words


@pytest.mark.parametrize(("name", "problem"), [("judge_enabled", "judge.model"), ("ml_enabled", "ml.model_path")])
def test_what_lacks_its_settings_is_refused(name: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        apply(Settings(), {name: True})
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ({"datamarking_enabled": True}, "datamarking_shadow_mode"),
        ({"boundary_defense_enabled": True, "boundary_defense_shadow_mode": True}, "boundary_defense_shadow_mode"),
        ({"action_router_enabled": True}, "action_router"),
        ({"cost_caps_enabled": True}, "cost_caps"),
        ({"enforcement_mode": "block", "shadow": True}, "shadow"),
    ],
)
def test_flags_that_do_not_do_what_one_would_think_come_with_a_warning(flags: dict[str, Any], word: str) -> None:
    assert warnings(Settings()) == []
    (warning,) = warnings(apply(Settings(), flags))
    assert word in warning


def test_flags_that_do_come_without() -> None:
    caps = CostCapOptions(default_budget_caps=(BudgetCap(window="daily", hard_limit_usd=1),))
    flags = {"enforcement_mode": "block", "cost_caps_enabled": True, "boundary_defense_enabled": True}
    flags |= {"datamarking_enabled": True, "datamarking_shadow_mode": False}
    assert warnings(apply(Settings(cost_caps=caps), flags)) == []
