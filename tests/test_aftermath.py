"""What follows a call, through real calls: blocks, refusals, webhooks and alerts; and that nobody waits for them."""

from __future__ import annotations

import gc
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import runtime, sharing
from llmtrace_sdk.actions import _http
from llmtrace_sdk.state.memory import MemoryState
from tests.actions.receiver import Receiver, hold, status
from tests.keys.actions import alerting_to, hooked, routed, ruled, told
from tests.keys.bench import ATTACK, Bench, Echo
from tests.transport.wire import URL, Wire, client, fetch
from tests.waiting import becomes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmtrace_sdk.core.model import CallRecord
    from llmtrace_sdk.fake_provider import FakeProvider

CALM = "When does the ferry leave?"
BLOCK_ONCE = {"max_offenses": 1, "ttl_seconds": 100}
SHADOW = {"shadow": True}


@pytest.fixture
def bench(provider: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(_http, "FIRST_PAUSE_S", 0.001)
    return Bench(provider, tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def _no_faults_left_behind() -> Iterator[None]:
    yield
    runtime.faults.clear()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """That of a state which all of this test shares."""
    made = Clock()
    state = MemoryState(clock=made)
    monkeypatch.setattr(sharing, "state_of", lambda *_: state)
    return made


def send(text: str = ATTACK) -> float:
    """One call, without waiting for its record; how many seconds it took."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}
    with client(httpx, "sync", Echo("fine")) as http:
        began = time.perf_counter()
        http.post(URL, json=body)
        return time.perf_counter() - began


def action_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name in ("llmtrace-actions", "llmtrace-deliveries")]


class Late:
    """An answer that does not come before `gate` is set."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        self.gate.wait(60)
        connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def late() -> Iterator[Late]:
    made = Late()
    yield made
    made.gate.set()


@pytest.mark.parametrize(("kind", "refused"), [("session", 400), ("agent", 403)])
def test_an_offender_is_blocked_until_its_time_is_over(bench: Bench, clock: Clock, kind: str, refused: int) -> None:
    limits = {"max_offenses": 2, "ttl_seconds": 100}
    policy = {"mode": "log", "block_status": refused}
    llmtrace.configure(enforcement=policy, **routed(f"block_{kind}", **{f"{kind}_block": limits}))
    with llmtrace.context(tenant="t", **{kind: "bad"}):
        for ended in ("success counted", "success blocked"):
            seen = bench.again()
            assert (seen.status, told(seen)) == (200, {f"block_{kind}": ended})
        clock.now += 60
        for _ in range(3):  # those that try do not make it last longer
            seen = bench.again(CALM)
            assert (seen.status, seen.sent) == (refused, None)
            assert (seen.decision.reason, seen.record.upstream_called) == ("blocked_source", False)
            assert seen.headers["x-should-retry"] == "false"
    with llmtrace.context(tenant="t", **{kind: "good"}):
        assert bench.again().status == 200
    with llmtrace.context(tenant="u", **{kind: "bad"}):
        assert bench.again().status == 200
    assert bench.again().status == 200
    clock.now += 41
    with llmtrace.context(tenant="t", **{kind: "bad"}):
        assert bench.again(CALM).status == 200


def test_a_call_without_a_name_offends_for_nobody(bench: Bench, clock: Clock) -> None:
    llmtrace.configure(**routed("block_session", "block_agent", "block_ip"))
    details = {"block_session": "no_session", "block_agent": "no_agent", "block_ip": "no_source"}
    assert told(bench.again()) == {name: f"skipped {detail}" for name, detail in details.items()}


def test_an_attack_that_was_refused_is_an_offence_too(bench: Bench, clock: Clock) -> None:
    llmtrace.configure(enforcement={"mode": "block"}, **routed("block_session", session_block=BLOCK_ONCE))
    with llmtrace.context(session="s"):
        assert told(bench.again()) == {"block_session": "success blocked"}
        assert bench.again(CALM).decision.reason == "blocked_source"


def test_without_its_store_a_process_blocks_by_itself(bench: Bench) -> None:
    away = {"url": "redis://127.0.0.1:1/0"}
    llmtrace.configure(state=away, **routed("block_session", session_block=BLOCK_ONCE))
    with llmtrace.context(tenant=str(bench.folder), session="s"):
        assert told(bench.again()) == {"block_session": "success blocked"}
        seen = bench.again(CALM)
    assert (seen.status, seen.decision.degraded) == (400, True)


@pytest.mark.parametrize("mode", ["log", "flag"])
def test_the_action_block_refuses_what_the_mode_lets_through(bench: Bench, mode: str) -> None:
    llmtrace.configure(enforcement={"mode": mode}, **ruled("block", "log"))
    seen = bench.again()
    assert (seen.status, seen.sent, seen.decision.action) == (400, None, "block")
    assert seen.decision.reason.startswith("prompt_injection.")
    assert told(seen) == {"log": "success"}
    calm = bench.again(CALM)
    assert (calm.status, calm.sent, calm.decision.blocked) == (200, CALM, False)


def test_it_refuses_asynchronous_calls_and_streams_as_well(bench: Bench) -> None:
    llmtrace.configure(**ruled("block"))
    for colour, stream in (("async", False), ("sync", True), ("async", True)):
        wire = Wire()
        body = {"model": "gpt-4o", "stream": stream, "messages": [{"role": "user", "content": ATTACK}]}
        response, _ = fetch(httpx, colour, wire, json=body)
        assert (response.status_code, wire.sent) == (400, [])


@pytest.mark.parametrize("policy", [SHADOW, {"overrides": [{"match": {"tenant": "t"}, "shadow": True}]}])
def test_in_shadow_mode_nothing_is_enforced_and_all_else_is_done(
    bench: Bench, clock: Clock, policy: dict[str, Any]
) -> None:
    llmtrace.configure(enforcement=policy, **routed("block", "block_session", "log", session_block=BLOCK_ONCE))
    with llmtrace.context(tenant="t", session="s"):
        for _ in range(2):
            seen = bench.again()
            assert (seen.status, seen.sent) == (200, ATTACK)
            assert (seen.decision.action, seen.decision.shadowed) == ("log", "block")
            assert told(seen) == {"block": "skipped shadow", "block_session": "skipped shadow", "log": "success"}


def test_a_finding_of_the_answer_comes_too_late_for_it(bench: Bench) -> None:
    llmtrace.configure(**ruled("block", finding_type="secret_leakage", min_severity="low", min_confidence=0))
    seen = bench.again(CALM, says="the key is AKIAIOSFODNN7EXAMQLE, use it")
    assert seen.status == 200
    assert "secret_leakage" in seen.findings
    assert told(seen) == {"block": "skipped too_late"}
    assert not seen.decision.blocked


def test_what_became_of_a_webhook_stands_in_the_record(bench: Bench) -> None:
    with Receiver(status(500), status(500), status(500), status(200)) as receiver:
        llmtrace.configure(**hooked(receiver))
        first, second = bench.again(), bench.again()
    assert [(s.record.actions[0].status, s.record.actions[0].detail) for s in (first, second)] == [
        ("error", "http_500"),
        ("success", "http_200"),
    ]
    assert [s.record.actions[0].attempts for s in (first, second)] == [3, 1]
    gone = bench.again()
    assert (told(gone), gone.record.actions[0].attempts) == ({"webhook": "error connection"}, 3)


def test_a_call_waits_for_no_receiver(bench: Bench, records: list[CallRecord]) -> None:
    with Receiver(hold) as receiver:
        llmtrace.configure(**hooked(receiver, timeout_ms=1_500, max_attempts=1))
        llmtrace.flush(10)
        began = time.monotonic()
        assert send() < 1.0
        receiver.wait()
        assert not records
        send(CALM)  # nothing follows this one, so its record does not stand behind the other
        becomes(1, lambda: len(records), 1.2)
        assert not records[0].findings
        assert llmtrace.flush(10)
        assert time.monotonic() - began < 5
    assert [(each.name, each.detail) for each in records[1].actions] == [("webhook", "timeout")]


def test_a_block_waits_for_no_receiver(bench: Bench, clock: Clock, late: Late) -> None:
    with Receiver(late) as receiver, llmtrace.context(session="s"):
        hook = {"url": receiver.url, "timeout_ms": 30_000, "max_attempts": 1}
        llmtrace.configure(**routed("webhook", "block_session", webhook=hook, session_block=BLOCK_ONCE))
        send()
        receiver.wait()
        with client(httpx, "sync", Echo("fine")) as http:
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": CALM}]}
            assert http.post(URL, json=body).status_code == 400
        late.gate.set()


def test_a_refused_call_is_alerted_to(bench: Bench, clock: Clock) -> None:
    with Receiver() as receiver:
        both = {**routed("block_session", session_block=BLOCK_ONCE), **alerting_to(receiver)}
        llmtrace.configure(enforcement={"mode": "block"}, **both)
        with llmtrace.context(session="s"):
            assert told(bench.again()) == {"block_session": "success blocked", "alert": "success webhook:http_200"}
            assert told(bench.again(CALM)) == {"alert": "success webhook:http_200"}
        kinds = [(each.json["alert_type"], each.json["reason"].partition(".")[0]) for each in receiver.requests]
    assert kinds == [("call_blocked", "prompt_injection"), ("call_blocked", "blocked_source")]


def test_spent_budgets_and_limits_are_alerted_to(bench: Bench, clock: Clock) -> None:
    cap = {"window": "monthly", "hard_limit_tokens": 1_000_000, "soft_limit_tokens": 1}
    with Receiver() as receiver:
        alerts = alerting_to(receiver)
        llmtrace.configure(cost_caps={"enabled": True, "default_budget_caps": [cap]}, **alerts)
        assert bench.again(CALM).status == 200
        rate = {"enabled": True, "requests_per_second": 0.001, "burst_size": 1}
        llmtrace.configure(rate_limiting=rate, **alerts)
        assert [bench.again(CALM).status for _ in range(2)] == [200, 429]
        told_of = [(each.json["alert_type"], each.json["types"]) for each in receiver.requests]
    assert told_of == [("budget_warning", ["tenant.monthly"]), ("limit_exceeded", ["rate_limit_exceeded"])]


def test_without_a_store_people_are_not_told_the_same_twice(bench: Bench) -> None:
    with Receiver() as receiver, llmtrace.context(tenant=str(bench.folder)):
        llmtrace.configure(state={"url": "redis://127.0.0.1:1/0"}, **alerting_to(receiver))
        assert [told(bench.again())["alert"] for _ in range(2)] == [
            "success webhook:http_200",
            "skipped webhook:cooldown",
        ]


def test_shutdown_waits_for_nobody_longer_than_it_may(bench: Bench, late: Late, records: list[CallRecord]) -> None:
    with Receiver(late) as receiver:
        llmtrace.configure(**hooked(receiver, timeout_ms=30_000, max_attempts=1))
        send()
        receiver.wait()
        began = time.monotonic()
        assert not llmtrace.shutdown(0.2)
        assert time.monotonic() - began < 3
        assert [(a.name, a.status, a.detail) for a in records[0].actions] == [("webhook", "dropped", "unfinished")]
        late.gate.set()
        becomes([], action_threads)
    assert len(records) == 1
    assert not [t for t in threading.enumerate() if t.name == "llmtrace-worker"]


def test_shutdown_ends_its_threads_and_a_later_call_starts_anew(bench: Bench) -> None:
    before = set(threading.enumerate())  # of tests that went before
    with Receiver() as receiver:
        for _ in range(2):
            assert told(bench.call(**hooked(receiver))) == {"webhook": "success http_200"}
            assert action_threads()
            assert llmtrace.shutdown()
            assert not [t for t in threading.enumerate() if t.name.startswith("llmtrace-") and t not in before]


def test_the_threads_of_settings_that_are_gone_end(bench: Bench) -> None:
    with Receiver() as receiver:
        for number in range(5):
            settings = routed("log", "webhook", webhook={"url": receiver.url, "timeout_ms": 1_000 + number})
            assert bench.call(**settings).status == 200
    llmtrace.configure()
    gc.collect()
    becomes([], action_threads)
