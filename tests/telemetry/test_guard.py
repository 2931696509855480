"""Guard spans and the events of findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind

from llmtrace_sdk.core.model import Severity, Timings
from llmtrace_sdk.telemetry.options import TelemetryOptions

from .rig import MS, STARTED, Rig, blocked, decided, finding, record

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

SLOW = Timings(added=9 * MS, parse=1 * MS, scan_input=2 * MS, scan_output=3 * MS)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_quick_scan_that_found_nothing_has_no_span() -> None:
    assert [span.name for span in Rig().tell(record())] == ["chat gpt-4o"]


def test_slow_scans_are_children_with_true_times() -> None:
    rig = Rig()
    rig.tell(record(timings=SLOW))
    parent = rig.span("chat gpt-4o")
    inbound, outbound = rig.span("llmtrace.guard input"), rig.span("llmtrace.guard output")
    assert (inbound.start_time, inbound.end_time) == (STARTED, STARTED + 3 * MS)
    assert (outbound.start_time, outbound.end_time) == (STARTED + 300 * MS, STARTED + 500 * MS)
    for span in (inbound, outbound):
        assert span.kind is SpanKind.INTERNAL
        assert span.parent == parent.context
    assert attributes(inbound)["llmtrace.guard.phase"] == "input"
    assert attributes(inbound)["llmtrace.guard.detectors"] == ("injection", "pii")
    assert attributes(inbound)["llmtrace.guard.verdict"] == "allow"


def test_a_finding_is_an_event_of_its_phase() -> None:
    rig = Rig()
    decision = decided("flag", findings=(finding(phase="output"),), phase="output")
    rig.tell(record(findings=(finding(phase="output"),), decision=decision))
    assert not [span for span in rig.spans() if span.name == "llmtrace.guard input"]
    guard = rig.span("llmtrace.guard output")
    (event,) = guard.events
    assert event.name == "llmtrace.finding"
    assert event.timestamp == STARTED + 500 * MS
    assert attributes(guard)["llmtrace.guard.verdict"] == "warn"
    found: dict[str, Any] = dict(event.attributes or {})
    assert len(found.pop("llmtrace.finding.id")) == 36
    assert found == {
        "llmtrace.record.id": "rec-1",
        "llmtrace.finding.type": "prompt_injection",
        "llmtrace.finding.category": "prompt_injection",
        "llmtrace.finding.severity": "high",
        "llmtrace.finding.confidence": 0.9,
        "llmtrace.finding.detector": "injection",
        "llmtrace.finding.phase": "output",
        "llmtrace.finding.target": "user",
        "llmtrace.finding.location": "/messages/0/content",
        "llmtrace.finding.span.start": 4,
        "llmtrace.finding.span.length": 8,
        "llmtrace.finding.match.hash": "hmac-sha256:0123456789abcdef",
        "llmtrace.finding.action": "warn",
        "security_rule.name": "pi.override",
        "security_rule.category": "prompt_injection",
        "security_rule.ruleset.name": "llmtrace",
    }


def test_a_finding_that_caused_nothing_is_audited() -> None:
    rig = Rig()
    cause, other = finding(), finding(rule="pi.other", severity=Severity.LOW)
    rig.tell(blocked(findings=(cause, other), decision=decided("block", findings=(cause,))))
    events = rig.span("llmtrace.guard input").events
    assert [(e.attributes or {})["llmtrace.finding.action"] for e in events] == ["block", "audit"]


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({"channel": "system"}, "system"),
        ({"channel": "assistant", "kind": "tool_call"}, "tool_call"),
        ({"channel": "tool", "kind": "text"}, "tool_result"),
        ({"channel": "tool", "kind": "tool_definition"}, "tool_definition"),
        ({"channel": "data"}, "data"),
    ],
)
def test_targets(changes: dict[str, Any], target: str) -> None:
    rig = Rig()
    rig.tell(record(findings=(finding(**changes),)))
    (event,) = rig.span("llmtrace.guard input").events
    assert (event.attributes or {})["llmtrace.finding.target"] == target


def test_the_worst_32_findings_of_a_phase_have_events() -> None:
    rig = Rig()
    many = [finding(severity=Severity.LOW, rule=f"low.{n}") for n in range(40)]
    many.append(finding(severity=Severity.CRITICAL, rule="worst"))
    output = [finding(phase="output", rule="out") for _ in range(3)]
    rig.tell(record(findings=(*many, *output)))
    guard = rig.span("llmtrace.guard input")
    assert len(guard.events) == 32
    assert (guard.events[0].attributes or {})["security_rule.name"] == "worst"
    assert attributes(guard)["llmtrace.findings.dropped"] == 9
    assert "llmtrace.findings.dropped" not in attributes(rig.span("llmtrace.guard output"))
    whole = attributes(rig.span("chat gpt-4o"))
    assert (whole["llmtrace.findings.count"], whole["llmtrace.findings.dropped"]) == (44, 9)
    assert whole["llmtrace.findings.max_severity"] == "critical"
    assert len(rig.logs()) == 35
    assert sum(value for _, value in rig.points("llmtrace.findings")) == 44


def test_log_records_repeat_the_span_events() -> None:
    rig = Rig()
    rig.tell(
        record(
            findings=(
                finding(severity=Severity.CRITICAL),
                finding(severity=Severity.MEDIUM),
                finding(severity=Severity.INFO),
            )
        )
    )
    guard, logs = rig.span("llmtrace.guard input"), rig.logs()
    assert [log.event_name for log in logs] == ["llmtrace.finding"] * 3
    assert [dict(log.attributes) for log in logs] == [dict(e.attributes or {}) for e in guard.events]
    assert [log.severity_number.value for log in logs] == [17, 13, 9]
    assert guard.context is not None
    assert {(log.trace_id, log.span_id) for log in logs} == {(guard.context.trace_id, guard.context.span_id)}
    assert {log.timestamp for log in logs} == {guard.end_time}


def test_finding_ids_are_stable_and_distinct() -> None:
    ids = []
    for _ in range(2):
        rig = Rig()
        rig.tell(record(findings=(finding(), finding())))
        ids.append([(e.attributes or {})["llmtrace.finding.id"] for e in rig.span("llmtrace.guard input").events])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_log_records_can_be_switched_off() -> None:
    rig = Rig(TelemetryOptions(emit_events=False))
    rig.tell(blocked())
    assert rig.logs() == []
    assert len(rig.span("llmtrace.guard input").events) == 1


def test_no_draft_names_by_default() -> None:
    rig = Rig()
    rig.tell(blocked())
    assert "gen_ai.guardrail" not in rig.everything()


def test_the_draft_of_427() -> None:
    rig = Rig(TelemetryOptions(semconv_guardrail="427"), policy_id="p")
    rig.tell(blocked())
    guard = rig.span("llmtrace.guard input")
    drafted = {k: v for k, v in attributes(guard).items() if k.startswith("gen_ai.")}
    assert drafted == {
        "gen_ai.guardrail.verdict.type": "deny",
        "gen_ai.guardrail.verdict.reason": "prompt_injection.high",
        "gen_ai.guardrail.action.type": "block",
        "gen_ai.guardrail.target.type": "input",
        "gen_ai.guardrail.component.name": "llmtrace",
    }
    event = guard.events[1]
    assert event.name == "gen_ai.guardrail.security.finding"
    assert dict(event.attributes or {}) == {
        "gen_ai.guardrail.security.policy.id": "p",
        "gen_ai.guardrail.security.policy.rule.id": "pi.override",
        "gen_ai.guardrail.security.risk.category": "prompt_injection",
        "gen_ai.guardrail.security.risk.score": 0.9,
        "gen_ai.guardrail.target.type": "input",
        "gen_ai.guardrail.component.name": "injection",
    }


def test_the_counter_draft_has_no_verdict() -> None:
    rig = Rig(TelemetryOptions(semconv_guardrail="result"), policy_id="p", policy_version="2")
    rig.tell(blocked())
    guard = rig.span("llmtrace.guard input")
    assert not [name for name in attributes(guard) if name.startswith("gen_ai.")]
    event = guard.events[1]
    assert event.name == "gen_ai.guardrail.result"
    assert dict(event.attributes or {}) == {
        "gen_ai.guardrail.component.name": "injection",
        "gen_ai.guardrail.policy.id": "p",
        "gen_ai.guardrail.policy.version": "2",
        "gen_ai.guardrail.policy.rule.id": "pi.override",
        "gen_ai.guardrail.risk.category": "prompt_injection",
        "gen_ai.guardrail.risk.score": 0.9,
        "gen_ai.guardrail.result.reason": "prompt_injection.high",
    }
    assert [log.event_name for log in rig.logs()] == ["llmtrace.finding", "gen_ai.guardrail.result"]
