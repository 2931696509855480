"""Compliance reports: what the relay knows about a tenant in a period, by what a framework asks for.

They are made of what is stored and of the settings in force, after the request for them, one after the other.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from llmtrace_relay import wire
from llmtrace_relay.line import Line
from llmtrace_relay.reports import gdpr, hipaa, soc2
from llmtrace_relay.reports.controls import retention
from llmtrace_relay.reports.evidence import gather
from llmtrace_relay.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_relay.model import Report
    from llmtrace_relay.reports.evidence import Evidence
    from llmtrace_relay.store import Store
    from llmtrace_sdk.config import Settings

__all__ = ["LINE", "begin", "content", "told"]

LONGEST_US: Final = 15 * 60 * 1_000_000
"""After so many microseconds a report that is not done never will be: whoever was making it is gone."""

LINE: Final = Line("llmtrace-reports")
NOT_COVERED: Final = (
    "Calls that do not go through the relay, and are not reported to it, are not counted.",
    "Attempts with keys that nobody has belong to no tenant: the operator of the relay finds them in the audit.",
    "The settings are those at the time of the report, not those of the period.",
    "It says what the relay has recorded; it attests nothing, and most of what a framework asks for is outside of it.",
)
_LOST: Final = "the relay ended before the report was done; ask for it anew"
_FRAMEWORKS: Final = {"soc2": soc2, "gdpr": gdpr, "hipaa": hipaa}

_log = logging.getLogger("llmtrace.relay")


def begin(report: Report, store: Store, settings: Settings, now_us: Callable[[], int]) -> bool:
    """Make a pending report that is stored, on another thread; False when too many wait."""
    return LINE.put(lambda: _make(report, store, settings, now_us))


def told(report: Report, now: int) -> Report:
    """A report as it is told at a time: one that nobody makes any more has failed."""
    if report.status == "pending" and now - report.created_at > LONGEST_US:
        return structs.replace(report, status="failed", error=_LOST)
    return report


def content(facts: Evidence, report_type: str) -> dict[str, Any]:
    """What a report says. `data` has the counts of LLMTrace's reports."""
    framework = _FRAMEWORKS[report_type]
    return {
        "report_type": report_type,
        "data": framework.data(facts),
        "controls": framework.controls(facts),
        "retention": retention(facts),
        "policy": facts.settings.policy_hash,
        "made_at": wire.rfc3339(facts.now),
        "not_covered": list(NOT_COVERED),
    }


def _make(report: Report, store: Store, settings: Settings, now_us: Callable[[], int]) -> None:
    try:
        facts = gather(store, settings, report.tenant_id, report.period_start, report.period_end, now_us())
        done = structs.replace(report, status="completed", content=content(facts, report.report_type))
    except StoreUnavailable:
        done = structs.replace(report, status="failed", error="the database did not answer; ask for it anew")
    except Exception as error:  # noqa: BLE001 - the report must not stay pending
        _log.error("llmtrace relay: a report failed with %s; please report it", type(error).__name__)
        done = structs.replace(report, status="failed", error="something went wrong within the relay; its log has more")
    now = now_us()
    if now - report.created_at <= LONGEST_US:  # or it was told to have failed already
        store.put_report(structs.replace(done, completed_at=now))
