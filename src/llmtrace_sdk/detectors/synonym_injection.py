"""Orders to give up earlier instructions in words that filters do not look for (OWASP LLM01)."""

from __future__ import annotations

from llmtrace_sdk.detectors import _asserted, _rules

CHECKS = {"asserted": _asserted.asserted, "said_to_the_model": _asserted.said_to_the_model}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("synonym_injection", {"input"}, _rules.load("synonym_injection"), CHECKS)
