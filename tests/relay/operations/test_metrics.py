from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmtrace_relay.metric_labels import (
    MODELS_LIMIT,
    TENANTS_LIMIT,
    known_providers,
)
from llmtrace_relay.metrics import Metrics
from llmtrace_sdk.core.model import Coverage, Labels, Severity
from llmtrace_sdk.faults import faults
from tests.relay.operations.records import BEGAN_NS, MS, SECRET, TENANT, call, finding

Told = dict[tuple[str, tuple[tuple[str, str], ...]], float]

# Names and labels of the Rust project's proxy, sections 7.4 and 21: dashboards of its users must go on.
COMPATIBLE = {
    "llmtrace_requests_total": {"provider", "model", "status_code"},
    "llmtrace_request_duration_seconds_bucket": {"provider", "model", "le"},
    "llmtrace_tokens_total": {"direction", "provider", "model"},
    "llmtrace_security_findings_total": {"severity", "finding_type"},
    "llmtrace_circuit_breaker_state": {"subsystem", "state"},
    "llmtrace_storage_operations_total": {"operation", "status"},
    "llmtrace_cost_usd_total": {"tenant", "model"},
    "llmtrace_anomalies_total": {"anomaly_type"},
    "llmtrace_security_detector_latency_seconds_bucket": {"detector", "le"},
    "llmtrace_active_connections": set(),
    "llmtrace_action_executions_total": {"action_type", "status", "mode"},
    "llmtrace_analyzer_dropped_total": {"reason"},
    "llmtrace_feature_flag_updates_total": {"feature"},
    "llmtrace_feature_flag_bool_state": {"feature"},
    "llmtrace_feature_flag_string_state": {"feature", "value"},
}


def told(metrics: Metrics) -> Told:
    """Every sample, by name and labels, as a server that scrapes would read it."""
    text = metrics.render()[0].decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Told, name: str, **labels: str) -> float | None:
    return found.get((name, tuple(sorted(labels.items()))))


def labels_of(found: Told, name: str, label: str) -> set[str]:
    return {dict(labels)[label] for sample, labels in found if sample == name}


def test_the_names_are_those_of_the_proxy() -> None:
    metrics = Metrics()
    metrics.observe(
        call(
            findings=(finding(), finding("anomaly_cost_spike", Severity.LOW)),
            coverage=Coverage("partial", ("body_limit",)),
        )
    )
    metrics.count("llmtrace_storage_operations_total", "put", "success")
    metrics.count("llmtrace_feature_flag_updates_total", "shadow")
    metrics.watch("llmtrace_feature_flag_bool_state", lambda: {"shadow": 1.0})
    metrics.watch("llmtrace_feature_flag_string_state", lambda: {("enforcement_mode", "block"): 1.0})
    metrics.watch("llmtrace_circuit_breaker_state", lambda: {("storage", "closed"): 1.0})
    found = told(metrics)
    for name, labels in COMPATIBLE.items():
        assert {frozenset(dict(given)) for sample, given in found if sample == name} == {frozenset(labels)}, name


def test_a_call_is_counted_once_everywhere() -> None:
    metrics = Metrics()
    metrics.observe(call(findings=(finding(), finding(), finding("jailbreak", Severity.CRITICAL))))
    found = told(metrics)
    of = {"provider": "openai", "model": "gpt-4o-mini"}
    assert value(found, "llmtrace_requests_total", **of, status_code="200") == 1
    assert value(found, "llmtrace_calls_total", outcome="complete", action="allow") == 1
    assert value(found, "llmtrace_request_duration_seconds_sum", **of) == pytest.approx(0.8)
    assert value(found, "llmtrace_request_duration_seconds_bucket", **of, le="0.5") == 0
    assert value(found, "llmtrace_request_duration_seconds_bucket", **of, le="1.0") == 1
    assert value(found, "llmtrace_time_to_first_token_seconds_sum", **of) == pytest.approx(0.2)
    assert value(found, "llmtrace_tokens_total", **of, direction="prompt") == 12
    assert value(found, "llmtrace_tokens_total", **of, direction="completion") == 6
    assert value(found, "llmtrace_cost_usd_total", tenant=TENANT, model="gpt-4o-mini") == pytest.approx(2500)
    assert value(found, "llmtrace_security_findings_total", severity="High", finding_type="prompt_injection") == 2
    assert value(found, "llmtrace_security_findings_total", severity="Critical", finding_type="jailbreak") == 1
    assert value(found, "llmtrace_overhead_seconds_sum") == pytest.approx(0.0004)
    assert value(found, "llmtrace_security_detector_latency_seconds_sum", detector="ensemble") == pytest.approx(0.00015)
    webhook = {"action_type": "webhook", "status": "success", "mode": "async"}
    assert value(found, "llmtrace_action_executions_total", **webhook) == 1
    assert not [name for name, _ in found if name.endswith("_created")]


def test_an_answer_that_does_not_flow_has_no_first_token() -> None:
    metrics = Metrics()
    metrics.observe(call(streamed=False))
    found = told(metrics)
    of = {"provider": "openai", "model": "gpt-4o-mini"}
    assert value(found, "llmtrace_time_to_first_token_seconds_count", **of) == 0


def test_refused_calls_are_counted_by_status_and_reason() -> None:
    metrics = Metrics()
    refused = {"outcome": "blocked", "stream_end": "blocked", "status": None, "upstream_called": False}
    metrics.refused(401, "auth")
    metrics.observe(call(**refused, action="block", reason="prompt_injection.high"))
    metrics.observe(call(**refused, action="block", reason="rate_limit_exceeded"))
    metrics.observe(call(**refused, action="block", reason="cost_cap_exceeded"))
    metrics.observe(call(**refused, action="block", reason="blocked_source"))
    metrics.observe(call(outcome="client_error", status=413, upstream_called=False))
    metrics.observe(call(outcome="upstream_error", stream_end="error", status=None, error_type="TimeoutError"))
    found = told(metrics)
    counts = {
        (dict(labels)["status_code"], dict(labels)["reason"]): count
        for (name, labels), count in found.items()
        if name == "llmtrace_refused_requests_total"
    }
    assert counts == {
        ("401", "auth"): 1,
        ("403", "prompt_injection.high"): 1,
        ("429", "rate_limit_exceeded"): 1,
        ("429", "cost_cap_exceeded"): 1,
        ("403", "blocked_source"): 1,
        ("413", "too_large"): 1,
        ("502", "upstream"): 1,
    }
    assert labels_of(found, "llmtrace_limit_rejections_total", "limit") == {
        "rate_limit_exceeded",
        "cost_cap_exceeded",
        "blocked_source",
    }
    assert value(found, "llmtrace_upstream_errors_total", provider="openai", error_type="TimeoutError") == 1
    assert labels_of(found, "llmtrace_requests_total", "status_code") == {"403", "429", "413", "502"}


def test_an_upstream_s_own_error_is_no_refusal_of_ours() -> None:
    metrics = Metrics()
    metrics.observe(call(outcome="upstream_error", status=503, error_type="503"))
    metrics.observe(call(outcome="client_error", status=401, error_type="authentication_error"))
    found = told(metrics)
    assert value(found, "llmtrace_upstream_errors_total", provider="openai", error_type="503") == 1
    assert not labels_of(found, "llmtrace_refused_requests_total", "reason")


def test_models_are_bounded() -> None:
    metrics = Metrics()
    for number in range(MODELS_LIMIT * 3):
        metrics.observe(call(model=f"model-{number}", provider="openai" if number % 2 else "anthropic"))
    found = told(metrics)
    models = labels_of(found, "llmtrace_requests_total", "model")
    assert len(models) == MODELS_LIMIT + 1
    assert "other" in models
    total = sum(count for (name, _), count in found.items() if name == "llmtrace_requests_total")
    assert total == MODELS_LIMIT * 3


def test_names_that_no_upstream_has_answered_to_leave_room_for_real_ones() -> None:
    metrics = Metrics()
    for number in range(MODELS_LIMIT * 2):
        metrics.observe(call(model=f"made-up-{number}", outcome="client_error", status=404))
    metrics.observe(call(model="gpt-5"))
    models = labels_of(told(metrics), "llmtrace_requests_total", "model")
    assert "gpt-5" in models
    assert len(models) == MODELS_LIMIT // 2 + 2


def test_pairs_of_providers_and_models_are_bounded() -> None:
    metrics = Metrics()
    vendors = sorted(known_providers())
    for number in range(MODELS_LIMIT):
        for vendor in vendors[:6]:
            metrics.observe(call(model=f"model-{number}", provider=vendor))
    found = told(metrics)
    series = {labels for name, labels in found if name == "llmtrace_request_duration_seconds_count"}
    assert len(series) <= 400 + len(vendors)


def test_tenants_are_bounded() -> None:
    metrics = Metrics()
    for number in range(TENANTS_LIMIT * 2):
        metrics.observe(call(labels=Labels(tenant=f"tenant-{number}")))
    tenants = labels_of(told(metrics), "llmtrace_cost_usd_total", "tenant")
    assert len(tenants) <= TENANTS_LIMIT + 1
    assert "other" in tenants


def test_unknown_providers_and_findings_are_other() -> None:
    metrics = Metrics(finding_types=["our_own"])
    metrics.observe(call(provider="nobody", findings=(finding("made_up"), finding("our_own"))))
    found = told(metrics)
    assert labels_of(found, "llmtrace_requests_total", "provider") == {"other"}
    assert labels_of(found, "llmtrace_security_findings_total", "finding_type") == {"other", "our_own"}


def test_what_is_watched_is_asked_for_when_it_is_told() -> None:
    metrics = Metrics()
    pending = {"now": 3.0}
    lost: Counter[str] = Counter()
    metrics.watch("llmtrace_spool_pending", lambda: pending["now"])
    metrics.watch("llmtrace_faults_total", lambda: lost)
    assert value(told(metrics), "llmtrace_spool_pending") == 3
    pending["now"] = 7
    lost["telemetry"] += 2
    found = told(metrics)
    assert value(found, "llmtrace_spool_pending") == 7
    assert value(found, "llmtrace_faults_total", component="telemetry") == 2
    lost["telemetry"] += 1
    assert value(told(metrics), "llmtrace_faults_total", component="telemetry") == 3


def test_a_value_that_is_no_longer_told_counts_as_none() -> None:
    metrics = Metrics()
    mode = {("enforcement_mode", "log"): 1.0}
    metrics.watch("llmtrace_feature_flag_string_state", lambda: mode)
    told(metrics)
    del mode["enforcement_mode", "log"]
    mode["enforcement_mode", "block"] = 1.0
    found = told(metrics)
    assert value(found, "llmtrace_feature_flag_string_state", feature="enforcement_mode", value="log") == 0
    assert value(found, "llmtrace_feature_flag_string_state", feature="enforcement_mode", value="block") == 1


def test_a_watch_that_fails_hides_nothing_else() -> None:
    metrics = Metrics()

    def fail() -> float:
        raise OSError("no such file: secret")

    metrics.watch("llmtrace_spool_pending", fail)
    metrics.observe(call())
    before = faults["metrics"]
    text = metrics.render()[0]
    assert b"llmtrace_requests_total{" in text
    assert b"secret" not in text
    assert faults["metrics"] == before + 1


def test_names_that_are_not_in_the_table_are_refused() -> None:
    metrics = Metrics()
    with pytest.raises(ValueError, match="llmtrace_spool_pending"):
        metrics.watch("llmtrace_spool", lambda: 1.0)
    with pytest.raises(ValueError, match="llmtrace_storage_operations_total"):
        metrics.count("llmtrace_storage")
    metrics.watch("llmtrace_spool_pending", lambda: 1.0)
    with pytest.raises(ValueError, match="already"):
        metrics.watch("llmtrace_spool_pending", lambda: 1.0)


def test_calls_under_way() -> None:
    metrics = Metrics()
    metrics.active.inc()
    metrics.active.inc()
    metrics.active.dec()
    assert value(told(metrics), "llmtrace_active_connections") == 1


def test_the_process_and_the_build_are_told() -> None:
    import llmtrace_sdk

    found = told(Metrics())
    assert (value(found, "process_resident_memory_bytes") or 0) > 1 << 20
    assert (value(found, "process_cpu_seconds_total") or 0) > 0
    assert labels_of(found, "llmtrace_build_info", "version") == {llmtrace_sdk.__version__}


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text; version=abc", "text/plain; version=0.0.4"),
        ("text/plain; version=; escaping=;;,,,", "text/plain; version=0.0.4"),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(accept: str | None, content_type: str) -> None:
    metrics = Metrics()
    metrics.observe(call())
    text, given = metrics.render(accept)
    assert given.startswith(content_type)
    assert text.endswith(b"# EOF\n") == ("openmetrics" in content_type)


def test_nothing_private_is_told() -> None:
    metrics = Metrics()
    metrics.observe(call(model=f"tell me about {SECRET}", provider=SECRET, findings=(finding(SECRET + " x"),)))
    metrics.observe(call(model=SECRET, reason=f"{SECRET} {SECRET}", outcome="blocked", status=None, error_type="a b"))
    metrics.refused(403, "my own words")
    text = metrics.render()[0].decode()
    assert SECRET not in text
    assert "words" not in text


def test_it_is_kept_fresh_off_the_event_loop() -> None:
    metrics = Metrics()
    asked = threading.Event()
    threads: set[str] = set()

    def pending() -> float:
        threads.add(threading.current_thread().name)
        asked.set()
        return 1.0

    metrics.watch("llmtrace_spool_pending", pending)
    threads.clear()
    asked.clear()

    async def run() -> None:
        task = asyncio.create_task(metrics.keep_fresh(0.01))
        assert await asyncio.to_thread(asked.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert threading.main_thread().name not in threads


def test_counting_a_call_costs_little() -> None:
    metrics = Metrics()
    record = call(findings=(finding(),), ended_ns=BEGAN_NS + 5 * MS)

    def cost() -> float:
        began = time.thread_time()
        for _ in range(200):
            metrics.observe(record)
        return (time.thread_time() - began) / 200

    cost()
    best = min(cost() for _ in range(20))
    assert best < 60e-6  # 11 us where nothing else runs
