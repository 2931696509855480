"""SOC 2: what the relay shows for the Trust Services Criteria (AICPA TSP section 100, 2017 with revisions of 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_relay.reports import controls as shown
from llmtrace_relay.reports.controls import control

if TYPE_CHECKING:
    from llmtrace_relay.reports.evidence import Evidence

ACCESS_WORDS: Final = ("key", "auth", "token", "access")


def data(facts: Evidence) -> dict[str, Any]:
    """The counts."""
    return {
        "total_audit_events": facts.audit.events,
        "events_by_type": facts.audit.by_type,
        "total_security_findings": facts.calls.findings,
        "findings_by_severity": facts.calls.findings_by_severity,
        "total_traces_processed": facts.calls.traces,
        "unique_actors": facts.audit.actors,
        "access_control_events": facts.audit.about(*ACCESS_WORDS),
    }


def controls(facts: Evidence) -> list[dict[str, Any]]:
    """The criteria, in the order of their numbers."""
    return [
        control("CC6.1", "Access to systems and data needs a proven identity", shown.access(facts)),
        control("CC6.2", "Credentials are given to known users, and taken back", shown.lifetimes(facts)),
        control("CC6.3", "Rights follow roles and the least privilege", shown.roles(facts)),
        control("CC6.6", "Threats from outside are kept out", shown.threats(facts), shown.attempts(facts)),
        control("CC6.7", "Data in transmission is protected", shown.transmission(facts)),
        control("CC7.2", "Systems are watched for what is unusual", shown.watching(facts), shown.trail(facts)),
        control("CC7.3", "Security events are evaluated", shown.telling(facts)),
        control("CC8.1", "Changes are authorised and written down", shown.changes(facts)),
        control("C1.1", "Confidential data is identified and protected", shown.minimised(facts)),
        control("C1.2", "Confidential data is disposed of", shown.deleted_in_time(facts), shown.erased(facts)),
    ]
