"""Sources that offend again and again are blocked: each call counts once, and nobody is blocked by mistake."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from msgspec import structs

from llmtrace_sdk.actions import Parts, block_agent, block_ip, block_session, judge_route, log
from llmtrace_sdk.core.claims import Claims, Offence
from llmtrace_sdk.core.model import ActionStatus, Labels, Severity
from llmtrace_sdk.core.routing import BlockLimits, RouterOptions
from llmtrace_sdk.state.memory import MemoryState as RealState

from .receiver import SECRET_TEXT, MemoryState, finding, record

SOURCE = "203.0.113.7"
LABELS = Labels(session="s-1", agent="bot", tenant="acme")


def parts(**given: Any) -> Parts:
    router = RouterOptions(
        enabled=True, ip_block=BlockLimits(ttl_seconds=60, max_offenses=2), **given.pop("router", {})
    )
    return Parts(router=router, state=given.pop("state", MemoryState()), **given)


def call(number: int = 1, **facts: Any) -> Any:
    return record(finding(), finding("jailbreak"), call_id=f"call-{number}", **{"labels": LABELS, **facts})


def test_an_address_is_blocked_at_the_last_offence() -> None:
    state = MemoryState()
    action = block_ip.build(parts(state=state))
    assert action.run(call(1), SOURCE) == ActionStatus("block_ip", "success", 1, "counted")
    assert action.key(LABELS, SOURCE) not in state.blocks
    assert action.run(call(2), SOURCE) == ActionStatus("block_ip", "success", 1, "blocked")
    assert state.blocks == {action.key(LABELS, SOURCE): 60.0}
    assert action.key(LABELS, "203.0.113.8") not in state.blocks
    assert action.key(Labels(tenant="other"), SOURCE) not in state.blocks


def test_a_call_counts_once_however_often_it_is_looked_at() -> None:
    state = MemoryState()
    action = block_ip.build(parts(state=state))
    early = action.count("call-1", LABELS, SOURCE)
    assert early == ActionStatus("block_ip", "success", 1, "counted")
    for _ in range(3):
        assert action.run(call(1), SOURCE) == early
    assert len(state.offences) == 1


def test_the_calls_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmtrace_sdk.actions._block.CALLS_REMEMBERED", 10)
    state = MemoryState()
    action = block_ip.build(parts(state=state))
    for number in range(100):
        for again in (number, number, max(number - 9, 0)):
            assert action.count(str(again), LABELS, SOURCE).status == "success"
        assert len(state.offences) == number + 1
    assert len(action._counted) + len(action._counted_before) <= 20


@pytest.mark.parametrize(
    ("source", "why"),
    [(None, "no_source"), ("127.0.0.1", "trusted_proxy"), ("192.0.2.1", "exempt"), ("nonsense", "no_source")],
)
def test_who_is_not_blocked_is_said(source: str | None, why: str) -> None:
    state = MemoryState()
    action = block_ip.build(parts(state=state, router={"exempt_networks": ("192.0.2.0/24",)}))
    assert action.run(call(), source) == ActionStatus("block_ip", "skipped", 0, why)
    assert action.key(LABELS, source) is None
    assert state.offences == []


def test_sessions_and_agents_are_blocked_by_their_names_and_need_no_address() -> None:
    state = MemoryState()
    for build, name in ((block_session.build, "session"), (block_agent.build, "agent")):
        action = build(parts(state=state))
        assert action.run(call(), None) == ActionStatus(f"block_{name}", "success", 1, "counted")
        assert action.run(call(2, labels=Labels()), None) == ActionStatus(f"block_{name}", "skipped", 0, f"no_{name}")
        assert action.run(call(3, labels=Labels(**{name: ""})), None).detail == f"no_{name}"
    assert len({offence.block for offence in state.offences}) == 2
    assert {offence.limit for offence in state.offences} == {3}


def test_one_customer_cannot_walk_through_its_own_network() -> None:
    action = block_ip.build(parts())
    assert action.run(call(1), "2001:db8::1").detail == "counted"
    assert action.run(call(2), "2001:db8::ffff").detail == "blocked"


def test_whoever_is_blocked_is_not_blocked_for_longer_by_trying() -> None:
    state = MemoryState()
    blocked = call(action="block", reason="blocked_source")
    assert block_ip.build(parts(state=state)).run(blocked, SOURCE).detail == "blocked_already"
    assert state.offences == []


def test_a_store_that_fails_is_said() -> None:
    class Broken(MemoryState):
        def offend(self, offence: Offence) -> Any:
            raise ConnectionError(SECRET_TEXT)

    assert block_ip.build(parts(state=Broken())).run(call(), SOURCE).detail == "state_failed"
    assert block_ip.build(parts(state=None)).run(call(), SOURCE) == ActionStatus("block_ip", "error", 0, "no_state")


def test_no_name_stands_in_the_store_in_clear() -> None:
    state = MemoryState()
    for build in (block_ip.build, block_session.build, block_agent.build):
        build(parts(state=state, block_secret=b"hidden")).run(call(), SOURCE)
    text = str(state.offences)
    assert all(name not in text for name in (SOURCE, "s-1", "bot", "acme", "hidden"))


def test_processes_with_one_secret_agree() -> None:
    one, same, other = (block_ip.build(parts(block_secret=secret)) for secret in (b"a", b"a", b"b"))
    assert one.key(LABELS, SOURCE) == same.key(LABELS, SOURCE) != other.key(LABELS, SOURCE)


def test_the_state_of_this_package_does_it() -> None:
    now = [0.0]
    state = RealState(clock=lambda: now[0])
    action = block_ip.build(parts(state=state))
    key = action.key(LABELS, SOURCE)
    assert key is not None
    for number in range(2):
        assert state.admit(Claims(f"admitted-{number}", (key,))).granted
        action.run(call(number), SOURCE)
    refused = state.admit(Claims("third", (key,)))
    assert (refused.granted, refused.blocked) == (False, key)
    now[0] = 61.0
    assert state.admit(Claims("later", (key,))).granted


def test_the_log_has_one_line_and_quotes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "llmtrace"):
        found = record(finding(), finding("line\nline", Severity.CRITICAL), call_id="a\nb")
        assert log.build(Parts()).run(found, SOURCE) == ActionStatus("log", "success")
    (line,) = caplog.messages
    assert line == "llmtrace call other: 2 findings (other, prompt_injection), worst critical, decision flag"


@pytest.mark.parametrize("status", ["success", "error", "skipped"])
def test_what_came_of_asking_the_judge_is_told_as_the_record_has_it(status: Any) -> None:
    action = judge_route.build(Parts())
    known = ActionStatus("judge_route", status, 1, "so")
    assert action.run(structs.replace(record(finding()), actions=(known,)), None) == known
    assert action.run(record(finding()), None) == ActionStatus("judge_route", "skipped", 0, "judge_off")
