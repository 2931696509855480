"""Which actions follow which findings, what can be set, and what keys of blocks look like."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core import admission
from llmtrace_sdk.core.limits import CostCapOptions, RateOptions
from llmtrace_sdk.core.model import Finding, Labels, Severity
from llmtrace_sdk.core.routing import (
    ActionRule,
    BlockKeys,
    BlockLimits,
    RouterOptions,
    WebhookOptions,
    for_action,
    resolve,
)

HOOK = WebhookOptions(url="https://example.org/hook")
NAMES = ("block", "block_ip", "webhook", "log", "judge_route", "theirs")


def finding(kind: str = "prompt_injection", severity: Severity = Severity.HIGH, confidence: float = 0.9) -> Finding:
    return Finding(kind, "rule", severity, confidence, 0, 1)


def rule(*actions: str, **facts: object) -> ActionRule:
    return ActionRule(actions=actions, **facts)  # type: ignore[arg-type]


def options(*rules: ActionRule, **more: object) -> RouterOptions:
    given = {"enabled": True, "default_actions": (), "rules": rules, "webhook": HOOK, **more}
    return RouterOptions(**given)  # type: ignore[arg-type]


def test_the_defaults_are_those_of_the_proxy() -> None:
    found = RouterOptions()
    assert (found.enabled, found.default_actions, found.rules) == (False, ("log",), ())
    assert found.ip_block == BlockLimits(ttl_seconds=3600, max_offenses=3)
    assert (found.webhook.url, found.webhook.timeout_ms) == ("", 5000)
    assert found.trusted_proxies == ("127.0.0.0/8", "::1")
    assert found.problems() == []


def test_block_comes_first_then_what_is_defined_first_each_once() -> None:
    router = options(
        rule("webhook", "block_ip"), rule("log", "block", "webhook"), rule("never", finding_type="jailbreak")
    )
    assert resolve(router, [finding(), finding()], "flag") == ("block", "webhook", "block_ip", "log")
    assert resolve(replace(router, default_actions=("log",)), [finding()], "flag") == (
        "block",
        "log",
        "webhook",
        "block_ip",
    )


def test_default_actions_follow_any_finding_and_no_finding_nothing() -> None:
    router = options(default_actions=("log", "webhook"))
    assert resolve(router, [finding(severity=Severity.INFO, confidence=0.0)], "log") == ("log", "webhook")
    assert resolve(router, [], "log") == ()
    assert resolve(replace(router, enabled=False), [finding()], "block") == ()


def test_findings_that_the_policy_allows_cause_nothing() -> None:
    assert resolve(options(rule("block", "webhook"), default_actions=("log",)), [finding()], "allow") == ()


def test_what_is_blocked_already_is_not_blocked_again() -> None:
    assert resolve(options(rule("block", "webhook")), [finding()], "block") == ("webhook",)
    assert resolve(options(default_actions=("block",)), [finding()], "redact") == ("block",)


@pytest.mark.parametrize(
    ("facts", "holds"),
    [
        ({}, True),
        ({"finding_type": "prompt_injection"}, True),
        ({"finding_type": "Prompt_injection"}, False),
        ({"finding_type": "jailbreak"}, False),
        ({"min_severity": "high"}, True),
        ({"min_severity": "critical"}, False),
        ({"min_severity": "info"}, True),
        ({"min_confidence": 0.9}, True),
        ({"min_confidence": 0.91}, False),
    ],
)
def test_a_rule_holds_for_a_finding_that_is_over_all_it_asks_for(facts: dict[str, object], holds: bool) -> None:
    assert rule("log", **facts).holds(finding()) is holds
    assert resolve(options(rule("log", **facts)), [finding()], "log") == (("log",) if holds else ())


def test_one_finding_must_be_all_that_a_rule_asks_for() -> None:
    severe, sure = finding(severity=Severity.CRITICAL, confidence=0.1), finding(severity=Severity.LOW, confidence=1.0)
    router = options(rule("block", min_severity="critical", min_confidence=0.9))
    assert resolve(router, [severe, sure], "flag") == ()


FINDINGS = st.lists(
    st.builds(finding, st.sampled_from(["a", "b"]), st.sampled_from(list(Severity)), st.floats(0, 1)), max_size=6
)
RULES = st.lists(
    st.builds(
        ActionRule,
        finding_type=st.sampled_from([None, "a", "b"]),
        min_severity=st.sampled_from([s.label for s in Severity]),
        min_confidence=st.floats(0, 1),
        actions=st.lists(st.sampled_from(NAMES), max_size=4).map(tuple),
    ),
    max_size=4,
)


@given(FINDINGS, RULES, st.lists(st.sampled_from(NAMES), max_size=3), st.sampled_from(["log", "flag", "redact"]))
def test_resolving_does_not_depend_on_the_order_of_findings(
    findings: list[Finding], rules: list[ActionRule], default: list[str], action: str
) -> None:
    router = options(*rules, default_actions=tuple(default))
    found = resolve(router, findings, action)  # type: ignore[arg-type]
    assert found == resolve(router, findings[::-1] + findings, action)  # type: ignore[arg-type]
    assert len(set(found)) == len(found)
    assert set(found) <= set(router.names)
    assert "block" not in found[1:]
    if findings:
        assert set(default) <= set(found)


def test_what_an_action_is_for_is_told_first() -> None:
    mild, wanted, other = finding("pii_detected"), finding(), finding("jailbreak")
    router = options(rule("webhook", finding_type="prompt_injection"), rule("log"))
    assert for_action(router, "webhook", [mild, wanted, other]) == [wanted, mild, other]
    assert for_action(options(), "webhook", [mild, wanted]) == [mild, wanted]


WRONG = [
    ({"rules": (rule(),)}, "rules[0].actions"),
    ({"rules": (rule("log"), rule("log", min_confidence=1.5))}, "rules[1].min_confidence: 1.5"),
    ({"rules": (rule("log", min_severity="hihg"),)}, "info, low, medium, high, critical"),
    ({"rules": (rule("log", finding_type=""),)}, "rules[0].finding_type"),
    ({"ip_block": BlockLimits(ttl_seconds=0)}, "ip_block.ttl_seconds: 0"),
    ({"session_block": BlockLimits(max_offenses=0)}, "session_block.max_offenses: 0"),
    ({"agent_block": BlockLimits(ttl_seconds=10**12)}, "agent_block.ttl_seconds"),
    ({"webhook": WebhookOptions(url="ftp://x")}, "webhook.url"),
    ({"webhook": WebhookOptions(timeout_ms=0)}, "webhook.timeout_ms: 0"),
    ({"webhook": WebhookOptions(max_attempts=11)}, "webhook.max_attempts: 11"),
    ({"webhook": WebhookOptions(), "default_actions": ("webhook",)}, "webhook.url"),
    ({"webhook": WebhookOptions(), "rules": (rule("webhook"),)}, "webhook.url"),
]


@pytest.mark.parametrize(("given", "said"), WRONG)
def test_what_cannot_be_used_is_said_and_only_when_it_is_switched_on(given: dict[str, object], said: str) -> None:
    usable = {"default_actions": (), "webhook": HOOK}
    (problem,) = RouterOptions(enabled=True, **{**usable, **given}).problems()  # type: ignore[arg-type]
    assert said in problem
    assert problem.startswith("action_router.")
    assert RouterOptions(enabled=False, **given).problems() == []  # type: ignore[arg-type]


def test_keys_of_blocks_show_nothing_and_tell_everything_apart() -> None:
    keys = BlockKeys(b"secret")
    seen = {
        keys.block(kind, subject, tenant)  # type: ignore[arg-type]
        for kind in ("ip", "session")
        for subject in ("203.0.113.7", "203.0.113.8", "a\0b")
        for tenant in (None, "acme", "b\0a", "")
    }
    assert len(seen) == 2 * 3 * 3  # no tenant and an empty one are the same
    assert not any("203.0" in key or "acme" in key for key in seen)
    assert BlockKeys(b"other").block("ip", "203.0.113.7", None) not in seen
    assert BlockKeys(b"secret").block("ip", "203.0.113.7", None) in seen
    assert keys.block("session", "\ud800" * 3, "\udfff")  # what cannot be encoded has a key all the same


def test_the_keys_of_a_call_share_their_tag() -> None:
    keys, labels = BlockKeys(b""), Labels(tenant="acme")
    found = keys.offence("ip", "203.0.113.7", "acme", BlockLimits(ttl_seconds=60, max_offenses=2))
    ask = admission.claims_of(
        RateOptions(), CostCapOptions(), labels, None, admission.Load(1, 1, 1), "call", 0.0, rated=True
    )
    tag = ask.claims.claims[0].key.partition(":")[0]
    assert tag.startswith("{")
    assert all(key.startswith(f"{tag}:") for key in (found.source, found.block, keys.cooldown("acme", "told")))
    assert found.block == keys.block("ip", "203.0.113.7", "acme") != found.source
    assert (found.limit, found.ttl_s) == (2, 60.0)
