from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.model import Finding, Severity
from llmtrace_sdk.core.policy import CategoryRule, EnforcementOptions, Policy

INJECTION = Finding("prompt_injection", "pi.1", Severity.HIGH, 0.9, 0, 1)
PII = Finding("pii_detected", "pii.email", Severity.MEDIUM, 0.9, 0, 1)
WEAK = Finding("prompt_injection", "pi.2", Severity.HIGH, 0.5, 0, 1)


@pytest.mark.parametrize(
    ("options", "findings", "action", "reason"),
    [
        (EnforcementOptions(), [], "allow", ""),
        (EnforcementOptions(), [INJECTION], "log", "prompt_injection.high"),
        (EnforcementOptions(mode="block"), [INJECTION], "block", "prompt_injection.high"),
        (EnforcementOptions(mode="block"), [PII], "log", "pii_detected.medium"),
        (EnforcementOptions(mode="block"), [WEAK], "log", "prompt_injection.high"),
        (EnforcementOptions(mode="block", min_confidence=0.5), [WEAK], "block", "prompt_injection.high"),
        (EnforcementOptions(mode="block", min_severity="medium"), [PII], "block", "pii_detected.medium"),
        (
            EnforcementOptions(
                categories=(CategoryRule(finding_type="pii_detected", action="flag", min_severity="low"),)
            ),
            [INJECTION, PII],
            "flag",
            "pii_detected.medium",
        ),
        (
            EnforcementOptions(mode="block", categories=(CategoryRule(finding_type="prompt_injection", action="log"),)),
            [INJECTION],
            "log",
            "prompt_injection.high",
        ),
    ],
)
def test_decision_table(options: EnforcementOptions, findings: list[Finding], action: str, reason: str) -> None:
    verdict = Policy(options).decide(findings)
    assert (verdict.action, verdict.reason) == (action, reason)


def test_the_first_rule_of_a_type_wins() -> None:
    rules = tuple(CategoryRule(finding_type="prompt_injection", action=a) for a in ("flag", "block"))
    assert Policy(EnforcementOptions(categories=rules)).decide([INJECTION]).action == "flag"


def test_only_the_causes_are_named_and_the_worst_gives_the_reason() -> None:
    critical = Finding("jailbreak", "jb.1", Severity.CRITICAL, 0.95, 0, 1)
    verdict = Policy(EnforcementOptions(mode="block")).decide([PII, INJECTION, critical])
    assert verdict.findings == (INJECTION, critical)
    assert verdict.reason == "jailbreak.critical"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (EnforcementOptions(), False),
        (EnforcementOptions(mode="flag"), False),
        (EnforcementOptions(mode="block"), True),
        (EnforcementOptions(fail_mode="closed"), True),
        (EnforcementOptions(categories=(CategoryRule(finding_type="x", action="block"),)), True),
    ],
)
def test_may_stop(options: EnforcementOptions, expected: bool) -> None:
    assert Policy(options).may_stop is expected


findings = st.builds(
    Finding,
    type=st.sampled_from(["a", "b"]),
    rule=st.just("r"),
    severity=st.sampled_from(Severity),
    confidence=st.floats(0, 1),
    start=st.just(0),
    end=st.just(1),
)


@given(st.lists(findings, max_size=5), st.sampled_from(["log", "flag", "block"]))
def test_total_and_order_free(some: list[Finding], mode: str) -> None:
    policy = Policy(EnforcementOptions(mode=mode))  # type: ignore[arg-type]
    assert policy.decide(some).action == policy.decide(list(reversed(some))).action
