"""What each key of `action_router` and `alerts` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import actions
from llmtrace_sdk.actions import _http, sources
from llmtrace_sdk.core import alerting
from llmtrace_sdk.core.claims import Offence, Standing
from llmtrace_sdk.core.model import Labels
from tests.actions.receiver import Receiver, hold, status

from .bench import ATTACK, PERSONAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.config import Settings

    from .bench import Bench, Seen

BLOCKED = "blocked_source"
ADDRESS = "203.0.113.7"
FLEET = ["10.0.0.0/8"]
SLACK = "https://hooks.slack.com/services/T/B/x"


def routed(*wanted: str, **more: Any) -> dict[str, Any]:
    """The group with these actions for every call with findings."""
    return {"action_router": {"enabled": True, "default_actions": list(wanted), **more}}


def ruled(*wanted: str, **rule: Any) -> dict[str, Any]:
    """The group with one rule alone."""
    return routed(rules=[{"actions": list(wanted), **rule}])


def told(seen: Seen) -> dict[str, str]:
    """How each action ended."""
    return {each.name: f"{each.status} {each.detail}".strip() for each in seen.record.actions}


def logs(seen: Seen) -> bool:
    return told(seen) == {"log": "success"}


def router_enabled(bench: Bench) -> None:
    for enabled in (True, False):
        assert logs(bench.call(action_router={"enabled": enabled})) is enabled


def default_actions(bench: Bench) -> None:
    assert set(told(bench.call(**routed("log", "block_session")))) == {"log", "block_session"}
    assert told(bench.call(**routed())) == {}
    with pytest.raises(llmtrace.ConfigError, match=r"default_actions: unknown action 'blok'"):
        llmtrace.configure(**routed("blok"))


def finding_type(bench: Bench) -> None:
    assert logs(bench.call(**ruled("log", finding_type="prompt_injection")))
    assert not logs(bench.call(**ruled("log", finding_type="jailbreak_of_another_kind")))


def rule_severity(bench: Bench) -> None:
    for least in ("medium", "high"):
        assert logs(bench.call(PERSONAL, **ruled("log", min_severity=least))) is (least == "medium")


def rule_confidence(bench: Bench) -> None:
    for least in (0.5, 0.99):
        rule = {"finding_type": "pii_detected", "min_severity": "low", "min_confidence": least}
        assert logs(bench.call(PERSONAL, **ruled("log", **rule))) is (least == 0.5)


def rule_actions(bench: Bench) -> None:
    assert bench.call(**ruled("log")).status == 200
    assert bench.call(**ruled("block")).status == 400


def offending(bench: Bench, kind: str, calls: int, **limits: int) -> list[Seen]:
    """Calls of one session and agent, each with an offence."""
    llmtrace.configure(**routed(f"block_{kind}", **{f"{kind}_block": limits}))
    own = f"{kind}-{limits}-{bench.folder}"
    with llmtrace.context(tenant=own, session="s", agent="a"):
        return [bench.again() for _ in range(calls)]


def max_offenses(kind: str) -> Callable[[Bench], None]:
    def effect(bench: Bench) -> None:
        for most in (1, 2):
            *before, last = offending(bench, kind, most + 1, max_offenses=most)
            assert [each.status for each in before] == [200] * most
            assert told(before[-1]) == {f"block_{kind}": "success blocked"}
            assert (last.status, last.decision.reason) == (400, BLOCKED)

    return effect


def block_ttl(kind: str) -> Callable[[Bench], None]:
    def effect(bench: Bench) -> None:
        for seconds in (600, 1200):
            last = offending(bench, kind, 2, max_offenses=1, ttl_seconds=seconds)[-1]
            assert last.decision.reason == BLOCKED
            assert seconds - 60 < int(last.headers["retry-after"]) <= seconds

    return effect


class Offended:
    """A state that keeps what it is told."""

    def __init__(self) -> None:
        self.offences: list[Offence] = []

    def offend(self, offence: Offence) -> Standing:
        self.offences.append(offence)
        return Standing(1, blocked=False)


def ip_offence(settings: Settings, source: str = ADDRESS) -> Offence | str:
    """What the action makes of a call from this address: the relay's calls have one."""
    state = Offended()
    built = actions.build(actions.Parts(router=settings.action_router, state=state))["block_ip"]
    status = built.count("call", Labels(), source)
    return state.offences[0] if state.offences else status.detail


def ip_limits(_bench: Bench) -> None:
    limits = {"max_offenses": 7, "ttl_seconds": 11}
    found = ip_offence(llmtrace.configure(**routed("block_ip", ip_block=limits)).settings)
    assert isinstance(found, Offence)
    assert (found.limit, found.ttl_s) == (7, 11.0)
    for key in limits:
        with pytest.raises(llmtrace.ConfigError, match=key):
            llmtrace.configure(**routed("block_ip", ip_block={key: 0}))


def trusted_proxies(_bench: Bench) -> None:
    for given, source in ((FLEET, ADDRESS), ([], "10.0.0.1")):
        settings = llmtrace.configure(**routed("block_ip", trusted_proxies=given)).settings
        assert sources.source_of("10.0.0.1", ADDRESS, None, settings.action_router) == source
        assert (ip_offence(settings, "10.0.0.1") == "trusted_proxy") is (given == FLEET)


def exempt_networks(_bench: Bench) -> None:
    for given in (["203.0.113.0/24"], []):
        settings = llmtrace.configure(**routed("block_ip", exempt_networks=given)).settings
        assert (ip_offence(settings) == "exempt") is bool(given)
    with pytest.raises(llmtrace.ConfigError, match="exempt_networks"):
        llmtrace.configure(**routed("block_ip", exempt_networks=["the office"]))


def hooked(receiver: Receiver, **more: Any) -> dict[str, Any]:
    return routed("webhook", webhook={"url": receiver.url, **more})


def webhook_url(bench: Bench) -> None:
    with Receiver() as receiver:
        seen = bench.call(**hooked(receiver))
        assert told(seen) == {"webhook": "success http_200"}
        (request,) = receiver.requests
        assert request.json["trace_id"] == seen.record.id
    with pytest.raises(llmtrace.ConfigError, match="webhook needs a URL"):
        llmtrace.configure(**routed("webhook"))


def webhook_timeout(bench: Bench) -> None:
    for given, least, most in ((50, 0.04, 0.6), (900, 0.8, 5.0)):
        with Receiver(hold) as receiver:
            llmtrace.configure(**hooked(receiver, timeout_ms=given, max_attempts=1))
            llmtrace.flush(10)  # the HTTP library is loaded
            seen: list[Seen] = []
            took = bench.timed(lambda seen=seen: seen.append(bench.again()))
        assert told(seen[0]) == {"webhook": "error timeout"}
        assert least < took < most


def webhook_attempts(bench: Bench) -> None:
    bench.monkeypatch.setattr(_http, "FIRST_PAUSE_S", 0.001)
    for most, ended in ((1, "error http_503"), (2, "success http_200")):
        with Receiver(status(503), status(200)) as receiver:
            seen = bench.call(**hooked(receiver, max_attempts=most))
            assert (told(seen), seen.record.actions[0].attempts) == ({"webhook": ended}, most)
            assert len(receiver.requests) == most


def webhook_secret(bench: Bench) -> None:
    with Receiver() as receiver:
        with pytest.raises(llmtrace.ConfigError, match="HOOK_KEY is not set"):
            llmtrace.configure(**hooked(receiver, secret_env="HOOK_KEY"))
        bench.call(**hooked(receiver))
        bench.monkeypatch.setenv("HOOK_KEY", "k3y")
        bench.call(**hooked(receiver, secret_env="HOOK_KEY"))
        plain, signed = receiver.requests
    assert _http.SIGNATURE not in plain.headers
    at = int(signed.headers[_http.SIGNATURE].partition(",")[0].removeprefix("t="))
    assert signed.headers[_http.SIGNATURE] == _http.signature(b"k3y", at, signed.body)


def handed_over(bench: Bench, judge: dict[str, Any], **options: Any) -> Seen:
    """A call with a finding that stops nothing by itself, and is for the judge."""
    rule = {"finding_type": "pii_detected", "min_severity": "low", "min_confidence": 0.5, "actions": ["judge_route"]}
    router = routed(rules=[rule], judge_route=options)
    llmtrace.shutdown()  # or the judge before would keep its connections until it is collected
    return bench.call(PERSONAL, enforcement={"mode": "block"}, judge=judge, **router)


def inline_await(bench: Bench) -> None:
    for inline, ended in ((True, 400), (False, 200)):
        seen = handed_over(bench, bench.judge(mode="async"), inline_await=inline, inline_timeout_ms=20_000)
        assert (seen.status, seen.decision.verdict) == (ended, "block")
        assert told(seen) == {"judge_route": "success asked"}


def inline_timeout(bench: Bench) -> None:
    with bench.silent_server() as port:
        silent = bench.judge(base_url=f"http://127.0.0.1:{port}/v1")
        seen: list[Seen] = []
        options = {"inline_await": True, "inline_timeout_ms": 300}
        took = bench.timed(lambda: seen.append(handed_over(bench, silent, **options)))
    assert told(seen[0]) == {"judge_route": "error unanswered"}
    assert 0.29 < took < 10  # of the 20 s that the judge has elsewhere
    assert seen[0].record.coverage.reasons == ("judge_timeout",)
    with pytest.raises(llmtrace.ConfigError, match=r"judge_route.inline_timeout_ms: 0 is not between"):
        handed_over(bench, silent, inline_timeout_ms=0)


def alerting_to(receiver: Receiver, **more: Any) -> dict[str, Any]:
    return {"alerts": {"enabled": True, "webhook_url": receiver.url, **more}}


def over_channel(receiver: Receiver, **more: Any) -> dict[str, Any]:
    return {"alerts": {"enabled": True, "channels": [{"type": "webhook", "url": receiver.url, **more}]}}


def as_tenant(bench: Bench, text: str = ATTACK, **settings: Any) -> str:
    """A call of a tenant of this test's own; how the alert ended."""
    with llmtrace.context(tenant=f"{sorted(settings['alerts'].items(), key=str)}-{bench.folder}"):
        return told(bench.call(text, **settings)).get("alert", "")


def alerts_enabled(bench: Bench) -> None:
    with Receiver() as receiver:
        for enabled, count in ((False, 0), (True, 1)):
            assert as_tenant(bench, **alerting_to(receiver, enabled=enabled)) == "success webhook:http_200" * enabled
            assert len(receiver.requests) == count
        assert receiver.requests[0].json["alert_type"] == "security_finding"


def alerts_url(bench: Bench) -> None:
    with Receiver() as receiver:
        assert as_tenant(bench, **alerting_to(receiver)) == "success webhook:http_200"
    (channel,) = llmtrace.configure(alerts={"enabled": True, "webhook_url": SLACK}).settings.alerts.effective()
    assert channel.type == "slack"


def alerts_severity(make: Callable[..., dict[str, Any]]) -> Callable[[Bench], None]:
    def effect(bench: Bench) -> None:
        with Receiver() as receiver:
            low = make(receiver, min_severity="medium")
            assert as_tenant(bench, PERSONAL, **low) == "success webhook:http_200"
            high = make(receiver, min_severity="high")
            assert as_tenant(bench, PERSONAL, **high) == "skipped below_threshold"

    return effect


def alerts_score(make: Callable[..., dict[str, Any]]) -> Callable[[Bench], None]:
    def effect(bench: Bench) -> None:
        with Receiver() as receiver:
            settings = make(receiver, min_severity="low", min_security_score=50)
            assert as_tenant(bench, PERSONAL, **settings) == "success webhook:http_200"
            settings = make(receiver, min_severity="low", min_security_score=100)
            assert as_tenant(bench, PERSONAL, **settings) == "skipped below_threshold"

    return effect


def cooldown(bench: Bench) -> None:
    for seconds, second in ((300, "skipped webhook:cooldown"), (0, "success webhook:http_200")):
        with Receiver() as receiver:
            settings = alerting_to(receiver, cooldown_seconds=seconds)
            assert as_tenant(bench, **settings) == "success webhook:http_200"
            assert as_tenant(bench, **settings) == second


def channels(bench: Bench) -> None:
    with Receiver() as one, Receiver() as two:
        given = [{"type": "webhook", "url": each.url} for each in (one, two)]
        settings = {"alerts": {"enabled": True, "webhook_url": "http://127.0.0.1:1/unused", "channels": given}}
        assert as_tenant(bench, **settings) == "success webhook:http_200,webhook2:http_200"
        assert len(one.requests) == len(two.requests) == 1


def channel_type(bench: Bench) -> None:
    for kind, key in (("webhook", "alert_type"), ("slack", "blocks"), ("pagerduty", "event_action")):
        with Receiver() as receiver:
            settings = over_channel(receiver, type=kind, routing_key="R" if kind == "pagerduty" else None)
            assert as_tenant(bench, **settings) == f"success {kind}:http_200"
            assert key in receiver.requests[0].json
    with pytest.raises(llmtrace.ConfigError, match="email is not offered"):
        llmtrace.configure(alerts={"enabled": True, "channels": [{"type": "email"}]})


def channel_url(bench: Bench) -> None:
    for key in ("url", "webhook_url"):
        with Receiver() as receiver:
            channel = {"type": "webhook", key: receiver.url}
            assert as_tenant(bench, alerts={"enabled": True, "channels": [channel]}) == "success webhook:http_200"
    both = {"type": "webhook", "url": SLACK, "webhook_url": SLACK}
    with pytest.raises(llmtrace.ConfigError, match="another name of url"):
        llmtrace.configure(alerts={"enabled": True, "channels": [both]})


def routing_key(bench: Bench) -> None:
    with Receiver(status(202)) as receiver:
        settings = over_channel(receiver, type="pagerduty", routing_key="R0UT1NG")
        assert as_tenant(bench, **settings) == "success pagerduty:http_202"
        assert receiver.requests[0].json["routing_key"] == "R0UT1NG"
    made = llmtrace.configure(alerts={"enabled": True, "channels": [{"type": "pagerduty", "routing_key": "R"}]})
    assert made.settings.alerts.channels[0].address == alerting.PAGERDUTY_URL
    with pytest.raises(llmtrace.ConfigError, match="integration key"):
        llmtrace.configure(alerts={"enabled": True, "channels": [{"type": "pagerduty"}]})


def escalation(bench: Bench) -> None:
    """A place for it is taken from the proxy's files; to switch it on is an error, as nobody would be told."""
    with Receiver() as receiver:
        off = alerting_to(receiver, escalation={"enabled": False, "escalate_after_seconds": 60})
        assert as_tenant(bench, **off) == "success webhook:http_200"
        with pytest.raises(llmtrace.ConfigError, match="escalating is not offered"):
            llmtrace.configure(**alerting_to(receiver, escalation={"enabled": True}))
        with pytest.raises(llmtrace.ConfigError, match="enabeld"):
            llmtrace.configure(**alerting_to(receiver, escalation={"enabeld": False}))


EFFECTS: dict[str, Callable[[Bench], None]] = {
    "action_router.enabled": router_enabled,
    "action_router.default_actions": default_actions,
    "action_router.rules": rule_actions,
    "action_router.rules[].finding_type": finding_type,
    "action_router.rules[].min_severity": rule_severity,
    "action_router.rules[].min_confidence": rule_confidence,
    "action_router.rules[].actions": rule_actions,
    "action_router.ip_block.ttl_seconds": ip_limits,
    "action_router.ip_block.max_offenses": ip_limits,
    "action_router.session_block.ttl_seconds": block_ttl("session"),
    "action_router.session_block.max_offenses": max_offenses("session"),
    "action_router.agent_block.ttl_seconds": block_ttl("agent"),
    "action_router.agent_block.max_offenses": max_offenses("agent"),
    "action_router.webhook.url": webhook_url,
    "action_router.webhook.timeout_ms": webhook_timeout,
    "action_router.webhook.max_attempts": webhook_attempts,
    "action_router.webhook.secret_env": webhook_secret,
    "action_router.judge_route.inline_await": inline_await,
    "action_router.judge_route.inline_timeout_ms": inline_timeout,
    "action_router.trusted_proxies": trusted_proxies,
    "action_router.exempt_networks": exempt_networks,
    "alerts.enabled": alerts_enabled,
    "alerts.webhook_url": alerts_url,
    "alerts.min_severity": alerts_severity(alerting_to),
    "alerts.min_security_score": alerts_score(alerting_to),
    "alerts.cooldown_seconds": cooldown,
    "alerts.channels": channels,
    "alerts.channels[].type": channel_type,
    "alerts.channels[].url": channel_url,
    "alerts.channels[].webhook_url": channel_url,
    "alerts.channels[].routing_key": routing_key,
    "alerts.channels[].min_severity": alerts_severity(over_channel),
    "alerts.channels[].min_security_score": alerts_score(over_channel),
    "alerts.escalation": escalation,
}
