"""People are told once, over every channel that wants to know, and again only when nobody was told or it is worse."""

from __future__ import annotations

from typing import Any

import pytest

from llmtrace_sdk.actions import Parts, alert
from llmtrace_sdk.actions._http import Clock, Delivery
from llmtrace_sdk.actions.alert import Alert, Remembered
from llmtrace_sdk.core.alerting import AlertOptions, Channel
from llmtrace_sdk.core.model import Labels, Severity

from .receiver import OK, SECRET_TEXT, MemoryState, Receiver, finding, record, status


def quickly(url: str) -> Delivery:
    return Delivery(url, clock=Clock(sleep=lambda _seconds: None))


def channel(receiver: Receiver, kind: str = "webhook", **given: Any) -> Channel:
    return Channel(type=kind, url=receiver.url, routing_key="R0UT1NG", **given)  # type: ignore[arg-type]


def alerting(*channels: Channel, cooldown: int = 300, **more: Any) -> Alert:
    options = AlertOptions(enabled=True, channels=channels, cooldown_seconds=cooldown)
    return Alert(options, deliver=quickly, **more)


def run(alerts: Alert, /, *found: Any, **facts: Any) -> str:
    ended = alerts.run(record(*found, **facts), None)
    return f"{ended.status} {ended.detail}"


def test_every_channel_gets_its_own_form() -> None:
    with Receiver() as hook, Receiver() as slack, Receiver(status(202)) as pager:
        action = alerting(channel(hook), channel(slack, "slack"), channel(pager, "pagerduty"))
        ended = action.run(record(finding()), None)
        assert ended.detail == "webhook:http_200,slack:http_200,pagerduty:http_202"
        assert (ended.name, ended.status, ended.attempts) == ("alert", "success", 3)
        bodies = [each.requests[0].json for each in (hook, slack, pager)]
        assert bodies[0]["alert_type"] == "security_finding"
        assert bodies[1]["blocks"][0]["type"] == "header"
        assert bodies[2]["payload"]["severity"] == "error"
        for receiver in (hook, slack, pager):
            assert SECRET_TEXT.encode() not in receiver.requests[0].body
            assert b"sk-live" not in receiver.requests[0].body
        assert b"R0UT1NG" not in hook.requests[0].body + slack.requests[0].body


def test_the_same_is_told_once_while_it_cools_down() -> None:
    with Receiver() as receiver:
        action = alerting(channel(receiver))
        assert run(action, finding()) == "success webhook:http_200"
        assert run(action, finding(), finding()) == "skipped webhook:cooldown"
        assert run(action, finding(), labels=Labels(tenant="other")) == "success webhook:http_200"
        assert run(action, finding(), finding("jailbreak")) == "success webhook:http_200"
        assert run(action, finding(), action="block") == "success webhook:http_200"
        assert len(receiver.requests) == 4


def test_a_low_finding_silences_no_critical_one() -> None:
    with Receiver() as receiver:
        action = alerting(channel(receiver, min_severity="low"))
        assert run(action, finding(severity=Severity.INFO)) == "skipped below_threshold"
        assert run(action, finding(severity=Severity.LOW)) == "success webhook:http_200"
        assert run(action, finding(severity=Severity.CRITICAL)) == "success webhook:http_200"
        assert run(action, finding(severity=Severity.HIGH)) == "skipped webhook:cooldown"


def test_channels_cool_down_by_themselves() -> None:
    with Receiver() as all_of_it, Receiver() as only_bad:
        action = alerting(channel(all_of_it, min_severity="low"), channel(only_bad, min_severity="critical"))
        assert run(action, finding()) == "success webhook:http_200"
        assert run(action, finding(severity=Severity.CRITICAL)) == "success webhook:http_200,webhook2:http_200"


def test_whoever_was_not_told_is_told_the_next_time() -> None:
    with Receiver(status(500), status(500), status(500), OK) as receiver:
        action = alerting(channel(receiver))
        assert run(action, finding()) == "error webhook:http_500"
        assert run(action, finding()) == "success webhook:http_200"
        assert run(action, finding()) == "skipped webhook:cooldown"


def test_one_channel_that_fails_does_not_keep_the_others_from_hearing() -> None:
    with Receiver(status(404)) as bad, Receiver() as good:
        assert run(alerting(channel(bad), channel(good)), finding()) == "error webhook:http_404,webhook2:http_200"


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"action": "block", "reason": "unscanned"}, "call_blocked"),
        ({"action": "block", "reason": "blocked_source"}, "call_blocked"),
        ({"action": "block", "reason": "rate_limit_exceeded"}, "limit_exceeded"),
        ({"action": "block", "reason": "cost_cap_exceeded"}, "limit_exceeded"),
    ],
)
def test_calls_that_were_refused_are_told_of(facts: dict[str, Any], kind: str) -> None:
    with Receiver() as receiver:
        action = alerting(channel(receiver))
        assert action.concerns(record(**facts))
        for _ in range(3):
            run(action, **facts)
        (request,) = receiver.requests
        assert (request.json["alert_type"], request.json["reason"]) == (kind, facts["reason"])


def test_budgets_that_are_nearly_spent_are_told_of() -> None:
    with Receiver() as receiver:
        action = alerting(channel(receiver), warnings=lambda _record: ("tenant.daily",))
        assert run(action) == "success webhook:http_200"
        assert receiver.requests[0].json["types"] == ["tenant.daily"]


def test_what_is_nothing_is_not_told() -> None:
    with Receiver() as receiver:
        action = alerting(channel(receiver))
        assert not action.concerns(record())
        assert run(action) == "skipped below_threshold"
        assert receiver.requests == []


def test_without_a_cooldown_everything_is_told() -> None:
    with Receiver() as receiver:
        action = alerting(channel(receiver), cooldown=0)
        for _ in range(3):
            assert run(action, finding()) == "success webhook:http_200"


def test_a_cooldown_ends_and_its_memory_is_bounded() -> None:
    now = [0.0]
    memory = Remembered(lambda: now[0], limit=3)
    for key in "abcd":
        memory.block(key, 10)
    assert memory.blocked("abcd") == ["b", "c", "d"]
    now[0] = 9.9
    memory.block("b", 10)
    memory.block("e", 10)
    assert memory.blocked("bcde") == ["b", "d", "e"]
    now[0] = 10.0
    assert memory.blocked("bcde") == ["b", "e"]


def test_processes_with_one_state_share_cooldowns_and_names_nobody_in_it() -> None:
    state = MemoryState()
    with Receiver() as receiver:
        options = AlertOptions(enabled=True, channels=(channel(receiver),), cooldown_seconds=60)
        one, other = (alert.build(Parts(alerts=options, state=state)) for _ in range(2))
        assert run(one, finding()) == "success webhook:http_200"
        assert run(other, finding()) == "skipped webhook:cooldown"
        assert list(state.blocks.values()) == [60.0]
        assert not any("acme" in key or "prompt_injection" in key for key in state.blocks)


def test_a_state_that_fails_silences_nobody() -> None:
    class Broken(MemoryState):
        def block(self, key: str, ttl_s: float) -> None:
            raise ConnectionError

        def blocked(self, keys: Any) -> set[str]:
            raise ConnectionError

    with Receiver() as receiver:
        action = alerting(channel(receiver), cooldowns=Broken())
        for _ in range(2):
            assert run(action, finding()) == "success webhook:http_200"
