"""A Telemetry with real SDK providers that keep what they get, and records made by hand."""

from __future__ import annotations

from typing import Any

from msgspec import structs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from llmtrace_sdk.core.model import (
    Answer,
    CallRecord,
    Coverage,
    Decision,
    Finding,
    Prompt,
    Settings,
    Severity,
    Timings,
    Usage,
)
from llmtrace_sdk.telemetry.options import TelemetryOptions
from llmtrace_sdk.telemetry.spans import CallSpan, Telemetry
from llmtrace_sdk.typing import Endpoint

ENDPOINT = Endpoint("openai", "chat", "chat_completions")
STARTED = 1_750_000_000_000_000_000
MS = 1_000_000

_FINDING = Finding(
    type="prompt_injection",
    rule="pi.override",
    severity=Severity.HIGH,
    confidence=0.9,
    start=4,
    end=12,
    pointer="/messages/0/content",
    detector="injection",
    category="prompt_injection",
    match_hash="hmac-sha256:0123456789abcdef",
)
_RECORD = CallRecord(
    id="rec-1",
    provider="openai",
    operation="chat",
    api="chat_completions",
    address="api.openai.com",
    port=443,
    path="/v1/chat/completions",
    started_ns=STARTED,
    first_chunk_ns=STARTED + 300 * MS,
    ended_ns=STARTED + 500 * MS,
    outcome="complete",
    stream_end="complete",
    status=200,
    prompt=Prompt(model="gpt-4o"),
    answer=Answer(
        model="gpt-4o-2024-08-06", response_id="chatcmpl-1", finish_reasons=("stop",), usage=Usage(12, 34, 5, 6, 7)
    ),
    decision=Decision("rec-1"),
    coverage=Coverage("scanned"),
    chunks=1,
    timings=Timings(added=400_000, parse=20_000, scan_input=80_000, scan_output=50_000),
    detectors=("injection", "pii"),
)


def finding(**changes: Any) -> Finding:
    return structs.replace(_FINDING, **changes)


def record(**changes: Any) -> CallRecord:
    return structs.replace(_RECORD, **changes)


def asked(**settings: Any) -> Prompt:
    return Prompt(model="gpt-4o", settings=Settings(**settings))


def decided(action: Any, verdict: Any = None, **changes: Any) -> Decision:
    return Decision("rec-1", action=action, verdict=verdict or action, reason="prompt_injection.high", **changes)


def blocked(**changes: Any) -> CallRecord:
    """A call that was refused before it was sent, because of one finding."""
    found = (finding(),)
    facts: dict[str, Any] = {
        "outcome": "blocked",
        "stream_end": "blocked",
        "status": None,
        "first_chunk_ns": None,
        "upstream_called": False,
        "answer": Answer(),
        "decision": decided("block", findings=found),
        "findings": found,
    }
    return record(**{**facts, **changes})


class Rig:
    """Everything that a Telemetry tells, kept in memory."""

    def __init__(self, options: TelemetryOptions | None = None, sampler: Sampler = ALWAYS_ON, **settings: Any) -> None:
        self._spans = InMemorySpanExporter()
        self.tracer_provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self._reader = InMemoryMetricReader()
        self._logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        logger_provider = LoggerProvider(shutdown_on_exit=False)
        logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.faults: list[tuple[str, BaseException]] = []
        self.telemetry = Telemetry(
            options or TelemetryOptions(),
            tracer_provider=self.tracer_provider,
            meter_provider=MeterProvider([self._reader], shutdown_on_exit=False),
            logger_provider=logger_provider,
            on_fault=lambda component, error: self.faults.append((component, error)),
            **settings,
        )

    def start(self, endpoint: Endpoint = ENDPOINT, model: str | None = "gpt-4o", stream: bool = False) -> CallSpan:
        return self.telemetry.start(endpoint, model, "api.openai.com", 443, STARTED, stream)

    def tell(self, told: CallRecord) -> list[ReadableSpan]:
        """Start and deliver a call; the spans it made, in the order in which they ended."""
        self.telemetry.deliver(told, self.start(stream=told.streamed))
        return self.spans()

    def spans(self) -> list[ReadableSpan]:
        assert not self.faults, self.faults
        return list(self._spans.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.spans() if span.name == name]
        return found

    def logs(self) -> list[Any]:
        return [data.log_record for data in self._logs.get_finished_logs()]

    def metrics(self) -> dict[str, Any]:
        """By name; each with its data points."""
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        return {m.name: m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics}

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """Attributes and value (or sum) of each data point of a metric."""
        metric = self.metrics().get(name)
        if metric is None:
            return []
        return [(dict(p.attributes), getattr(p, "value", getattr(p, "sum", None))) for p in metric.data.data_points]

    def everything(self) -> str:
        """All that was told, as one text to search for what must not be in it."""
        spans = [span.to_json() for span in self.spans()]
        logs = [repr((log.attributes, log.body, log.event_name)) for log in self.logs()]
        data = self._reader.get_metrics_data()
        return "\n".join([*spans, *logs, data.to_json() if data else ""])
