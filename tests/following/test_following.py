"""What is announced lies over file and environment and under keywords; what is wrong changes nothing and is told."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import policy_sources, runtime
from tests.waiting import becomes

from .relay import Relay
from .rig import BLOCK, KEY, follower, looks_again, mode, threads

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("quick")


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_without_a_place_nothing_is_followed_and_nothing_loaded() -> None:
    script = (
        "import sys, threading, llmtrace_sdk; llmtrace_sdk.configure(enforcement={'mode': 'block'}); "
        "print([n for n in sys.modules if n.endswith(('following', 'policy_sources'))], threading.active_count())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["[]", "1"]


def test_half_a_second_is_short_enough_for_a_promise_of_one() -> None:
    script = "from llmtrace_sdk import following; print(following.INTERVAL_S)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert float(done.stdout) <= 0.5


def test_it_lies_over_environment_and_file_and_under_keywords(
    relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "llmtrace.yaml"
    file.write_text("enforcement: {mode: flag, min_severity: low, min_confidence: 0.1, block_status: 403}\n")
    monkeypatch.setenv("LLMTRACE_ENFORCEMENT_MIN_SEVERITY", "medium")
    announced = {"mode": "block", "min_severity": "critical", "min_confidence": 0.5, "fail_mode": "closed"}
    relay.announce({"enforcement": announced, "credential_guard": {"mode": "block"}})
    llmtrace.configure(file, relay=relay.url, enforcement={"min_confidence": 0.9})
    becomes(1, lambda: follower().applied)
    found = runtime.current().settings
    policy = found.enforcement
    assert (policy.mode, policy.min_severity, policy.min_confidence) == ("block", "critical", 0.9)
    assert (policy.fail_mode, policy.block_status, found.credential_guard.mode) == ("closed", 403, "block")
    relay.announce({})
    becomes(2, lambda: follower().applied)
    policy = runtime.current().settings.enforcement
    assert (policy.mode, policy.min_severity, policy.min_confidence) == ("flag", "medium", 0.9)


def test_a_mapping_has_the_place_of_a_file(relay: Relay) -> None:
    relay.announce(BLOCK)
    llmtrace.configure({"enforcement": {"mode": "flag", "min_severity": "low"}, "relay": relay.url})
    becomes("block", mode)
    assert runtime.current().settings.enforcement.min_severity == "low"


def test_the_environment_names_the_relay(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    relay.announce(BLOCK)
    monkeypatch.setenv("LLMTRACE_RELAY", relay.url)
    monkeypatch.setenv("LLMTRACE_RELAY_KEY", KEY)
    with httpx.Client() as client:
        llmtrace.instrument(client)
        becomes("block", mode)
    assert {each["X-LLMTrace-Token"] for each in relay.asked} == {KEY}


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"enforcement": {"mode": "hunter2"}}, "enforcement.mode: the value cannot be used; give one of log"),
        ({**BLOCK, "telemetry": {"otlp": "http://hunter2"}}, "telemetry: cannot be announced"),
        ({**BLOCK, "security_analysis": {"detectors": []}}, "security_analysis.detectors: cannot be announced"),
        ({**BLOCK, "action_router": {"webhook": {"url": "http://hunter2"}}}, "action_router.webhook: cannot be"),
        ({**BLOCK, "action_router": {"enabled": True, "default_actions": ["webhook"]}}, "webhook needs a URL"),
        ({**BLOCK, "action_router": {"enabled": True, "default_actions": ["hunter2"]}}, "unknown action"),
        ({"enforcement": {"categories": [{"finding_type": "prompt_injection", "action": "log", "budget_ms": 9}]}}, "9"),
        ({"enforcement": {"mod": "block"}}, "enforcement.mod: unknown key (did you mean mode?"),
        ({"enforcement": 7}, "enforcement: the value cannot be used; give a mapping"),
        ({"relay": "http://hunter2"}, "relay: cannot be announced"),
        ({"x" * 5_000: 1}, "cannot be announced"),
    ],
)
def test_what_cannot_be_used_is_refused_as_a_whole_and_told_once(
    relay: Relay, caplog: pytest.LogCaptureFixture, policy: dict[str, Any], reason: str
) -> None:
    relay.announce({"enforcement": {"mode": "flag"}})
    llmtrace.configure(relay=relay.url)
    becomes("flag", mode)
    caplog.clear()
    relay.announce(policy)
    becomes(1, lambda: follower().refused)
    looks_again(3)
    (told,) = warned(caplog)
    assert reason in told if reason != "9" else "budget_ms for (...) cannot be kept" in told
    assert "hunter2" not in told
    assert len(told) < 1_500
    assert (mode(), follower().refused, runtime.faults["policy"]) == ("flag", 1, 1)
    relay.announce(BLOCK)
    becomes("block", mode)


def _status(code: int) -> Any:
    def instead(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        request.send_header("Location", "/api/v1/policy")
        request.send_header("Content-Length", "0")
        request.end_headers()

    return instead


def _cut(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    request.close_connection = True


def _huge(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b" " * 2_000_000)
    request.close_connection = True


def _no_http(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"SSH-2.0-hunter2\r\n")
    request.close_connection = True


@pytest.mark.parametrize(
    ("instead", "reason"),
    [
        (_status(500), "HTTP 500"),
        (_status(401), "HTTP 401"),
        (_status(302), "HTTP 302"),
        (_status(404), "HTTP 404"),
        (_cut, "not JSON"),
        (_huge, "too large"),
        (_no_http, "no answer (BadStatusLine)"),
    ],
)
def test_an_answer_that_is_no_policy_leaves_the_last_good_one(
    relay: Relay, caplog: pytest.LogCaptureFixture, instead: Any, reason: str
) -> None:
    relay.announce(BLOCK)
    llmtrace.configure(relay=relay.url)
    becomes("block", mode)
    caplog.set_level(logging.INFO, "llmtrace")
    caplog.clear()
    relay.instead = instead
    becomes(True, lambda: runtime.faults["policy"] >= 3)
    (told,) = warned(caplog)
    assert reason in told
    assert "hunter2" not in told
    assert mode() == "block"
    relay.instead = None
    becomes(True, lambda: "llmtrace: policy comes from the relay again" in caplog.messages)
    relay.announce({})
    becomes("log", mode)


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        [],
        {"policy": {}},
        {"version": 1},
        {"version": True, "policy": {}},
        {"version": "9", "policy": {}},
        {"version": 9, "policy": []},
        None,
    ],
)
def test_nonsense_leaves_the_last_good_policy(relay: Relay, told: Any) -> None:
    relay.announce(BLOCK)
    llmtrace.configure(relay=relay.url)
    becomes("block", mode)
    relay.gives(told)
    becomes(True, lambda: runtime.faults["policy"] >= 2)
    assert (mode(), follower().refused) == ("block", 0)


def test_a_relay_that_goes_away_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    with Relay() as relay:
        relay.announce(BLOCK)
        llmtrace.configure(relay=relay.url)
        becomes("block", mode)
        port = relay.port
    caplog.clear()
    becomes(True, lambda: runtime.faults["policy"] >= 5)
    assert mode() == "block"
    assert len(warned(caplog)) == 1
    with Relay(port) as relay:
        relay.announce({"enforcement": {"mode": "redact"}})
        becomes("redact", mode)
        runtime.shutdown()


def test_one_connection_and_little_said_while_nothing_changes(relay: Relay) -> None:
    relay.announce(BLOCK)
    llmtrace.configure(relay=relay.url)
    looks_again(10)
    assert (relay.connections, relay.statuses.count(200), follower().applied) == (1, 1, 1)
    assert relay.statuses.count(304) >= 8


@pytest.mark.parametrize("how", ["closes", "drop"])
def test_a_connection_that_the_relay_closes_is_replaced_without_a_word(relay: Relay, how: str) -> None:
    relay.closes = how == "closes"
    llmtrace.configure(relay=relay.url)
    looks_again(3)
    if how == "drop":
        relay.drop()
    looks_again(3)
    assert relay.connections >= 2
    assert runtime.faults["policy"] == 0


def test_a_relay_that_says_nothing_holds_up_neither_calls_nor_the_end(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    relay.instead = lambda _: let_go.wait(30)  # type: ignore[assignment, return-value]
    began = time.monotonic()
    llmtrace.configure(relay=relay.url)
    becomes(1, lambda: len(relay.asked))
    assert llmtrace.shutdown()
    assert threads() == []
    assert time.monotonic() - began < policy_sources.TIMEOUT_S
    assert runtime.faults["policy"] == 0
    monkeypatch.setattr(policy_sources, "TIMEOUT_S", 0.05)
    llmtrace.configure(relay=relay.url)
    becomes(True, lambda: runtime.faults["policy"] >= 2)
    llmtrace.shutdown()
    let_go.set()


def test_a_program_ends_though_the_relay_says_nothing(relay: Relay) -> None:
    let_go = threading.Event()
    relay.instead = lambda _: let_go.wait(60)  # type: ignore[assignment, return-value]
    script = f"import llmtrace_sdk, time; llmtrace_sdk.configure(relay={relay.url!r}); time.sleep(0.5)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    let_go.set()
    assert (done.returncode, done.stderr) == (0, "")
    assert relay.asked


def test_asking_is_no_call_to_a_model(relay: Relay) -> None:
    records: list[Any] = []
    remove = llmtrace.on_record(records.append)
    llmtrace.install()
    try:
        llmtrace.configure(relay=relay.url)
        looks_again(3)
        assert llmtrace.flush(5)
    finally:
        llmtrace.uninstall()
        remove()
    assert records == []
