"""Lines of a text that pose as turns of the conversation."""

from __future__ import annotations

from llmtrace_sdk.detectors import _rules


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("role_injection", {"input"}, _rules.load("role_injection"))
