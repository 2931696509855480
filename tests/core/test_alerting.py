"""What people are alerted to, over which channel, how often, and in which words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk import detectors
from llmtrace_sdk.core.alert_payloads import payload
from llmtrace_sdk.core.alerting import (
    PAGERDUTY_URL,
    AlertOptions,
    Channel,
    Escalation,
    Occasion,
    channel_names,
    cooldown_key,
    for_channel,
    occasions,
    silencing_keys,
)
from llmtrace_sdk.core.model import Answer, Labels, Prompt, Severity
from llmtrace_sdk.core.sentences import plain, sentence
from tests.actions.receiver import SECRET_TEXT, finding, record

URL = "https://example.org/hook"
AT = "2023-11-14T22:13:20.123Z"
HOOK = Channel(type="webhook", url=URL)
PAGER = Channel(type="pagerduty", routing_key="R0UT1NG")


def alerts(**given: Any) -> AlertOptions:
    return AlertOptions(**{"enabled": True, "webhook_url": URL, **given})


def told(channel: Channel, *found: Any, **facts: Any) -> list[Occasion]:
    given = (for_channel(channel, each) for each in occasions(record(*found, **facts)))
    return [each for each in given if each is not None]


def test_the_defaults_are_those_of_the_proxy() -> None:
    found = AlertOptions()
    assert (found.enabled, found.webhook_url, found.min_severity, found.min_security_score) == (False, "", "high", 70)
    assert (found.cooldown_seconds, found.channels, found.escalation) == (300, (), None)
    assert (HOOK.min_severity, HOOK.min_security_score) == ("high", 70)
    assert found.problems() == []


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://hooks.slack.com/services/x", "slack"),
        ("https://hooks.slack-gov.com/services/x", "slack"),
        ("https://HOOKS.slack.com", "slack"),
        ("https://example.org/hooks.slack.com", "webhook"),
        ("https://hooks.slack.com.example.org/x", "webhook"),
        ("https://hooks.slack.com@example.org/x", "webhook"),
        ("https://example.org/?x=@hooks.slack.com/", "webhook"),
    ],
)
def test_the_one_webhook_is_slack_where_its_host_is(url: str, kind: str) -> None:
    (channel,) = alerts(webhook_url=url, min_severity="low", min_security_score=5).effective()
    assert (channel.type, channel.address) == (kind, url)
    assert (channel.min_severity, channel.min_security_score) == ("low", 5)


def test_channels_win_over_the_one_webhook() -> None:
    channels = (Channel(type="slack", webhook_url=URL), PAGER, Channel(type="slack", url=URL))
    found = alerts(channels=channels)
    assert found.effective() == channels
    assert [channel.address for channel in channels] == [URL, PAGERDUTY_URL, URL]
    assert channel_names(channels) == ("slack", "pagerduty", "slack2")
    assert found.problems() == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"webhook_url": ""}, "alerts.webhook_url"),
        ({"webhook_url": "example.org"}, "alerts.webhook_url"),
        ({"channels": (Channel(type="email"),)}, "alerts.channels[0].type: email is not offered"),
        ({"channels": (HOOK, Channel(type="slack"))}, "alerts.channels[1].url"),
        ({"channels": (Channel(type="pagerduty"),)}, "alerts.channels[0].routing_key"),
        ({"channels": (Channel(type="slack", url=URL, webhook_url=URL),)}, "alerts.channels[0].webhook_url"),
        ({"channels": (Channel(type="webhook", url=URL, min_security_score=101),)}, "min_security_score: 101"),
        ({"channels": (Channel(type="webhook", url=URL, min_severity="x"),)}, "min_severity: 'x'"),  # type: ignore[arg-type]
        ({"channels": (HOOK,) * 21}, "21 are more than 20"),
        ({"min_security_score": -1}, "alerts.min_security_score"),
        ({"cooldown_seconds": -1}, "alerts.cooldown_seconds"),
        ({"escalation": Escalation(enabled=True)}, "alerts.escalation: escalating is not offered"),
    ],
)
def test_what_cannot_be_used_is_said_and_only_when_it_is_switched_on(given: dict[str, Any], said: str) -> None:
    (problem,) = alerts(**given).problems()
    assert said in problem
    assert alerts(**{**given, "enabled": False}).problems() == []


def test_an_escalation_that_is_off_is_no_problem() -> None:
    assert alerts(escalation=Escalation()).problems() == alerts(escalation=None).problems() == []


def test_each_kind_of_call_is_an_occasion() -> None:
    def kinds(*found: Any, warnings: tuple[str, ...] = (), **facts: Any) -> list[str]:
        return [each.kind for each in occasions(record(*found, **facts), warnings)]

    assert kinds() == []
    assert kinds(finding()) == ["security_finding"]
    assert kinds(finding(), action="block") == ["call_blocked"]
    assert kinds(action="block", reason="unscanned") == ["call_blocked"]
    assert kinds(action="block", reason="blocked_source") == ["call_blocked"]
    for code in ("rate_limit_exceeded", "concurrency_limit_exceeded", "cost_cap_exceeded"):
        assert kinds(action="block", reason=code) == ["limit_exceeded"]
        assert kinds(finding(), action="block", reason=code) == ["limit_exceeded", "security_finding"]
    assert kinds(warnings=("tenant.daily",)) == ["budget_warning"]
    assert kinds(finding(), warnings=("tenant.daily",)) == ["security_finding", "budget_warning"]
    assert kinds(finding(), action="allow") == []


def test_refused_calls_and_limits_get_over_the_default_thresholds() -> None:
    assert told(HOOK, action="block", reason="unscanned")[0].types == ("unscanned",)
    assert told(HOOK, action="block", reason="cost_cap_exceeded")[0].types == ("cost_cap_exceeded",)
    (weak,) = told(HOOK, finding("jailbreak", Severity.LOW, 0.1), action="block")
    assert (weak.severity, weak.findings, weak.types) == (Severity.HIGH, (), ("prompt_injection.high",))
    (bad,) = told(HOOK, finding(severity=Severity.CRITICAL), action="block")
    assert (bad.severity, bad.types) == (Severity.CRITICAL, ("prompt_injection",))
    assert told(Channel(type="webhook", url=URL, min_severity="critical"), action="block", reason="unscanned") == []


def test_a_channel_hears_only_of_what_is_over_both_of_its_thresholds() -> None:
    found = (
        finding("severe", Severity.CRITICAL, 0.69),
        finding("sure", Severity.MEDIUM, 1.0),
        finding("both", Severity.HIGH, 0.7),
    )
    (heard,) = told(HOOK, *found)
    assert (heard.types, heard.severity, len(heard.findings)) == (("both",), Severity.HIGH, 1)
    assert told(HOOK, *found[:2]) == []
    everything = Channel(type="webhook", url=URL, min_severity="info", min_security_score=0)
    assert told(everything, *found)[0].types == ("both", "severe", "sure")


def test_the_worst_severity_is_the_worst_and_not_the_last_in_the_alphabet() -> None:
    everything = Channel(type="webhook", url=URL, min_severity="info", min_security_score=0)
    for worst in Severity:
        (heard,) = told(everything, *(finding(severity=each) for each in Severity if each <= worst))
        assert heard.severity is worst


def test_a_cooldown_silences_the_same_and_what_is_less_bad_and_nothing_else() -> None:
    def keys(channel: str, **facts: Any) -> tuple[str, tuple[str, ...]]:
        each = Occasion(**{"kind": "security_finding", "types": ("a", "b"), "severity": Severity.HIGH, **facts})
        return cooldown_key(channel, each, each.severity), silencing_keys(channel, each)

    start, _ = keys("slack")
    assert start in keys("slack")[1]
    assert start in keys("slack", types=("b", "a"))[1]
    assert start in keys("slack", severity=Severity.LOW)[1]
    assert start not in keys("slack", severity=Severity.CRITICAL)[1]
    assert start not in keys("slack2")[1]
    assert start not in keys("slack", types=("a",))[1]
    assert start not in keys("slack", types=("a,1:b",))[1]
    assert start not in keys("slack", kind="call_blocked")[1]


def test_the_payload_of_a_webhook() -> None:
    (heard,) = told(HOOK, finding())
    body = payload(HOOK, heard, record(finding()), AT)
    assert body["alert_type"] == "security_finding"
    assert body["trace_id"] == record().id
    assert (body["tenant_id"], body["timestamp"]) == ("acme", AT)
    assert body["findings"] == [
        {
            "severity": "High",
            "finding_type": "prompt_injection",
            "description": sentence("prompt_injection"),
            "confidence_score": 0.95,
        }
    ]


@pytest.mark.parametrize(
    ("severity", "word"), list(zip(Severity, ("info", "info", "warning", "error", "critical"), strict=True))
)
def test_the_payload_of_pagerduty(severity: Severity, word: str) -> None:
    everything = Channel(type="pagerduty", routing_key="R0UT1NG", min_severity="info", min_security_score=0)
    (heard,) = told(everything, finding(severity=severity))
    body = payload(everything, heard, record(finding()), AT)
    assert (body["routing_key"], body["event_action"]) == ("R0UT1NG", "trigger")
    assert body["dedup_key"] == f"llmtrace-{record().id}"
    inner = body["payload"]
    assert (inner["severity"], inner["source"], inner["component"]) == (word, "llmtrace-proxy", "security-analysis")
    assert (inner["group"], inner["timestamp"]) == ("acme", AT)
    assert "prompt_injection" in inner["summary"]


def test_a_budget_is_an_incident_of_its_own() -> None:
    call = record(finding())
    bodies = [payload(PAGER, o, call, AT) for e in occasions(call, ("tenant.daily",)) if (o := for_channel(PAGER, e))]
    assert len({body["dedup_key"] for body in bodies}) == 2


def test_the_payload_of_slack_has_no_markup_of_others() -> None:
    slack = Channel(type="slack", url=URL)
    call = record(*[finding("<!channel> & co")] * 30, labels=Labels(tenant="<!here>\n*x*"))
    (heard,) = [o for e in occasions(call) if (o := for_channel(slack, e))]
    body = payload(slack, heard, call, AT)
    assert [block["type"] for block in body["blocks"]] == ["header", "section", "context"]
    text = msgspec.json.encode(body).decode()
    assert "<!" not in text
    assert "&lt;!here&gt; *x*" in text
    assert "and 20 more" in text


TEXTS = st.text(max_size=300) | st.just(SECRET_TEXT) | st.just("\ud800" * 500)


@given(TEXTS, TEXTS, TEXTS, TEXTS, st.sampled_from(["webhook", "slack", "pagerduty"]))
def test_no_payload_quotes_or_breaks(kind: str, reason: str, tenant: str, model: str, channel_type: str) -> None:
    channel = Channel(type=channel_type, url=URL, routing_key="r")  # type: ignore[arg-type]
    call = record(
        finding(kind),
        reason=reason,
        labels=Labels(tenant=tenant, session=SECRET_TEXT, tags=(("k", SECRET_TEXT),)),
        prompt=Prompt(model=model),
        answer=Answer(model=model),
    )
    for each in occasions(call, (kind, reason)):
        heard = for_channel(channel, each)
        assert heard is not None
        body = msgspec.json.encode(payload(channel, heard, call, AT))
        assert b"sk-live" not in body
        assert len(body) < 20_000


def test_every_type_of_ours_has_a_sentence() -> None:
    for name in detectors.available():
        assert not sentence(name).startswith("A finding of the type"), name


@pytest.mark.parametrize("kind", ["theirs", "x" * 65, "two words", "", "line\nline"])
def test_a_type_of_others_has_a_sentence_without_surprises(kind: str) -> None:
    assert sentence(kind) == f"A finding of the type {kind if kind == 'theirs' else 'other'}."
    assert plain(kind) == (kind if kind == "theirs" else "other")
