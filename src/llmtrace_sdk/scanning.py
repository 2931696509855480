"""`scan(text)`: the detectors without a call around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from msgspec import Struct

from llmtrace_sdk import runtime
from llmtrace_sdk.core.model import Channel, Finding, Segment, Severity

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Phase

CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)
INJECTION_CATEGORIES: Final = frozenset({"prompt_injection", "jailbreak", "system_prompt_leakage"})


class ScanResult(Struct, frozen=True):
    """What the detectors found in one text.

    `score` (0..1) is the confidence of the strongest injection or jailbreak finding. `flagged` is true when a finding
    of any type reaches the policy's `min_severity` and `min_confidence`.
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
        score=max((f.confidence for f in report.findings if f.category in INJECTION_CATEGORIES), default=0.0),
        flagged=any(f.severity >= lowest and f.confidence >= policy.min_confidence for f in report.findings),
        findings=report.findings,
    )
