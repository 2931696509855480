"""Instructions that try to take the model away from its own (OWASP LLM01), or to get these out of it (LLM07)."""

from __future__ import annotations

from llmtrace_sdk.detectors import _asserted, _rules

CHECKS = {"asserted": _asserted.asserted, "said_to_the_model": _asserted.said_to_the_model}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("prompt_injection", {"input"}, _rules.load("prompt_injection"), CHECKS)
