"""What may be announced, and where; what a process without its store does about it."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import belongings, runtime, sharing
from llmtrace_sdk.config import announced, keys
from llmtrace_sdk.following import announce, announcement
from llmtrace_sdk.policy_sources import FromState, NotHeard
from llmtrace_sdk.state.memory import MemoryState
from llmtrace_sdk.state.redis import RedisState
from tests.waiting import becomes

from .rig import BLOCK, mode

if TYPE_CHECKING:
    from tests.state.redis_server import RedisServer

pytestmark = pytest.mark.usefixtures("quick")
LEADS_OUT = {"url", "path", "file", "env", "host", "key", "secret", "database", "addr", "cert", "model"}


def test_no_key_that_leads_out_of_a_process_may_be_announced() -> None:
    for key in keys.everything():
        if not announced.may_be_announced(key.name):
            continue
        about_calls = ".match." in key.name or ".agents[]" in key.name
        assert about_calls or LEADS_OUT.isdisjoint(key.path[-1].split("_")), key
        assert key.path[0] not in {"state", "telemetry", "storage", "auth", "ml", "judge", "alerts", "relay"}


def test_everything_that_decides_about_calls_may_be() -> None:
    allowed = {key.path[0] for key in keys.everything() if announced.may_be_announced(key.name)}
    assert allowed == {
        *("enforcement", "security_analysis", "boundary_defense", "datamarking", "credential_guard"),
        *("anomaly_detection", "action_router", "rate_limiting", "cost_caps"),
    }
    names = {key.name for key in keys.leaves()}
    for each in announced.MAY_BE_ANNOUNCED:
        assert any(name == each or name.startswith(f"{each}.") for name in names), each


def test_versions_grow_and_the_latest_is_what_counts() -> None:
    state = MemoryState()
    assert announcement(state) is None
    versions = [announce(state, policy) for policy in (BLOCK, {}, {"cost_caps": {"enabled": True}})]
    assert versions == sorted(set(versions))
    found = announcement(state)
    assert found is not None
    assert (found.version, dict(found.tree)) == (versions[-1], {"cost_caps": {"enabled": True}})
    state.publish("policy", b"hunter2")
    with pytest.raises(NotHeard, match="it is not JSON"):
        announcement(state)


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ({"enforcement": {"mode": "blok"}}, "'blok' cannot be used; give one of log, flag, redact, block"),
        ({"telemetry": {}}, "telemetry: cannot be announced"),
        ({"action_router": {"enabled": True, "default_actions": ["blok"]}}, "unknown action 'blok'"),
        ({"action_router": {"enabled": True, "exempt_networks": ["x"]}}, "'x' is no network"),
        ({"cost_caps": {"agents": [{}]}}, "give exactly one of agent_id"),
        ({"enforcement": {"min_confidence": 5}}, "min_confidence 5"),
        ({"rate_limiting": {"tenant_overrides": {"t": {"burst_size": 1}}}}, "is missing and must be given"),
        ({"enforcement": {"overrides": [{"match": {"tenant": "x" * (1 << 20)}, "mode": "log"}]}}, "1048576 bytes"),
    ],
)
def test_what_cannot_be_used_anywhere_is_not_announced(policy: dict[str, Any], problem: str) -> None:
    state = MemoryState()
    with pytest.raises(llmtrace.ConfigError) as raised:
        announce(state, policy)
    assert problem in str(raised.value)
    assert state.latest("policy") is None


def test_what_only_some_processes_can_use_may_be_announced() -> None:
    """They have a URL for the webhook, or somebody to alert; others refuse it."""
    policy = {"action_router": {"enabled": True, "default_actions": ["webhook", "alert", "judge_route"]}}
    assert announce(MemoryState(), policy)


def test_the_state_of_a_process_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    state = MemoryState()
    monkeypatch.setattr(sharing, "state_of", lambda *_: state)
    llmtrace.configure(state={"url": "redis://127.0.0.1:1/0"})
    announce(state, BLOCK)
    becomes("block", mode)
    state.publish("policy", b'{"policy": 7}')
    becomes(True, lambda: runtime.faults["policy"] > 0)
    assert mode() == "block"
    announce(state, {})
    becomes("log", mode)


def test_those_who_run_a_process_may_switch_its_tiers() -> None:
    tree = {"judge": {"enabled": False}}
    state = MemoryState()
    state.publish("policy", json.dumps({"policy": tree}).encode())
    belongings.follow(FromState(state))
    try:
        llmtrace.configure()
        becomes(1, lambda: runtime.attending.follower is not None and runtime.attending.follower.applied)
    finally:
        belongings.follow(None)
    with pytest.raises(llmtrace.ConfigError, match=r"judge: cannot be announced"):
        announce(state, tree)


def test_with_a_relay_the_state_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    state = MemoryState()
    announce(state, BLOCK)
    monkeypatch.setattr(sharing, "state_of", lambda *_: state)
    llmtrace.configure(state={"url": "redis://127.0.0.1:1/0"}, relay="http://127.0.0.1:1")
    becomes(True, lambda: runtime.faults["policy"] >= 3)
    assert mode() == "log"


def test_redis_goes_and_comes_back(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    state = RedisState(server.url, timeout_s=5)
    announce(state, BLOCK)
    caplog.set_level(logging.INFO, "llmtrace")
    llmtrace.configure(state={"url": server.url})
    becomes("block", mode)
    server.kill()
    becomes(True, lambda: runtime.faults["policy"] >= 8)
    server.start()
    becomes(True, lambda: "llmtrace: policy comes from the shared state again" in caplog.messages)
    assert mode() == "block"  # though this Redis has forgotten it
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert warnings == ["llmtrace: no policy from the shared state: connection; the last good one stays in force"]
    announce(state, {"enforcement": {"mode": "flag"}})
    becomes("flag", mode)
    state.close()


def test_shutdown_ends_it_and_configure_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    state = MemoryState()
    monkeypatch.setattr(sharing, "state_of", lambda *_: state)
    announce(state, BLOCK)
    for _ in range(3):
        llmtrace.configure(state={"url": "redis://127.0.0.1:1/0"})
        becomes("block", mode)
        assert llmtrace.shutdown()
        assert not [each for each in threading.enumerate() if each.name == "llmtrace-policy"]
    assert mode() == "log"


@pytest.mark.parametrize(
    "url", ["relay:8080", "ftp://relay", "http://user:hunter2@relay", "http://relay/?a=b", "http://"]
)
def test_a_relay_that_is_no_url(url: str) -> None:
    with pytest.raises(llmtrace.ConfigError, match="relay: must be an http:// or https:// URL") as raised:
        llmtrace.configure(relay=url)
    assert "hunter2" not in str(raised.value)


def test_a_variable_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in ({"relay_key_env": "NO_SUCH"}, {"state": {"secret_env": "NO_SUCH"}}):
        with pytest.raises(llmtrace.ConfigError, match=r"_env: the environment variable NO_SUCH is not set"):
            llmtrace.configure(**settings)
    monkeypatch.setenv("NO_SUCH", "but now")
    llmtrace.configure(relay_key_env="NO_SUCH", state={"secret_env": "NO_SUCH"})
