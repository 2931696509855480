"""The guard span of a phase: when there is one, how long it lasted, what is on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.trace import SpanKind, StatusCode

from llmtrace_sdk.telemetry import attributes, events, names
from llmtrace_sdk.telemetry.bounds import attributes as bounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from llmtrace_sdk.core.model import CallRecord, Phase
    from llmtrace_sdk.telemetry.options import GuardrailNames
    from llmtrace_sdk.telemetry.ownership import Role

# Shorter inspections that found nothing are told by attributes of the inference span: a span costs more than it says.
WORTH_A_SPAN_NS: Final = 1_000_000


class Inspection(NamedTuple):
    """One phase of a call as it was inspected. Times in nanoseconds since the epoch; `spent_ns` is our own time."""

    phase: Phase
    start_ns: int
    end_ns: int
    spent_ns: int
    findings: events.PhaseFindings
    spanned: bool


class Draft(NamedTuple):
    """Which draft convention to follow beside our own names, and the policy it wants to hear of."""

    names: GuardrailNames = "off"
    policy_id: str = ""
    policy_version: str = ""


def inspections(record: CallRecord, role: Role, *, alone: bool) -> Iterator[Inspection]:
    """The phases of a call that were inspected. `alone`: guard spans are the only ones that we make for it."""
    timings = record.timings
    spent = timings.parse + timings.scan_input
    found = events.of_phase(record, "input")
    yield Inspection(
        "input",
        record.started_ns,
        record.started_ns + spent,
        spent,
        found,
        alone or _worth_a_span(record, role, "input", spent, found),
    )
    found = events.of_phase(record, "output")
    if record.upstream_called and (record.streamed or timings.scan_output or found.kept):
        began = record.ended_ns if record.first_chunk_ns is None else record.first_chunk_ns
        spanned = _worth_a_span(record, role, "output", timings.scan_output, found)
        ended = max(record.ended_ns, began)
        yield Inspection("output", began, ended, timings.scan_output, found, spanned)


def _worth_a_span(record: CallRecord, role: Role, phase: Phase, spent_ns: int, findings: events.PhaseFindings) -> bool:
    if findings.kept or spent_ns >= WORTH_A_SPAN_NS or record.decision.degraded:
        return True
    if role == "own":
        return False
    # A foreign span may have ended before the answer was judged, so the judgement needs a span of its own.
    if record.streamed and phase == "output":
        return True
    return record.decision.action != "allow" and record.decision.phase == phase


def make_span(
    tracer: Tracer, context: Context, record: CallRecord, inspection: Inspection, facts: Mapping[str, object]
) -> Span:
    """Start the guard span of an inspection as a child of the span in `context`, with `facts` beside its own."""
    phase = inspection.phase
    span = tracer.start_span(
        names.GUARD_SPANS[phase],
        context,
        SpanKind.INTERNAL,
        start_time=inspection.start_ns,
        record_exception=False,
        set_status_on_exception=False,
    )
    if span.is_recording():
        dropped = {names.FINDINGS_DROPPED: inspection.findings.dropped or None}
        span.set_attributes(bounded({**attributes.of_guard(record, phase), **facts, **dropped}))
        if record.decision.degraded:
            span.set_attribute(names.ERROR_TYPE, "_OTHER")
            span.set_status(StatusCode.ERROR, "degraded")
    return span


def events_of(record: CallRecord, inspection: Inspection, draft: Draft) -> Iterator[events.Event]:
    """The events of an inspection's findings, worst first."""
    for index, finding in inspection.findings.kept:
        yield events.of_finding(record, index, finding)
        if draft.names == "427":
            yield events.of_draft_427(finding, draft.policy_id)
        elif draft.names == "result":
            yield events.of_draft_result(finding, draft.policy_id, draft.policy_version)


def draft_facts(record: CallRecord, phase: Phase) -> attributes.Facts:
    """The guard span's attributes in the draft of #427, whose actions know no `warn`."""
    action = attributes.decision_name(record.decision.action)
    return {
        names.GUARDRAIL_VERDICT: attributes.verdict_name(record.decision.verdict),
        names.GUARDRAIL_VERDICT_REASON: record.decision.reason,
        names.GUARDRAIL_ACTION: "audit" if action == "warn" else action,
        names.GUARDRAIL_TARGET: phase,
        names.GUARDRAIL_COMPONENT: names.SCOPE,
    }
