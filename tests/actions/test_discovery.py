"""Which actions there are, and what is said of those that cannot be made."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from llmtrace_sdk import actions
from llmtrace_sdk.actions import Parts
from llmtrace_sdk.core.alerting import AlertOptions
from llmtrace_sdk.core.model import ActionStatus
from llmtrace_sdk.core.routing import ActionRule, RouterOptions, WebhookOptions
from llmtrace_sdk.errors import ConfigError

from .receiver import finding, record

OURS = ("alert", "block", "block_agent", "block_ip", "block_session", "judge_route", "log", "webhook")
URL = "http://127.0.0.1:9/"


class Theirs:
    name = "theirs"

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def run(self, _record: Any, _source: str | None) -> ActionStatus:
        return ActionStatus(self.name, "success")


def parts(*names: str, alerts: bool = False, **given: Any) -> Parts:
    router = {"enabled": True, "default_actions": names, "webhook": WebhookOptions(url=URL), **given.pop("router", {})}
    return Parts(
        router=RouterOptions(**router),
        alerts=AlertOptions(enabled=alerts, webhook_url=URL),
        **given,
    )


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [EntryPoint("theirs", f"{__name__}:Theirs", actions.GROUP)]
    monkeypatch.setattr(actions, "entry_points", lambda group: found if group == actions.GROUP else [])


def test_each_file_is_an_action() -> None:
    assert actions.available() == OURS


def test_every_one_can_be_made_and_bears_its_name() -> None:
    built = actions.build(parts(*OURS, alerts=True))
    assert sorted(built) == sorted(set(OURS) - {"block"})
    assert all(action.name == name for name, action in built.items())


def test_only_what_is_named_is_made() -> None:
    rule = ActionRule(actions=("block", "webhook"))
    assert list(actions.build(parts("log", router={"rules": (rule,)}))) == ["log", "webhook"]
    assert list(actions.build(parts("log", router={"enabled": False}, alerts=True))) == ["alert"]
    assert actions.build(Parts()) == {}


@pytest.mark.usefixtures("theirs")
def test_a_third_party_adds_its_own() -> None:
    made = actions.build(parts("theirs"))["theirs"]
    assert made.run(record(finding()), None).status == "success"
    assert "theirs" in actions.available()


def test_a_name_that_is_taken_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("webhook", "block"):
        taken = EntryPoint(name, "somewhere:Theirs", actions.GROUP)
        monkeypatch.setattr(actions, "entry_points", lambda group, taken=taken: [taken])
        with pytest.raises(ConfigError, match=f"'{name}' is registered twice, once more by somewhere:Theirs"):
            actions.build(parts("log"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (parts("blok"), f"action_router.default_actions: unknown action 'blok' (known: {', '.join(OURS)})"),
        (parts(router={"rules": (ActionRule(actions=("x",)),)}), "action_router.rules[0].actions: unknown action 'x'"),
        (parts("dispatch"), "unknown action 'dispatch'"),
        (parts(router={"trusted_proxies": ("10.0.0.1/8",)}), "action_router.trusted_proxies: '10.0.0.1/8'"),
        (parts(router={"exempt_networks": ("x",)}), "action_router.exempt_networks: 'x' is no network"),
        (parts("alert"), "nobody to tell; set alerts.enabled"),
        (
            parts("webhook", router={"webhook": WebhookOptions(url=URL, secret_env="HOOK_KEY")}),
            "action_router.webhook.secret_env: the environment variable HOOK_KEY is not set",
        ),
    ],
)
def test_what_cannot_be_made_is_said(given: Parts, said: str) -> None:
    (problem,) = actions.problems(given)
    assert said in problem
    with pytest.raises(ConfigError, match=re.escape(said)):
        actions.build(given)


def test_what_follows_a_call() -> None:
    given = parts("log", "alert", alerts=True, router={"rules": (ActionRule(actions=("block", "webhook")),)})
    built = actions.build(given)
    assert actions.following(record(finding()), given.router, built) == ("block", "log", "alert", "webhook")
    assert actions.following(record(finding(), action="block"), RouterOptions(), built) == ("alert",)
    assert actions.following(record(action="block", reason="cost_cap_exceeded"), given.router, built) == ("alert",)
    assert actions.following(record(), given.router, built) == ()
    assert actions.following(record(finding()), given.router, {}) == ("block", "log", "alert", "webhook")


def test_what_is_switched_off_is_not_checked() -> None:
    off = parts("nonsense", router={"enabled": False, "trusted_proxies": ("x",)})
    assert actions.problems(off) == []


def test_without_an_http_library_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "find_spec", lambda _name: None)
    assert actions.problems(parts("log")) == []
    for given in (parts("webhook"), parts("log", alerts=True)):
        assert "pip install httpx" in actions.problems(given)[0]
