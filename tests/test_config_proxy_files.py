"""A configuration file of the LLMTrace proxy loads, and what it cannot do here is said."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import config
from llmtrace_sdk.config import keys, legacy, legacy_table

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
listen_addr: "0.0.0.0:8080"
upstream_url: "https://api.openai.com"
timeout_ms: 30000
connection_timeout_ms: 5000
max_connections: 1000
enable_tls: false
enable_security_analysis: true
enable_trace_storage: true
enable_streaming: true
max_request_size_bytes: 52428800
security_analysis_timeout_ms: 5000
trace_storage_timeout_ms: 10000
storage: {profile: lite, database_path: llmtrace.db, auto_migrate: true}
logging: {level: info, format: text}
rate_limiting: {enabled: true, requests_per_second: 100, burst_size: 200, window_seconds: 60, tenant_overrides: {}}
circuit_breaker: {enabled: true, failure_threshold: 10, recovery_timeout_ms: 30000, half_open_max_calls: 3}
health_check: {enabled: true, path: /health, interval_seconds: 10, timeout_ms: 5000, retries: 3}
security_analysis:
  ml_enabled: true
  ml_model: protectai/deberta-v3-base-prompt-injection-v2
  ml_threshold: 0.8
  ner_enabled: false
  operating_point: Balanced
enforcement:
  mode: Block
  analysis_depth: full
  min_severity: High
  min_confidence: 0.9
  timeout_ms: 2000
  categories:
    - {finding_type: prompt_injection, action: Block}
action_router:
  enabled: true
  default_actions: [log]
  rules: [{finding_type: prompt_injection, min_severity: High, min_confidence: 0.8, actions: [block_ip]}]
  ip_block: {ttl_seconds: 3600, max_offenses: 3}
cost_caps:
  enabled: false
  default_budget_caps: [{window: daily, hard_limit_usd: 10.0}]
auth: {enabled: true, admin_key: hunter2}
alerts: {enabled: false, channels: [{type: slack, url: "https://hooks.slack.com/x"}]}
judge: {enabled: false, backend: vllm, worker: {channel_buffer: 1000}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "config.yaml"
    made.write_text(FILE)
    return made


def test_it_loads_and_what_is_ours_is_in_force(file: Path) -> None:
    found = config.read(file)
    policy = found.settings.enforcement
    assert (policy.mode, policy.min_severity, policy.min_confidence) == ("block", "high", 0.9)
    assert policy.categories[0].action == "block"
    assert found.settings.security_analysis.operating_point == "balanced"
    assert found.places["enforcement", "mode"] == "file"


def test_every_key_without_effect_is_told_of(file: Path) -> None:
    told = {notice.split(":")[0]: notice for notice in config.read(file).notices}
    assert set(told) == {
        *"enable_security_analysis enable_streaming security_analysis_timeout_ms storage.auto_migrate".split(),
        *"trace_storage_timeout_ms rate_limiting.window_seconds circuit_breaker health_check".split(),
        *"security_analysis.ml_enabled security_analysis.ml_model security_analysis.ml_threshold".split(),
        *"security_analysis.ner_enabled enforcement.analysis_depth judge.worker".split(),
    }
    assert told["security_analysis.ml_model"].endswith(
        "not used here; a classifier is a file of your own: set ml.model_path"
    )
    assert "though it is switched on" in told["circuit_breaker"]
    assert "though it is switched on" not in told["judge.worker"]
    assert "hunter2" not in str(told)


def test_one_warning_is_logged_at_configure(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    config._told.clear()
    with caplog.at_level(logging.WARNING, "llmtrace"):
        llmtrace.configure(file)
        llmtrace.configure(file)
    (record,) = caplog.records
    assert "circuit_breaker" in record.getMessage()
    assert "hunter2" not in record.getMessage()


def test_keys_that_nobody_knows_are_errors_or_are_told_of() -> None:
    with pytest.raises(
        llmtrace.ConfigError, match=r"security_analysis.ml_modle: unknown key .*acton_router: unknown key"
    ):
        config.load({"acton_router": {}, "security_analysis": {"ml_modle": "x"}})
    found = config.read({"circuit_breaker": {"failure_treshold": 1}})
    assert found.notices[1] == "circuit_breaker.failure_treshold: not a key that is known"


def test_keywords_are_ours_alone() -> None:
    with pytest.raises(llmtrace.ConfigError, match="circuit_breaker: unknown key"):
        config.load(circuit_breaker={"enabled": True})


@pytest.mark.parametrize(
    ("file", "url", "notice"),
    [
        ({"storage": {"profile": "production", "redis_url": "redis://r"}}, "redis://r", None),
        ({"storage": {"profile": "sqlite", "redis_url": "redis://r"}}, None, "storage.redis_url"),
        (
            {"storage": {"profile": "production", "redis_url": "redis://r"}, "state": {"url": "redis://s"}},
            "redis://s",
            "storage.redis_url",
        ),
    ],
)
def test_the_redis_of_the_storage_is_the_state(file: dict[str, Any], url: str | None, notice: str | None) -> None:
    found = config.read(file)
    assert found.settings.state.url == url
    assert [each.split(":")[0] for each in found.notices] == ([notice] if notice else [])


@pytest.mark.parametrize(
    ("backend", "inner", "provider", "base_url"),
    [
        ("openai", {"base_url": "https://api.openai.com/v1"}, "openai", "https://api.openai.com/v1"),
        ("Anthropic", {}, "anthropic", None),
        ("vllm", {"base_url": "http://localhost:8000"}, "openai", "http://localhost:8000/v1"),
    ],
)
def test_the_judge_of_a_backend_becomes_ours(
    backend: str, inner: dict[str, str], provider: str, base_url: str | None
) -> None:
    group = {"model": "m", "max_tokens": 5, **inner}
    found = config.read({"judge": {"enabled": True, "backend": backend, backend.lower(): group}})
    judge = found.settings.judge
    assert (judge.enabled, judge.provider, judge.model, judge.base_url) == (True, provider, "m", base_url)
    assert found.notices == (f"judge.{backend.lower()}.max_tokens: not used here",)


def test_a_judge_of_a_backend_that_is_not_there_stays_off() -> None:
    found = config.read({"judge": {"enabled": True, "backend": "deberta", "deberta": {"model_id": "x"}}})
    assert not found.settings.judge.enabled
    assert found.notices[0].startswith("judge.backend: not used here; there is no backend 'deberta'")


def test_variables_of_the_proxy_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMTRACE_LOG_FORMAT", "x")
    assert config.read().strange == ("LLMTRACE_LOG_FORMAT: a variable of the LLMTrace proxy, not used here",)


def test_the_table_says_supported_of_what_is_supported() -> None:
    ours = {key.name for key in keys.leaves()}
    table = legacy.known()
    assert {name for name, entry in table.items() if entry.state == "supported"} - {
        k.path[0] for k in keys.leaves()
    } <= ours
    assert not [name for name, entry in table.items() if entry.state != "supported" and name in ours]
    assert set(legacy_table.RENAMED.values()) <= ours
    assert all(entry.advice for entry in table.values() if entry.state in ("later", "unused", "renamed"))
