"""Files in tool calls that hold accounts, keys or sessions (OWASP LLM06)."""

from __future__ import annotations

from llmtrace_sdk.detectors import _rules


def in_a_path(text: str, start: int, _end: int) -> bool:
    """A file in a folder, not a property of an object in code."""
    return text[max(0, start - 1) : start] in ("/", "\\")


CHECKS = {"in_a_path": in_a_path}


def build() -> _rules.RuleDetector:
    """The detector."""
    rules = _rules.load("sensitive_file_access")
    return _rules.RuleDetector("sensitive_file_access", {"input", "output"}, rules, CHECKS)
