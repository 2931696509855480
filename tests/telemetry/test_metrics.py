"""Metrics: names, units, buckets, dimensions, bounds."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace

from llmtrace_sdk.core.model import Answer, Coverage, Prompt, Severity, Timings, Usage
from llmtrace_sdk.telemetry.metrics import SETS_LIMIT, AttributeSets
from llmtrace_sdk.telemetry.options import TelemetryOptions

from .rig import MS, STARTED, Rig, blocked, decided, finding, record

CLIENT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "server.address": "api.openai.com",
    "server.port": 443,
}
STREAM = record(streamed=True, chunks=5)
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
GUARD = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def bounds(rig: Rig, name: str) -> Any:
    return tuple(rig.metrics()[name].data.data_points[0].explicit_bounds)


def test_released_names() -> None:
    rig = Rig()
    rig.tell(STREAM)
    assert {name: (m.unit, bounds(rig, name)) for name, m in rig.metrics().items() if name.startswith("gen_ai.")} == {
        "gen_ai.client.operation.duration": ("s", SECONDS),
        "gen_ai.client.operation.time_to_first_chunk": ("s", SECONDS),
        "gen_ai.client.operation.time_per_output_chunk": ("s", SECONDS),
        "gen_ai.client.token.usage": ("{token}", TOKENS),
    }
    assert rig.points("gen_ai.client.operation.duration") == [(CLIENT, 0.5)]
    assert rig.points("gen_ai.client.operation.time_to_first_chunk") == [(CLIENT, 0.3)]
    assert rig.points("gen_ai.client.operation.time_per_output_chunk") == [(CLIENT, pytest.approx(0.05))]
    assert sorted(rig.points("gen_ai.client.token.usage"), key=lambda p: p[1]) == [
        ({**CLIENT, "gen_ai.token.type": "input"}, 12),
        ({**CLIENT, "gen_ai.token.type": "output"}, 34),
    ]


def test_unreleased_names_instead_when_asked_for() -> None:
    rig = Rig(TelemetryOptions(semconv_metrics="inference"))
    rig.tell(STREAM)
    prefix = "gen_ai.client.inference."
    assert {name.removeprefix(prefix): m.unit for name, m in rig.metrics().items() if name.startswith("gen_ai.")} == {
        "duration": "s",
        "time_to_first_chunk": "s",
        "time_per_output_chunk": "s",
        "usage.input_tokens": "{token}",
        "usage.output_tokens": "{token}",
        "usage.cache_read.input_tokens": "{token}",
        "usage.cache_write.input_tokens": "{token}",
        "usage.reasoning.output_tokens": "{token}",
        "operation.input_tokens": "{token}",
        "operation.output_tokens": "{token}",
    }
    text = {**CLIENT, "gen_ai.token.modality": "text"}
    assert rig.points(f"{prefix}usage.cache_read.input_tokens") == [(text, 5)]
    assert bounds(rig, f"{prefix}operation.input_tokens") == TOKENS


def test_under_the_unreleased_names_a_failed_call_counts_zero_tokens() -> None:
    rig = Rig(TelemetryOptions(semconv_metrics="inference"))
    rig.tell(record(status=500, outcome="upstream_error", error_type="500", answer=Answer()))
    (point,) = rig.points("gen_ai.client.inference.usage.input_tokens")
    assert (point[0]["gen_ai.token.modality"], point[0]["error.type"], point[1]) == ("unknown", "500", 0)
    assert "gen_ai.client.inference.usage.reasoning.output_tokens" not in rig.metrics()


def test_tokens_of_prompts_with_images_are_of_unknown_modality() -> None:
    rig = Rig(TelemetryOptions(semconv_metrics="inference"))
    rig.tell(record(prompt=Prompt(model="gpt-4o", blobs=1)))
    assert rig.points("gen_ai.client.inference.usage.input_tokens")[0][0]["gen_ai.token.modality"] == "unknown"


def test_failed_calls_have_their_error() -> None:
    rig = Rig()
    rig.tell(record(status=429, outcome="client_error", error_type="rate_limit_exceeded", answer=Answer()))
    ((attributes, value),) = rig.points("gen_ai.client.operation.duration")
    assert (attributes["error.type"], value) == ("rate_limit_exceeded", 0.5)
    assert rig.points("gen_ai.client.token.usage") == []


def test_unstreamed_answers_have_no_chunk_metrics() -> None:
    rig = Rig()
    rig.tell(record())
    assert {name for name in rig.metrics() if "chunk" in name} == set()


def test_a_call_that_was_never_sent_has_no_client_metrics() -> None:
    rig = Rig(policy_id="p")
    rig.tell(blocked())
    assert not [name for name in rig.metrics() if name.startswith("gen_ai.")]
    dimensions = {
        "llmtrace.decision": "block",
        "llmtrace.decision.phase": "input",
        "llmtrace.mode": "in_process",
        "gen_ai.provider.name": "openai",
        "llmtrace.policy.id": "p",
    }
    assert rig.points("llmtrace.decisions") == [(dimensions, 1)]


def test_what_is_counted_about_guarding() -> None:
    rig = Rig()
    timings = Timings(added=9 * MS, parse=1 * MS, scan_input=2 * MS, scan_output=4 * MS)
    found = (finding(), finding(), finding(severity=Severity.LOW, category="pii", detector="pii"))
    coverage = Coverage("partial", ("detector_failed", "text_limit", "response_fault"))
    rig.tell(record(timings=timings, findings=found, coverage=coverage, decision=decided("log", degraded=True)))
    severities = {
        (a["llmtrace.finding.category"], a["llmtrace.finding.severity"]): v for a, v in rig.points("llmtrace.findings")
    }
    assert severities == {("prompt_injection", "high"): 2, ("pii", "low"): 1}
    assert {a["llmtrace.guard.phase"]: v for a, v in rig.points("llmtrace.guard.duration")} == {
        "input": 0.003,
        "output": 0.004,
    }
    assert bounds(rig, "llmtrace.guard.duration") == GUARD
    skipped = {a["llmtrace.scan.skipped_reason"]: v for a, v in rig.points("llmtrace.scan.skipped")}
    assert skipped == {"detector_failed": 1, "text_limit": 1, "response_fault": 1}
    assert {a["llmtrace.component"]: v for a, v in rig.points("llmtrace.errors")} == {"detector": 1, "response": 1}


def test_a_record_of_an_unknown_endpoint_is_counted() -> None:
    rig = Rig()
    rig.telemetry.deliver_unspanned(
        record(provider="", operation="", coverage=Coverage("unscanned", ("unknown_endpoint",)))
    )
    assert rig.spans() == []
    assert rig.points("llmtrace.scan.skipped") == [({"llmtrace.scan.skipped_reason": "unknown_endpoint"}, 1)]
    ((dimensions, value),) = rig.points("llmtrace.decisions")
    assert (dimensions["llmtrace.decision"], value) == ("allow", 1)
    assert not [name for name in rig.metrics() if name.startswith("gen_ai.")]


def test_durations_point_to_their_trace() -> None:
    rig = Rig()
    rig.tell(record())
    (point,) = rig.metrics()["gen_ai.client.operation.duration"].data.data_points
    context = rig.span("chat gpt-4o").context
    assert context is not None
    assert [(e.trace_id, e.span_id) for e in point.exemplars] == [(context.trace_id, context.span_id)]
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_models_made_up_by_clients_do_not_grow_without_bound() -> None:
    sets = AttributeSets()
    for n in range(SETS_LIMIT + 10):
        found = sets.of(("gen_ai.request.model",), f"model-{n}")
    assert dict(found) == {"otel.metric.overflow": True}
    assert sets.of(("gen_ai.request.model",), "model-3") is sets.of(("gen_ai.request.model",), "model-3")
    assert len(sets._sets) == SETS_LIMIT


def test_no_label_or_id_is_a_dimension() -> None:
    rig = Rig()
    rig.tell(STREAM)
    keys = {key for name in rig.metrics() for attributes, _ in rig.points(name) for key in attributes}
    assert keys == {
        *CLIENT,
        "gen_ai.token.type",
        "llmtrace.decision",
        "llmtrace.decision.phase",
        "llmtrace.mode",
        "llmtrace.guard.phase",
    }


def test_a_clock_that_went_back_measures_zero() -> None:
    rig = Rig()
    rig.tell(record(ended_ns=STARTED - 1, answer=Answer(usage=Usage(0, 0))))
    assert [value for _, value in rig.points("gen_ai.client.operation.duration")] == [0.0]
    assert [value for _, value in rig.points("gen_ai.client.token.usage")] == [0, 0]
