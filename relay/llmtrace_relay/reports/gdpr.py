"""GDPR: what the relay shows for Regulation (EU) 2016/679."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_relay.reports import controls as shown
from llmtrace_relay.reports.controls import control

if TYPE_CHECKING:
    from llmtrace_relay.reports.evidence import Evidence

LIFECYCLE_WORDS: Final = ("delete", "purge", "create", "update")


def data(facts: Evidence) -> dict[str, Any]:
    """The counts."""
    return {
        "total_processing_activities": facts.calls.spans,
        "processing_by_provider": facts.calls.by_provider,
        "processing_by_model": facts.calls.by_model,
        "pii_findings": facts.calls.findings_about("pii"),
        "data_lifecycle_events": facts.audit.about(*LIFECYCLE_WORDS),
        "tenants_processed": 1,
    }


def controls(facts: Evidence) -> list[dict[str, Any]]:
    """The articles, in the order of their numbers."""
    return [
        control("Art. 5(1)(c)", "Data minimisation", shown.minimised(facts)),
        control("Art. 5(1)(e)", "Storage limitation", shown.deleted_in_time(facts)),
        control("Art. 17", "Erasure on request", shown.erased(facts)),
        control("Art. 25", "Data protection by design and by default", shown.minimised(facts), shown.threats(facts)),
        control("Art. 30", "Records of processing", shown.trail(facts), _processors(facts)),
        control("Art. 32", "Security of processing", shown.access(facts), shown.transmission(facts)),
        control("Art. 33", "Breaches are noticed in time to notify", shown.watching(facts), shown.telling(facts)),
    ]


def _processors(facts: Evidence) -> shown.Shown:
    """Who was sent data."""
    providers = sorted(name for name in facts.calls.by_provider if name)
    gap = "contracts with processors and the places where they process are not known here; keep a list of them"
    return shown.Shown({"processors": providers}, [gap] if providers else [])
