"""What can be changed while the relay runs, and what that makes of the settings. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from llmtrace_sdk.core.enforcement import Mode
from llmtrace_sdk.core.fusion import OperatingPoint
from llmtrace_sdk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmtrace_sdk.config import Settings


class Feature(NamedTuple):
    """A setting that is also a flag. `choices` are its values; none are needed for one that is true or false."""

    group: str
    key: str
    choices: tuple[str, ...] = ()


FEATURES: Final[dict[str, Feature]] = {
    "enforcement_mode": Feature("enforcement", "mode", get_args(Mode)),
    "shadow": Feature("enforcement", "shadow"),
    "rate_limiting_enabled": Feature("rate_limiting", "enabled"),
    "cost_caps_enabled": Feature("cost_caps", "enabled"),
    "boundary_defense_enabled": Feature("boundary_defense", "enabled"),
    "boundary_defense_shadow_mode": Feature("boundary_defense", "shadow_mode"),
    "datamarking_enabled": Feature("datamarking", "enabled"),
    "datamarking_shadow_mode": Feature("datamarking", "shadow_mode"),
    "action_router_enabled": Feature("action_router", "enabled"),
    "anomaly_detection_enabled": Feature("anomaly_detection", "enabled"),
    "operating_point": Feature("security_analysis", "operating_point", get_args(OperatingPoint)),
    "judge_enabled": Feature("judge", "enabled"),
    "ml_enabled": Feature("ml", "enabled"),
}

ELSEWHERE: Final = {
    "analyzer_ml_enabled": "here it is ml_enabled",
    "llm_judge_enabled": "here it is judge_enabled",
    "analyzer_injecguard_enabled": "one built-in engine finds injections; set operating_point",
    "analyzer_piguard_enabled": "one built-in engine finds injections; set operating_point",
    "analyzer_jailbreak_enabled": "one built-in engine finds injections; set operating_point",
    "over_defence": "one built-in engine finds injections; set operating_point",
    "llm_advisory_injection_enabled": "requests are never rewritten to advise a model",
}
"""Flags of LLMTrace's proxy that this relay does not have, and what to do instead."""

IMMUTABLE: Final = {
    "analyzer_regex_enabled": "the built-in engine cannot be switched off; with shadow it only writes down"
}

Flag = bool | str


class Wrong(NamedTuple):
    """Why a flag cannot be set: `unknown_feature`, `immutable`, `wrong_type` or `invalid_value`, with words."""

    code: str
    words: str


def wrong(name: str, value: Any) -> Wrong | None:
    """What is wrong with a flag and its value; None (take the configuration's) is always a value."""
    feature = FEATURES.get(name)
    if name in IMMUTABLE:
        return Wrong("immutable", f"{name}: {IMMUTABLE[name]}")
    if feature is None:
        what = f"{name}: {ELSEWHERE[name]}" if name in ELSEWHERE else "there is no such feature"
        return Wrong("unknown_feature", f"{what}; there are {', '.join(FEATURES)}")
    if value is None:
        return None
    if feature.choices:
        if not isinstance(value, str):
            return Wrong("wrong_type", f"{name}: must be a text, one of {', '.join(feature.choices)}")
        if value not in feature.choices:
            return Wrong("invalid_value", f"{name}: must be one of {', '.join(feature.choices)}")
        return None
    return None if isinstance(value, bool) else Wrong("wrong_type", f"{name}: must be true or false")


def in_force(settings: Settings) -> dict[str, Flag]:
    """All flags, as the settings have them."""
    found = {name: getattr(getattr(settings, group), key) for name, (group, key, _) in FEATURES.items()}
    # not given means yes in the relay
    return {name: True if value is None else value for name, value in found.items()}


def apply(settings: Settings, flags: Mapping[str, Any]) -> Settings:
    """The settings with flags in force. Raises `ConfigError` when they cannot be used together.

    Flags that are None and those that only another version of the relay knows change nothing.
    """
    given = {name: value for name, value in flags.items() if name in FEATURES and value is not None}
    problems = [found.words for name, value in given.items() if (found := wrong(name, value))]
    if problems:
        raise ConfigError(problems)
    for name, value in given.items():
        group, key, _ = FEATURES[name]
        settings = replace(settings, **{group: replace(getattr(settings, group), **{key: value})})
    problems = settings.problems()
    if problems:
        raise ConfigError(problems)
    return settings


def warnings(settings: Settings) -> list[str]:
    """What the flags may not do as one would think, one sentence each."""
    found = []
    for name in ("boundary_defense", "datamarking"):
        group = getattr(settings, name)
        if group.enabled and group.shadow_mode:
            found.append(f"{name}_shadow_mode is on: texts are counted, and not changed")
    router = settings.action_router
    if router.enabled and not router.rules and set(router.default_actions) <= {"log"}:
        found.append("action_router has no rules: nothing but the log follows findings")
    caps = settings.cost_caps
    if caps.enabled and not (caps.default_budget_caps or caps.default_token_cap or caps.agents):
        found.append("cost_caps has no caps: nothing is limited")
    if settings.enforcement.shadow and settings.enforcement.mode in ("redact", "block"):
        found.append("shadow is on: nothing is enforced, only said")
    return found
