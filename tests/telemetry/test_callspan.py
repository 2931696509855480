"""The span in flight: current around the inner send, abandoned, propagated; and a provider that misbehaves."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from opentelemetry import baggage, trace
from opentelemetry import context as context_api
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from llmtrace_sdk.telemetry import faults
from llmtrace_sdk.telemetry.options import TelemetryOptions
from llmtrace_sdk.telemetry.spans import Telemetry

from .rig import ENDPOINT, STARTED, Rig, blocked, record

if TYPE_CHECKING:
    import pytest


def test_attached_spans_are_current_and_parents() -> None:
    rig = Rig()
    span = rig.start()
    token = span.attach()
    try:
        assert trace.get_current_span() is span.span
        with rig.tracer_provider.get_tracer("httpx").start_as_current_span("POST"):
            pass
    finally:
        span.detach(token)
    assert not trace.get_current_span().get_span_context().is_valid
    rig.telemetry.deliver(record(), span)
    assert rig.span("POST").parent == rig.span("chat gpt-4o").context


def test_sampled_out_spans_are_attached_too_so_that_children_are_not_sampled() -> None:
    rig = Rig(sampler=ALWAYS_OFF)
    span = rig.start()
    token = span.attach()
    try:
        assert trace.get_current_span() is span.span
    finally:
        span.detach(token)


def test_a_span_can_be_delivered_from_another_thread() -> None:
    rig = Rig()
    span = rig.start()
    worker = threading.Thread(target=rig.telemetry.deliver, args=(blocked(), span))
    worker.start()
    worker.join()
    assert rig.span("llmtrace.guard input").parent == rig.span("chat gpt-4o").context


def test_abandoned_spans_end_unset_and_say_so() -> None:
    rig = Rig()
    span = rig.start(stream=True)
    span.abandon()
    ended = rig.span("chat gpt-4o")
    assert (ended.attributes or {})["llmtrace.record.dropped"] is True
    assert (ended.attributes or {})["gen_ai.request.stream"] is True
    assert ended.status.status_code is StatusCode.UNSET


def test_a_record_after_all_is_counted_but_ends_nothing_twice(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    span = rig.start()
    span.abandon()
    span.abandon()
    rig.telemetry.deliver(record(), span)
    assert len(rig.spans()) == 1
    assert [value for _, value in rig.points("llmtrace.decisions")] == [1]
    assert not caplog.records


def test_nothing_is_injected_by_default() -> None:
    rig = Rig()
    assert rig.telemetry.headers_for(rig.start(), "api.openai.com") == ()


def test_allowed_hosts_get_traceparent_and_no_baggage() -> None:
    rig = Rig(TelemetryOptions(propagate_hosts=("Relay.internal",)))
    token = context_api.attach(baggage.set_baggage("user.id", "secret"))
    try:
        span = rig.start()
        headers = rig.telemetry.headers_for(span, "relay.internal")
        assert rig.telemetry.headers_for(span, "api.openai.com") == ()
    finally:
        context_api.detach(token)
    assert span.span is not None
    context = span.span.get_span_context()
    expected = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    assert headers == (("traceparent", expected),)


def test_a_provider_that_raises_costs_the_span_and_not_the_call(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(trace.TracerProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
            raise RuntimeError("the secret is 1234")

    faults._logged.clear()
    telemetry = Telemetry(TelemetryOptions(), tracer_provider=Broken())
    for _ in range(3):
        span = telemetry.start(ENDPOINT, "gpt-4o", "api.openai.com", 443, STARTED, stream=False)
        assert span.role == "off"
        telemetry.deliver(record(), span)
    (message,) = [r.getMessage() for r in caplog.records if r.name == "llmtrace"]
    assert message.startswith("llmtrace telemetry failed with builtins.RuntimeError")
    assert "1234" not in message


def test_a_broken_step_costs_only_itself() -> None:
    rig = Rig()
    span = rig.start()
    broken = record(timings=None)  # what no pipeline makes
    rig.telemetry.deliver(broken, span)
    assert {component for component, _ in rig.faults} == {"telemetry"}
    rig.faults.clear()
    assert [s.name for s in rig.spans()] == ["chat gpt-4o"]
    assert rig.points("gen_ai.client.operation.duration")
    assert ({"llmtrace.component": "telemetry"}, 3) in rig.points("llmtrace.errors")


def test_making_a_telemetry_does_no_work_and_needs_no_sdk() -> None:
    program = """
import sys
from llmtrace_sdk.telemetry.spans import Telemetry
from llmtrace_sdk.telemetry.options import TelemetryOptions
from llmtrace_sdk.typing import Endpoint
from llmtrace_sdk.core.model import CallRecord, Decision
telemetry = Telemetry(TelemetryOptions())
assert telemetry._tracer is None
span = telemetry.start(Endpoint("openai", "chat", "chat_completions"), "m", "localhost", None, 1, False)
assert span.role == "own" and span.attach() is None and not span.span.is_recording()
facts = dict(id="r", provider="openai", operation="chat", api="chat_completions", address="localhost", port=None)
ends = dict(path="/", started_ns=1, ended_ns=2, outcome="complete", stream_end="complete", decision=Decision("r"))
telemetry.deliver(CallRecord(**facts, **ends), span)
heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.util.genai")
sdk = [name for name in sys.modules if name.startswith(heavy)]
assert not sdk, sdk
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
span = telemetry.start(Endpoint("openai", "chat", "chat_completions"), "m", "localhost", None, 1, False)
assert span.span.is_recording(), "a provider that is set later counts"
"""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
