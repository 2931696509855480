"""What the tests of the detectors share: one engine for all, and what it finds."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from llmtrace_sdk import detectors
from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.core.scan import Engine

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Channel, Finding, Phase


@cache
def engine() -> Engine:
    """An engine with every detector."""
    return Engine(detectors.build())


def findings(text: str, channel: Channel = "user", phase: Phase = "input") -> tuple[Finding, ...]:
    """What all detectors find in a text; none may fail."""
    report = engine().scan((Segment(text, channel, ""),), phase)
    assert report.failed == ()
    assert not report.truncated
    return report.findings


def matches(text: str, type_: str, phase: Phase = "input") -> dict[str, str]:
    """Matched texts by rule, of one type of finding."""
    return {f.rule: text[f.start : f.end] for f in findings(text, phase=phase) if f.type == type_}
