"""Spans, events and metrics of calls: started on the application's thread, filled in on the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode

from llmtrace_sdk import __version__
from llmtrace_sdk.telemetry import attributes, completion, content, events, faults, guard, names, redaction
from llmtrace_sdk.telemetry.bounds import attributes as bounded
from llmtrace_sdk.telemetry.bounds import text
from llmtrace_sdk.telemetry.callspan import OFF, CallSpan
from llmtrace_sdk.telemetry.metrics import Metrics
from llmtrace_sdk.telemetry.ownership import suppressed, traced_by_another

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

    from llmtrace_sdk.core.model import CallRecord
    from llmtrace_sdk.telemetry.content import Captured
    from llmtrace_sdk.telemetry.options import TelemetryOptions
    from llmtrace_sdk.typing import Endpoint

__all__ = ["CallSpan", "Telemetry"]

_Result = TypeVar("_Result")
# Modes of the policy -> llmtrace.enforcement.mode.
_ENFORCEMENT: Final = {"log": "monitor", "flag": "monitor", "redact": "enforce", "block": "enforce"}


class Telemetry:
    """The telemetry of one runtime. Making it does no work: providers are looked up at the first call.

    `hash_key` keys the digests of the `hash` form of captured content (random by default). `completion_hook` gets the
    content of every call that has any. `on_fault` is told of our own faults; by default they are logged once a minute.
    """

    def __init__(
        self,
        options: TelemetryOptions,
        *,
        mode: Literal["in_process", "relay"] = "in_process",
        policy_id: str = "",
        policy_version: str = "",
        enforcement_mode: str = "log",
        fail_mode: str = "open",
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        completion_hook: completion.CompletionHook | None = None,
        hash_key: bytes | None = None,
        on_fault: Callable[[str, BaseException], None] = faults.note,
    ) -> None:
        self._options = options
        self._spans = options.spans
        self._hosts = frozenset(host.lower() for host in options.propagate_hosts)
        self._on_span = options.capture in ("SPAN_ONLY", "SPAN_AND_EVENT")
        self._on_event = options.capture in ("EVENT_ONLY", "SPAN_AND_EVENT")
        self._tracer: Tracer | None = None
        self._tracer_provider = tracer_provider
        self._metrics = Metrics(
            options.semconv_metrics, version=__version__, mode=mode, policy_id=policy_id, provider=meter_provider
        )
        self._log = events.EventLog(options.emit_events, __version__, logger_provider)
        self._hook = completion_hook
        self._key = hash_key or redaction.new_key()
        self._on_fault = on_fault
        self._draft = guard.Draft(options.semconv_guardrail, policy_id, policy_version)
        self._fail_mode = fail_mode
        statics = bounded(
            {
                names.VERSION: __version__,
                names.MODE: mode,
                names.ENFORCEMENT_MODE: _ENFORCEMENT.get(enforcement_mode, enforcement_mode),
                names.POLICY_ID: policy_id,
                names.POLICY_VERSION: policy_version,
            }
        )
        self._own: dict[str, Any] = {**statics, names.SPAN_ROLE: "own"}
        self._enriching: dict[str, Any] = {**statics, names.SPAN_ROLE: "enrich"}

    # the hot path

    def start(
        self, endpoint: Endpoint, model: str | None, address: str, port: int | None, started_ns: int, stream: bool
    ) -> CallSpan:
        """The span of a call that begins, with what a sampler may want to know. Never raises."""
        try:
            return self._start(endpoint, model, address, port, started_ns, stream)
        except Exception as error:  # noqa: BLE001 - a foreign provider may do anything; the call goes on without a span
            self._on_fault("telemetry", error)
            return OFF

    def _start(
        self, endpoint: Endpoint, model: str | None, address: str, port: int | None, started_ns: int, stream: bool
    ) -> CallSpan:
        context = context_api.get_current()
        if self._spans == "off" or suppressed(context):
            return OFF
        current = trace.get_current_span(context)
        if traced_by_another(context, current):
            return CallSpan("enrich", current, context, self._enriching, stream)
        if self._spans == "guard_only":
            return CallSpan("enrich", None, context, self._enriching, stream)
        operation = endpoint.operation
        facts: dict[str, str | int] = {names.OPERATION: operation, names.PROVIDER: endpoint.provider}
        name = operation
        if model:
            facts[names.REQUEST_MODEL] = model = text(model)
            name = f"{operation} {model}"
        facts[names.SERVER_ADDRESS] = address
        if port is not None:
            facts[names.SERVER_PORT] = port
        tracer = self._tracer or self._find_tracer()
        span = tracer.start_span(name, context, SpanKind.CLIENT, facts, None, started_ns, False, False)  # noqa: FBT003
        return CallSpan("own", span, context, self._own, stream)

    def _find_tracer(self) -> Tracer:
        provider = self._tracer_provider
        self._tracer = tracer = trace.get_tracer(names.SCOPE, __version__, provider, names.SCHEMA_URL)
        return tracer

    def headers_for(self, span: CallSpan, host: str) -> tuple[tuple[str, str], ...]:
        """The propagation headers for a request; none unless its host is one of `propagate_hosts`.

        Baggage stays here: it may hold what the host must not know.
        """
        if span.role == "off" or host.lower() not in self._hosts:
            return ()
        try:
            from opentelemetry import propagate  # looks for plug-ins when imported

            carrier: dict[str, str] = {}
            current = trace.get_current_span(span.inner_context())
            propagate.inject(carrier, trace.set_span_in_context(current, Context()))
            return tuple(carrier.items())
        except Exception as error:  # noqa: BLE001 - as in `start`
            self._on_fault("telemetry", error)
            return ()

    # the worker's side

    def deliver(self, record: CallRecord, span: CallSpan) -> None:
        """Tell of a finished call: attributes, guard spans, events, metrics; ends our own span. Never raises."""
        if span.role == "off":
            return
        captured = self._guarded(self._capture, record)
        self._guarded(self._inspected, record, span)
        if span.role == "own":
            self._guarded(self._describe, record, span, captured)
        if captured is not None and self._hook is not None:
            self._guarded(completion.call, self._hook, captured, span.span)
        self._guarded(self._metrics.record_guarding, record, span.inner_context())
        if span.role == "own":
            self._guarded(self._metrics.record_client, record, span.inner_context())
            self._guarded(_end, record, span)

    def deliver_unspanned(self, record: CallRecord) -> None:
        """Tell of a call whose wire format nobody knows: it has no span, but it is counted. Never raises."""
        if self._spans != "off":
            self._guarded(self._metrics.record_guarding, record)

    def _guarded(self, step: Callable[..., _Result], *args: object) -> _Result | None:
        """The one guard of this side: a fault costs what the step would have told, and is counted."""
        try:
            return step(*args)
        except Exception as error:  # noqa: BLE001 - this is the guard
            self._on_fault("telemetry", error)
        try:
            self._metrics.record_fault("telemetry")
        except Exception as error:  # noqa: BLE001 - the meter itself is broken
            self._on_fault("telemetry", error)
        return None

    def _capture(self, record: CallRecord) -> Captured | None:
        if record.content is None or not (self._on_span or self._on_event or self._hook):
            return None
        return content.capture(record.content, record, self._options.content, self._key)

    def _inspected(self, record: CallRecord, call: CallSpan) -> None:
        """Guard spans, and the findings' events on them and in the log."""
        context = call.inner_context()
        own = call.role == "own"
        facts = self._guard_facts(record, own)
        spans = not own or (call.span is not None and call.span.is_recording())
        for inspection in guard.inspections(record, call.role, alone=call.span is None):
            span, inner = None, context
            if spans and inspection.spanned:
                drafted = guard.draft_facts(record, inspection.phase) if self._draft.names == "427" else {}
                tracer = self._tracer or self._find_tracer()
                span = guard.make_span(tracer, context, record, inspection, {**facts, **drafted})
                inner = trace.set_span_in_context(span, context)
            try:
                self._emit(record, inspection, span, inner)
            finally:
                if span is not None:
                    span.end(inspection.end_ns)

    def _emit(self, record: CallRecord, inspection: guard.Inspection, span: trace.Span | None, inner: Context) -> None:
        recording, listening = span is not None and span.is_recording(), self._log.listening()
        if not (recording or listening):
            return
        for event in guard.events_of(record, inspection, self._draft):
            if recording and span is not None:
                span.add_event(event.name, event.attributes, inspection.end_ns)
            if listening:
                self._log.emit(event, inner, inspection.end_ns)

    def _guard_facts(self, record: CallRecord, own: bool) -> attributes.Facts:
        """What the guard spans say beyond their phase: all that we know, where there is no span of ours to say it."""
        if own:
            return {names.VERSION: __version__, names.RECORD_ID: record.id}
        return {**self._enriching, **self._security_facts(record)}

    def _security_facts(self, record: CallRecord) -> attributes.Facts:
        dropped = 0
        if len(record.findings) > events.FINDINGS_LIMIT:
            dropped = sum(events.of_phase(record, phase).dropped for phase in ("input", "output"))
        return {
            **attributes.of_decision(record.decision, record.coverage),
            names.FAIL_MODE: self._fail_mode if record.decision.degraded else None,
            **attributes.of_findings(record.findings, dropped),
            **attributes.of_call(record),
        }

    def _describe(self, record: CallRecord, call: CallSpan, captured: Captured | None) -> None:
        """Attributes and status of our own span, and the event that repeats them with the content."""
        span = call.span
        recording = span is not None and span.is_recording()
        on_event = captured is not None and self._on_event and self._log.listening()
        if not recording and not on_event:
            return
        facts = bounded(
            {
                **self._own,
                **attributes.of_response(record),
                **self._security_facts(record),
                **attributes.of_request(record),
            }
        )
        if recording and span is not None:
            span.set_attributes(facts)
            error = attributes.error_type(record)
            if error is not None:
                span.set_status(StatusCode.ERROR, record.decision.reason if record.decision.blocked else None)
            if captured is not None and self._on_span:
                span.set_attributes(captured.serialised())
        if captured is not None and on_event:
            details: dict[str, Any] = {**_start_facts(record), **facts, **captured.structured()}
            self._log.emit(events.Event(names.DETAILS_EVENT, details), call.inner_context(), record.ended_ns)


def _start_facts(record: CallRecord) -> dict[str, Any]:
    return bounded(
        {
            names.OPERATION: record.operation,
            names.PROVIDER: record.provider,
            names.REQUEST_MODEL: record.prompt.model,
            names.SERVER_ADDRESS: record.address,
            names.SERVER_PORT: record.port,
        }
    )


def _end(record: CallRecord, call: CallSpan) -> None:
    """End our own span at the time the call really ended; not again, if it was abandoned."""
    if call.span is not None and call.span.is_recording():
        call.span.end(max(record.ended_ns, record.started_ns))
