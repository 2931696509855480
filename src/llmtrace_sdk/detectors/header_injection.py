"""Texts that pose as messages of the system or of those who run it (OWASP LLM01)."""

from __future__ import annotations

from llmtrace_sdk.detectors import _rules


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("header_injection", {"input"}, _rules.load("header_injection"))
