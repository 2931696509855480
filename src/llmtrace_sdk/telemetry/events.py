"""Findings -> events: the same name and attributes on the guard span and as a log record.

Log records reach those who look for security events even where head sampling drops the span.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from opentelemetry import _logs
from opentelemetry._logs import SeverityNumber

from llmtrace_sdk.core.model import Severity
from llmtrace_sdk.telemetry import names
from llmtrace_sdk.telemetry.attributes import decision_name
from llmtrace_sdk.telemetry.bounds import attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry._logs import Logger, LoggerProvider
    from opentelemetry.context import Context

    from llmtrace_sdk.core.model import CallRecord, Finding, Phase

FINDINGS_LIMIT: Final = 32
RULESET: Final = "llmtrace"
# Both came after the oldest version of the API that we allow; without them findings are on spans only.
_CAN_EMIT: Final = "event_name" in inspect.signature(_logs.Logger.emit).parameters and hasattr(_logs.Logger, "enabled")


class Event(NamedTuple):
    """A span event and a log record to be."""

    name: str
    attributes: Mapping[str, Any]
    severity: Severity = Severity.INFO


class PhaseFindings(NamedTuple):
    """The findings of one phase that get an event, worst first, each with its index in the record."""

    kept: tuple[tuple[int, Finding], ...]
    dropped: int


def of_phase(record: CallRecord, phase: Phase) -> PhaseFindings:
    """The worst `FINDINGS_LIMIT` findings of a phase, and how many more there were."""
    found = [(index, f) for index, f in enumerate(record.findings) if f.phase == phase]
    found.sort(key=lambda pair: (-pair[1].severity, -pair[1].confidence))
    return PhaseFindings(tuple(found[:FINDINGS_LIMIT]), max(len(found) - FINDINGS_LIMIT, 0))


def of_finding(record: CallRecord, index: int, finding: Finding) -> Event:
    """The `llmtrace.finding` event. Its id depends on the record's id and the index only, so that the span event, the
    log record and a stored record can be told to be one.
    """
    caused = finding in record.decision.findings
    facts = {
        names.FINDING_ID: str(uuid5(NAMESPACE_URL, f"llmtrace:finding:{record.id}:{index}")),
        names.RECORD_ID: record.id,
        names.FINDING_TYPE: finding.type,
        names.FINDING_CATEGORY: finding.category,
        names.FINDING_SEVERITY: finding.severity.label,
        names.FINDING_CONFIDENCE: float(finding.confidence),
        names.FINDING_DETECTOR: finding.detector,
        names.FINDING_PHASE: finding.phase,
        names.FINDING_TARGET: _target(finding),
        names.FINDING_LOCATION: finding.pointer,
        names.FINDING_SPAN_START: finding.start,
        names.FINDING_SPAN_LENGTH: finding.end - finding.start,
        names.FINDING_MATCH_HASH: finding.match_hash,
        names.FINDING_ACTION: decision_name(record.decision.action if caused else "log"),
        names.RULE_NAME: finding.rule,
        names.RULE_CATEGORY: finding.category,
        names.RULE_RULESET: RULESET,
    }
    return Event(names.FINDING_EVENT, attributes(facts), finding.severity)


def of_draft_427(finding: Finding, policy_id: str) -> Event:
    """The same finding as semantic-conventions-genai #427 would have it."""
    facts = {
        names.SECURITY_POLICY_ID: policy_id,
        names.SECURITY_RULE_ID: finding.rule,
        names.SECURITY_RISK_CATEGORY: finding.category,
        names.SECURITY_RISK_SCORE: float(finding.confidence),
        names.GUARDRAIL_TARGET: finding.phase,
        names.GUARDRAIL_COMPONENT: finding.detector,
    }
    return Event(names.SECURITY_FINDING_EVENT, attributes(facts), finding.severity)


def of_draft_result(finding: Finding, policy_id: str, policy_version: str) -> Event:
    """The same finding as the counter-draft would have it, which wants no verdict from in-process guardrails."""
    facts = {
        names.GUARDRAIL_COMPONENT: finding.detector,
        names.GUARDRAIL_POLICY_ID: policy_id,
        names.GUARDRAIL_POLICY_VERSION: policy_version,
        names.GUARDRAIL_RULE_ID: finding.rule,
        names.GUARDRAIL_RISK_CATEGORY: finding.category,
        names.GUARDRAIL_RISK_SCORE: float(finding.confidence),
        names.GUARDRAIL_RESULT_REASON: f"{finding.type}.{finding.severity.label}",
    }
    return Event(names.GUARDRAIL_RESULT_EVENT, attributes(facts), finding.severity)


def _target(finding: Finding) -> str:
    if finding.kind in ("tool_call", "tool_result", "tool_definition"):
        return finding.kind
    return "tool_result" if finding.channel == "tool" else finding.channel


class EventLog:
    """Log records through the OpenTelemetry logs API; silent where the application has no LoggerProvider."""

    __slots__ = ("_logger", "_provider", "_version", "_wanted")

    def __init__(self, wanted: bool, version: str, provider: LoggerProvider | None) -> None:
        self._wanted = wanted and _CAN_EMIT
        self._version = version
        self._provider = provider
        self._logger: Logger | None = None

    def listening(self) -> bool:
        """Whether anyone takes what `emit` gives."""
        return self._wanted and self._found().enabled()

    def emit(self, event: Event, context: Context, timestamp_ns: int) -> None:
        """Emit one event, tied to the span in `context`; ask `listening` first."""
        number = _severity(event.severity)
        self._found().emit(
            timestamp=timestamp_ns,
            context=context,
            severity_number=number,
            severity_text=number.name,
            event_name=event.name,
            attributes=event.attributes,
        )

    def _found(self) -> Logger:
        if self._logger is None:
            self._logger = _logs.get_logger(names.SCOPE, self._version, self._provider, names.SCHEMA_URL)
        return self._logger


def _severity(severity: Severity) -> SeverityNumber:
    if severity >= Severity.HIGH:
        return SeverityNumber.ERROR
    return SeverityNumber.WARN if severity == Severity.MEDIUM else SeverityNumber.INFO
