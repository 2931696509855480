"""HIPAA: what the relay shows for the Security Rule (45 CFR part 164, subpart C)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_relay.reports import controls as shown
from llmtrace_relay.reports.controls import control
from llmtrace_relay.reports.evidence import matching

if TYPE_CHECKING:
    from llmtrace_relay.reports.evidence import Evidence

CONTROL_WORDS: Final = ("key", "auth", "token", "tenant")


def data(facts: Evidence) -> dict[str, Any]:
    """The counts. Failed attempts are those that the relay refused, and those that a vendor did."""
    return {
        "total_access_events": facts.calls.spans,
        "access_by_operation": facts.calls.by_operation,
        "unique_accessors": facts.audit.actors,
        "unauthorized_access_findings": facts.calls.findings_about("injection", "unauthorized"),
        "failed_access_attempts": sum(facts.audit.denied.values()) + facts.calls.refused,
        "access_control_changes": matching(facts.audit.by_type, CONTROL_WORDS),
    }


def controls(facts: Evidence) -> list[dict[str, Any]]:
    """The standards, in the order of their numbers."""
    return [
        control("164.308(a)(1)(ii)(D)", "Activity is reviewed", shown.trail(facts), shown.watching(facts)),
        control("164.308(a)(4)", "Access is authorised", shown.roles(facts), shown.lifetimes(facts)),
        control("164.308(a)(5)(ii)(C)", "Log-in attempts are monitored", shown.attempts(facts)),
        control("164.308(a)(6)(ii)", "Incidents are responded to", shown.telling(facts), shown.threats(facts)),
        control("164.312(a)(1)", "Access is technically limited to those with rights", shown.access(facts)),
        control("164.312(b)", "Activity is recorded", shown.trail(facts)),
        control("164.312(c)(1)", "Data is protected from improper alteration", _integrity()),
        control("164.312(d)", "Whoever asks is who they claim to be", shown.access(facts)),
        control("164.312(e)(1)", "Data in transmission is protected", shown.transmission(facts)),
        control("164.316(b)(2)(i)", "Documentation is kept for six years", _documents(facts)),
    ]


def _integrity() -> shown.Shown:
    return shown.Shown({}, ["records are not signed; limit who may write to the database, and keep backups"])


def _documents(facts: Evidence) -> shown.Shown:
    days = facts.settings.storage.retention_days
    gaps = []
    if days is not None and days < 6 * 365:
        gaps.append(f"calls are deleted after {days:g} days; where they are documentation, export them before")
    return shown.Shown({"audit": "kept until the database is deleted", "retention_days": days}, gaps)
