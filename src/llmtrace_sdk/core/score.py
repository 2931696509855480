"""Findings -> one score of 0 to 100, as LLMTrace's proxy gives it (its `security_score`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_sdk.core.model import Finding

POINTS: Final = {
    Severity.INFO: 10,
    Severity.LOW: 30,
    Severity.MEDIUM: 60,
    Severity.HIGH: 80,
    Severity.CRITICAL: 95,
}
AUXILIARY: Final = frozenset(
    {
        "context_flooding",
        "is_covert",
        "is_hypothetical",
        "is_immoral",
        "is_incentive",
        "is_repeated_token",
        "is_systemic",
        "is_urgent",
    }
)
"""Types that say how a text is made rather than what it does; they count as low at most."""


def score_of(findings: Iterable[Finding]) -> int | None:
    """The highest score of a finding; None where there is none."""
    return max((_score(finding) for finding in findings), default=None)


def _score(finding: Finding) -> int:
    points = POINTS[finding.severity]
    return min(points, POINTS[Severity.LOW]) if finding.type in AUXILIARY else points
