from __future__ import annotations

import timeit
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.model import Finding, Severity
from llmtrace_sdk.core.policy import STRENGTH, CategoryRule, EnforcementOptions, Match, Override, Policy, Verdict

INJECTION = Finding("prompt_injection", "pi.1", Severity.HIGH, 0.9, 0, 1)
PII = Finding("pii_detected", "pii.email", Severity.MEDIUM, 0.9, 0, 1)
WEAK = Finding("prompt_injection", "pi.2", Severity.HIGH, 0.5, 0, 1)
SECRET = Finding("secret_leakage", "sl.1", Severity.CRITICAL, 0.99, 0, 1)


def rule(finding_type: str, action: Any, **more: Any) -> CategoryRule:
    return CategoryRule(finding_type=finding_type, action=action, **more)


def options(*categories: CategoryRule, **more: Any) -> EnforcementOptions:
    made = EnforcementOptions(categories=categories, **more)
    assert made.problems() == []
    return made


HIGH, MEDIUM, WORST = "prompt_injection.high", "pii_detected.medium", "secret_leakage.critical"
attacks, secrets = partial(rule, "prompt_injection"), partial(rule, "secret_leakage")

# For each: options, findings, action, shadowed, reason.
TABLE: list[tuple[EnforcementOptions, list[Finding], str, str, str]] = [
    (options(), [], "allow", "allow", ""),
    (options(), [INJECTION], "log", "allow", HIGH),
    (options(mode="block"), [INJECTION], "block", "allow", HIGH),
    (options(mode="redact"), [INJECTION], "redact", "allow", HIGH),
    (options(mode="block"), [PII], "log", "allow", MEDIUM),
    (options(mode="block"), [WEAK], "log", "allow", HIGH),
    (options(mode="block", min_confidence=0.5), [WEAK], "block", "allow", HIGH),
    (options(mode="block", min_severity="medium"), [PII], "block", "allow", MEDIUM),
    # categories
    (options(rule("pii_detected", "flag", min_severity="low")), [INJECTION, PII], "flag", "allow", MEDIUM),
    (options(attacks("log"), mode="block"), [INJECTION], "log", "allow", HIGH),
    (options(rule("pii", "block", min_severity="low")), [PII], "log", "allow", MEDIUM),
    (options(rule("pii_detected", "redact")), [PII], "log", "allow", MEDIUM),
    (options(rule("pii_detected", "redact", min_severity="info")), [PII], "redact", "allow", MEDIUM),
    (options(attacks("block", min_confidence=0.5)), [WEAK], "block", "allow", HIGH),
    (options(attacks("block", min_confidence=0)), [WEAK], "block", "allow", HIGH),
    (options(secrets("redact"), mode="flag"), [INJECTION, SECRET], "redact", "allow", WORST),
    # block beats redact beats flag beats log
    (options(secrets("redact"), mode="block"), [SECRET, INJECTION], "block", "allow", HIGH),
    (options(secrets("flag"), mode="redact"), [SECRET, INJECTION], "redact", "allow", HIGH),
    # what is allowed causes nothing, under or over its thresholds
    (options(attacks("allow"), mode="block"), [INJECTION, WEAK], "allow", "allow", ""),
    (options(attacks("allow"), mode="block"), [INJECTION, PII], "log", "allow", MEDIUM),
    (options(attacks("allow", min_severity="critical"), mode="block"), [INJECTION], "allow", "allow", ""),
    # shadow
    (options(mode="block", shadow=True), [PII, INJECTION], "log", "block", HIGH),
    (options(mode="redact", shadow=True), [INJECTION], "log", "redact", HIGH),
    (options(mode="flag", shadow=True), [INJECTION], "log", "flag", HIGH),
    (options(mode="log", shadow=True), [INJECTION], "log", "allow", HIGH),
    (options(mode="block", shadow=True), [WEAK], "log", "allow", HIGH),
    (options(attacks("allow"), mode="block", shadow=True), [INJECTION], "allow", "allow", ""),
    (options(secrets("block", shadow=True), mode="flag"), [SECRET], "log", "block", WORST),
    (options(secrets("block", shadow=True), mode="flag"), [SECRET, INJECTION], "flag", "block", HIGH),
    (options(secrets("flag", shadow=True), mode="block"), [SECRET, INJECTION], "block", "allow", HIGH),
    (options(secrets("redact", shadow=True), mode="redact"), [SECRET, INJECTION], "redact", "allow", HIGH),
    (options(secrets("block"), shadow=True), [SECRET], "log", "block", WORST),
]  # fmt: skip


@pytest.mark.parametrize(("given_options", "found", "action", "shadowed", "reason"), TABLE)
def test_decision_table(
    given_options: EnforcementOptions, found: list[Finding], action: str, shadowed: str, reason: str
) -> None:
    verdict = Policy(given_options).decide(found)
    assert (verdict.action, verdict.shadowed, verdict.reason) == (action, shadowed, reason)


@pytest.mark.parametrize(
    ("mode", "severity", "confidence", "by_category", "shadow", "by_channel"),
    list(
        product(
            ["log", "flag", "redact", "block"],
            [Severity.MEDIUM, Severity.HIGH],
            [0.5, 0.8],
            [None, "allow", "redact"],
            [False, True],
            [None, "block"],
        )
    ),
)
def test_every_combination(
    mode: Any, severity: Severity, confidence: float, by_category: Any, shadow: bool, by_channel: Any
) -> None:
    """Said once more in other words: the channel's mode beats the mode, a category beats both, shadow weakens all."""
    categories = (rule("x", by_category),) if by_category else ()
    overrides = (Override(match=Match(channel="tool"), mode=by_channel),) if by_channel else ()
    policy = Policy(options(*categories, mode=mode, shadow=shadow, overrides=overrides))
    for channel in ("user", "tool"):
        wanted = by_category or (by_channel if channel == "tool" and by_channel else mode)
        if wanted != "allow" and (severity < Severity.HIGH or confidence < 0.8):
            wanted = "log"
        hidden = shadow and wanted in ("flag", "redact", "block")
        verdict = policy.decide([Finding("x", "r", severity, confidence, 0, 1, channel=channel)])  # type: ignore[arg-type]
        assert verdict.action == ("log" if hidden else wanted)
        assert verdict.shadowed == (wanted if hidden else "allow")
        assert policy.action("x", severity, confidence, channel) == verdict.action  # type: ignore[arg-type]


def test_the_first_rule_of_a_type_wins() -> None:
    rules = (rule("prompt_injection", "flag"), rule("prompt_injection", "block", fail_mode="closed"))
    policy = Policy(options(*rules))
    assert policy.decide([INJECTION]).action == "flag"
    assert policy.on_failure("prompt_injection") is None


def test_only_the_causes_are_named_and_the_worst_gives_the_reason() -> None:
    critical = Finding("jailbreak", "jb.1", Severity.CRITICAL, 0.95, 0, 1)
    verdict = Policy(options(mode="block")).decide([PII, INJECTION, critical])
    assert verdict.findings == (INJECTION, critical)
    assert verdict.reason == "jailbreak.critical"


def test_of_equals_the_first_gives_the_reason() -> None:
    twin = Finding("jailbreak", "jb.1", Severity.HIGH, 0.9, 0, 1)
    policy = Policy(options(mode="block"))
    assert policy.decide([INJECTION, twin]).reason == "prompt_injection.high"
    assert policy.decide([twin, INJECTION]).reason == "jailbreak.high"


def test_a_dry_run_names_what_the_real_run_would() -> None:
    dry, real = (Policy(options(mode="block", shadow=shadow)).decide([PII, SECRET, INJECTION]) for shadow in (1, 0))
    assert dry == Verdict("log", real.reason, real.findings, shadowed=real.action)


@pytest.mark.parametrize(
    ("given_options", "request_", "answer"),
    [
        (options(), False, False),
        (options(mode="flag"), False, False),
        (options(mode="block"), True, True),
        (options(mode="redact"), True, True),
        (options(mode="block", shadow=True), False, False),
        (options(mode="block", monitoring_scope="input_only"), True, False),
        (options(mode="block", monitoring_scope="output_only"), True, True),
        (options(fail_mode="closed"), True, True),
        (options(fail_mode="closed", shadow=True), False, False),
        (options(fail_mode="closed", monitoring_scope="input_only"), True, False),
        (options(unscanned="flag"), False, False),
        (options(unscanned="block"), True, True),
        (options(unscanned="block", shadow=True), False, False),
        (options(rule("x", "block")), True, True),
        (options(rule("x", "redact")), True, True),
        (options(rule("x", "block", shadow=True)), False, False),
        (options(rule("x", "allow"), rule("y", "flag")), False, False),
        (options(rule("x", "log", fail_mode="closed")), True, True),
        (options(rule("x", "log", fail_mode="closed", shadow=True)), False, False),
        # a later rule of a type never applies
        (options(rule("x", "log"), rule("x", "block")), False, False),
    ],
)
def test_may_stop(given_options: EnforcementOptions, request_: bool, answer: bool) -> None:
    policy = Policy(given_options)
    assert (policy.may_stop, policy.may_stop_output) == (request_, answer)


@pytest.mark.parametrize(
    ("scope", "phases"),
    [("hybrid", ["input", "output"]), ("input_only", ["input"]), ("output_only", ["output"])],
)
def test_monitoring_scope(scope: Any, phases: list[str]) -> None:
    policy = Policy(options(monitoring_scope=scope))
    assert [phase for phase in ("input", "output") if policy.inspects(phase)] == phases  # type: ignore[arg-type]


CLOSED_X = rule("x", "log", fail_mode="closed")
OPEN_X = rule("x", "log", fail_mode="open")


@pytest.mark.parametrize(
    ("given_options", "component", "expected"),
    [
        (options(), "x", None),
        (options(), "request", None),
        (options(fail_mode="closed"), "x", Verdict("block", "x_failed", ())),
        (options(fail_mode="closed"), "request", Verdict("block", "request_failed", ())),
        (options(fail_mode="closed"), "fold", Verdict("block", "fold_failed", ())),
        (options(fail_mode="closed"), "", Verdict("block", "_failed", ())),
        (options(CLOSED_X), "x", Verdict("block", "x_failed", ())),
        (options(CLOSED_X), "y", None),
        (options(OPEN_X, fail_mode="closed"), "x", None),
        (options(OPEN_X, fail_mode="closed"), "judge", Verdict("block", "judge_failed", ())),
        (options(rule("x", "block"), fail_mode="closed"), "x", Verdict("block", "x_failed", ())),
        (options(fail_mode="closed", shadow=True), "x", Verdict("log", "x_failed", (), "block")),
        (options(replace(CLOSED_X, shadow=True)), "x", Verdict("log", "x_failed", (), "block")),
        (options(fail_mode="closed", monitoring_scope="input_only"), "request", Verdict("block", "request_failed", ())),
        (options(fail_mode="closed", monitoring_scope="input_only"), "response", None),
        (options(fail_mode="closed", monitoring_scope="output_only"), "request", None),
    ],
)
def test_failures(given_options: EnforcementOptions, component: str, expected: Verdict | None) -> None:
    assert Policy(given_options).on_failure(component) == expected


@pytest.mark.parametrize(
    ("reasons", "flag", "block"),
    [
        ([], False, False),
        (["invalid_json"], True, True),
        (["body_limit"], True, True),
        (["no_text", "text_limit"], True, True),
        (["something_new"], True, True),
        (["binary_part"], False, True),
        (["no_text"], False, False),
        (["empty_body"], False, False),
        (["out_of_scope"], False, False),
        (["unknown_endpoint"], False, False),
        (["detector_failed", "request_fault", "judge_timeout", "ml_skipped"], False, False),
    ],
)
def test_unscanned(reasons: list[str], flag: bool, block: bool) -> None:
    assert Policy(options()).on_unscanned(reasons) is None
    for action, counts in (("flag", flag), ("block", block)):
        expected = Verdict(action, "unscanned", ()) if counts else None  # type: ignore[arg-type]
        assert Policy(options(unscanned=action)).on_unscanned(reasons) == expected
    hidden = Verdict("log", "unscanned", (), "block") if block else None
    assert Policy(options(unscanned="block", shadow=True)).on_unscanned(reasons) == hidden


def test_deciding_is_quick() -> None:
    policy = Policy(options(rule("pii_detected", "flag"), rule("secret_leakage", "redact"), mode="block"))
    found = [INJECTION, PII, WEAK, SECRET, INJECTION]
    # generous: twenty times what it takes on an idle machine is still a mistake of another order
    assert min(timeit.repeat(lambda: policy.decide(found), number=200, repeat=5)) / 200 < 60e-6


TYPES = ["x", "y", "z"]
confidences = st.sampled_from([0, 0.5, 0.79, 0.8, 1])
severities = st.sampled_from([s.label for s in Severity])
rules = st.builds(
    CategoryRule,
    finding_type=st.sampled_from(TYPES),
    action=st.sampled_from(list(STRENGTH)),
    min_severity=st.none() | severities,
    min_confidence=st.none() | confidences,
    shadow=st.booleans(),
    fail_mode=st.sampled_from([None, "open", "closed"]),
)
findings = st.builds(
    Finding,
    type=st.sampled_from([*TYPES, ""]),
    rule=st.just("r"),
    severity=st.sampled_from(Severity),
    confidence=st.floats(allow_nan=True),
    start=st.just(0),
    end=st.just(1),
    channel=st.sampled_from(["user", "tool", "nonsense"]),
)
policies = st.builds(
    EnforcementOptions,
    mode=st.sampled_from(["log", "flag", "redact", "block"]),
    min_severity=severities,
    min_confidence=confidences,
    categories=st.lists(rules, max_size=4).map(tuple),
    shadow=st.booleans(),
    fail_mode=st.sampled_from(["open", "closed"]),
    unscanned=st.sampled_from(["allow", "flag", "block"]),
    monitoring_scope=st.sampled_from(["hybrid", "input_only", "output_only"]),
)


@given(policies, st.lists(findings, max_size=5), st.randoms(use_true_random=False))
def test_total_bounded_and_order_free(some: EnforcementOptions, found: list[Finding], random: Any) -> None:
    assert some.problems() == []
    policy = Policy(some)
    verdict = policy.decide(found)
    named = [r.action for r in some.categories for f in found if r.finding_type == f.type]
    assert STRENGTH[verdict.action] <= max(STRENGTH[a] for a in ("log", some.mode, *named))
    assert all(cause in found for cause in verdict.findings)
    assert (verdict.reason == "") == (verdict.action == "allow")
    assert verdict.shadowed == "allow" or STRENGTH[verdict.shadowed] > STRENGTH[verdict.action]
    if some.shadow:
        assert verdict.action in ("allow", "log")
    if not policy.may_stop:
        assert verdict.action not in ("redact", "block")
        assert all((policy.on_failure(c) or verdict).action != "block" for c in (*TYPES, "request", "fold"))
    random.shuffle(found)
    again = policy.decide(found)
    assert (again.action, again.shadowed) == (verdict.action, verdict.shadowed)
    assert sorted(map(id, again.findings)) == sorted(map(id, verdict.findings))
