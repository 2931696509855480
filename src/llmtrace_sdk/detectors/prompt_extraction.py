"""Requests for the model's instructions, its context or what it is to keep secret (OWASP LLM07)."""

from __future__ import annotations

import re
from typing import Final

from llmtrace_sdk.detectors import _asserted, _rules

_OF_SOMETHING: Final = re.compile(
    r"\s{1,3}(?:for|on|about|of|when|in|at|regarding|concerning|as|to|if|towards?)\b", re.IGNORECASE
)


def whole(text: str, start: int, end: int) -> bool:
    """Meant without a subject: "your rules", not "your rules for grading essays"."""
    return _asserted.requested(text, start, end) and not _OF_SOMETHING.match(text, end)


CHECKS = {"requested": _asserted.requested, "whole": whole}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("prompt_extraction", {"input"}, _rules.load("prompt_extraction"), CHECKS)
