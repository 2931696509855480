"""Whose span a call's is: the table of rules, each with the spans of the library it is about."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_http_instrumentation, suppress_instrumentation
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.util.genai.handler import TelemetryHandler

from llmtrace_sdk.telemetry.options import TelemetryOptions
from llmtrace_sdk.telemetry.ownership import UTIL_GENAI_KEYS

from .rig import STARTED, Rig, blocked, decided, finding, record

if TYPE_CHECKING:
    from collections.abc import Iterator


def current_span(rig: Rig, scope: str, **attributes: Any) -> AbstractContextManager[trace.Span]:
    return rig.tracer_provider.get_tracer(scope).start_as_current_span("outer", attributes=attributes)


@contextmanager
def context_value(key: str, value: object) -> Iterator[None]:
    token = context_api.attach(context_api.set_value(key, value))
    try:
        yield
    finally:
        context_api.detach(token)


@pytest.mark.parametrize(
    ("scope", "attributes", "role"),
    [
        ("com.anthropic.sdk.python", {}, "enrich"),
        ("openinference.instrumentation.openai", {}, "enrich"),
        ("opentelemetry.instrumentation.openai.v1", {}, "enrich"),
        ("opentelemetry.instrumentation.genai.anthropic", {}, "enrich"),
        ("logfire.openai", {}, "enrich"),
        ("my.app", {"gen_ai.operation.name": "chat"}, "enrich"),
        ("my.app", {"gen_ai.operation.name": "embeddings"}, "enrich"),
        ("my.app", {"gen_ai.operation.name": "invoke_agent"}, "own"),
        ("my.app", {}, "own"),
        ("logfire", {}, "own"),
        ("opentelemetry.instrumentation.httpx", {}, "own"),
        ("opentelemetry.instrumentation.flask", {}, "own"),
    ],
)
def test_the_current_span_decides(scope: str, attributes: dict[str, Any], role: str) -> None:
    rig = Rig()
    with current_span(rig, scope, **attributes):
        assert rig.start().role == role


def test_without_any_span_it_is_ours() -> None:
    assert Rig().start().role == "own"


def test_the_keys_are_those_of_util_genai() -> None:
    from opentelemetry.util.genai import invocation

    ours = {
        invocation.CLIENT_INFERENCE_CONTEXT_KEY,
        invocation.CLIENT_EMBEDDING_CONTEXT_KEY,
        invocation.CLIENT_FETCH_RESPONSE_CONTEXT_KEY,
    }
    assert ours == UTIL_GENAI_KEYS


@pytest.mark.parametrize("key", sorted(UTIL_GENAI_KEYS))
def test_a_key_of_util_genai_decides_even_when_its_span_is_sampled_out(key: str) -> None:
    rig = Rig(sampler=ALWAYS_OFF)
    with context_value(key, object()):
        assert rig.start().role == "enrich"
    with context_value(key, None):
        assert rig.start().role == "own"


def test_a_call_made_through_util_genai_is_enriched() -> None:
    rig = Rig()
    handler = TelemetryHandler(tracer_provider=rig.tracer_provider)
    with handler.inference(provider="openai", request_model="gpt-4o"):
        span = rig.start()
        span.enrich(decided("allow"))
        assert span.role == "enrich"
    rig.telemetry.deliver(record(), span)
    (outer,) = rig.spans()
    assert outer.instrumentation_scope is not None
    assert outer.instrumentation_scope.name != "llmtrace"
    assert (outer.attributes or {})["llmtrace.decision"] == "allow"


def test_enriching_says_the_decision_and_leaves_gen_ai_alone() -> None:
    rig = Rig(policy_id="p")
    with current_span(rig, "com.anthropic.sdk.python", **{"gen_ai.request.model": "theirs"}):
        span = rig.start()
        assert span.attach() is None
        span.enrich(decided("block", findings=(finding(),)))
    rig.telemetry.deliver(blocked(), span)
    outer = rig.span("outer")
    assert dict(outer.attributes or {}) == {
        "gen_ai.request.model": "theirs",
        "llmtrace.version": rig.telemetry._own["llmtrace.version"],
        "llmtrace.mode": "in_process",
        "llmtrace.span.role": "enrich",
        "llmtrace.enforcement.mode": "monitor",
        "llmtrace.policy.id": "p",
        "llmtrace.record.id": "rec-1",
        "llmtrace.decision": "block",
        "llmtrace.decision.phase": "input",
        "llmtrace.decision.reason": "prompt_injection.high",
        "llmtrace.findings.count": 1,
        "llmtrace.findings.max_severity": "high",
        "llmtrace.findings.categories": ("prompt_injection",),
        "llmtrace.upstream.called": False,
    }


def test_enriching_makes_guard_spans_with_everything_and_no_client_metrics() -> None:
    rig = Rig()
    with current_span(rig, "com.anthropic.sdk.python") as outer:
        span = rig.start(stream=True)
    rig.telemetry.deliver(record(streamed=True, chunks=4), span)
    assert [s.name for s in rig.spans()] == ["outer", "llmtrace.guard output"]
    guard = rig.span("llmtrace.guard output")
    assert guard.parent == outer.get_span_context()
    attributes = guard.attributes or {}
    assert attributes["llmtrace.decision"] == "allow"
    assert attributes["llmtrace.span.role"] == "enrich"
    assert attributes["llmtrace.stream.chunks"] == 4
    assert not [name for name in attributes if name.startswith("gen_ai.")]
    assert set(rig.metrics()) == {"llmtrace.decisions", "llmtrace.guard.duration"}


def test_enriching_a_plain_quick_call_makes_no_span() -> None:
    rig = Rig()
    with current_span(rig, "com.anthropic.sdk.python"):
        span = rig.start()
    rig.telemetry.deliver(record(), span)
    assert [s.name for s in rig.spans()] == ["outer"]


def test_a_decision_without_findings_still_has_a_guard_span() -> None:
    rig = Rig()
    with current_span(rig, "com.anthropic.sdk.python"):
        span = rig.start()
    rig.telemetry.deliver(blocked(findings=(), decision=decided("block")), span)
    assert (rig.span("llmtrace.guard input").attributes or {})["llmtrace.decision"] == "block"


def test_a_foreign_span_that_has_ended_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    with current_span(rig, "com.anthropic.sdk.python"):
        span = rig.start()
    span.enrich(decided("allow"))
    assert "llmtrace.decision" not in (rig.span("outer").attributes or {})
    assert not caplog.records


def test_guard_only() -> None:
    rig = Rig(TelemetryOptions(spans="guard_only"))
    with current_span(rig, "my.app") as outer:
        span = rig.start()
        assert span.attach() is None
        span.enrich(decided("allow"))
    rig.telemetry.deliver(record(), span)
    guard = rig.span("llmtrace.guard input")
    assert guard.parent == outer.get_span_context()
    assert (guard.attributes or {})["llmtrace.decision"] == "allow"
    assert dict(rig.span("outer").attributes or {}) == {}
    assert "gen_ai.client.operation.duration" not in rig.metrics()


def test_guard_only_still_finds_a_foreign_span() -> None:
    rig = Rig(TelemetryOptions(spans="guard_only"))
    with current_span(rig, "com.anthropic.sdk.python"):
        rig.start().enrich(decided("allow"))
    assert (rig.span("outer").attributes or {})["llmtrace.decision"] == "allow"


@pytest.mark.parametrize("suppress", [suppress_instrumentation, suppress_http_instrumentation])
def test_suppressed_calls_are_not_told_of(suppress: Any) -> None:
    rig = Rig()
    with suppress():
        span = rig.start()
    assert span.role == "off"
    assert span.attach() is None
    span.enrich(decided("block"))
    span.abandon()
    rig.telemetry.deliver(blocked(), span)
    assert (rig.spans(), rig.logs(), rig.metrics()) == ([], [], {})


def test_a_suppression_key_that_is_false_suppresses_nothing() -> None:
    with context_value("suppress_instrumentation", value=False):
        assert Rig().start().role == "own"


def test_spans_off_means_no_telemetry_at_all() -> None:
    rig = Rig(TelemetryOptions(spans="off"))
    span = rig.start()
    assert span.role == "off"
    rig.telemetry.deliver(blocked(), span)
    rig.telemetry.deliver_unspanned(record())
    assert (rig.spans(), rig.logs(), rig.metrics()) == ([], [], {})


def test_a_span_class_that_raises_is_taken_for_none() -> None:
    class Odd(trace.NonRecordingSpan):
        def is_recording(self) -> bool:
            raise RuntimeError("odd")

    odd = Odd(trace.SpanContext(1, 2, is_remote=False))
    token = context_api.attach(trace.set_span_in_context(odd))
    try:
        span = Rig().start()
    finally:
        context_api.detach(token)
    assert span.role == "own"


def test_own_spans_are_children_of_the_current_span() -> None:
    rig = Rig()
    with current_span(rig, "my.app") as outer:
        span = rig.start()
    rig.telemetry.deliver(record(), span)
    inner = rig.span("chat gpt-4o")
    assert inner.parent == outer.get_span_context()
    assert inner.start_time == STARTED
