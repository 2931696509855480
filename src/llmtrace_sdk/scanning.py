"""`scan(text)`: the detectors without a call around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from msgspec import Struct

from llmtrace_sdk import runtime
from llmtrace_sdk.core.fusion import THRESHOLDS
from llmtrace_sdk.core.model import Channel, Finding, Segment, Severity

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Phase

CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)


class ScanResult(Struct, frozen=True):
    """What the detectors found in one text.

    `score` (0..1) is the calibrated injection score: about 1 % of benign texts reach 0.75, 0.1 % reach 0.9; 0 for the
    channels system and assistant. `flagged` is true when it reaches the configured operating point, or when a finding
    of another kind reaches the policy's `min_severity` and `min_confidence`.
    """

    score: float
    flagged: bool
    findings: tuple[Finding, ...]


def scan(text: str, *, channel: Channel = "user") -> ScanResult:
    """Run the detectors over one text as if it came over `channel` (user, assistant, system, tool, data).

    Raises `ValueError` for an unknown channel.
    """
    if channel not in CHANNELS:
        raise ValueError(f"unknown channel {channel!r}; use one of {', '.join(CHANNELS)}")
    current = runtime.current()
    phase: Phase = "output" if channel == "assistant" else "input"
    report = current.pipeline.engine.scan((Segment(text, channel, ""),), phase)
    policy = current.settings.enforcement
    lowest = Severity.parse(policy.min_severity)
    return ScanResult(
        score=report.score,
        flagged=report.score >= THRESHOLDS[current.settings.security_analysis.operating_point]
        or any(f.severity >= lowest and f.confidence >= policy.min_confidence for f in report.findings),
        findings=report.findings,
    )
