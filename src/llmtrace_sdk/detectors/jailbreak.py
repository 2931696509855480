"""Personas and modes that are to free the model of its rules (OWASP LLM01)."""

from __future__ import annotations

import re
from typing import Final

from llmtrace_sdk.detectors import _asserted, _rules

_GOES_ON: Final = re.compile(r"[\s,]{1,3}(?:that|because|since|when|but|until|with|about|for)\b", re.IGNORECASE)


def named(text: str, start: int, end: int) -> bool:
    """Meant as a name or a power, not as part of an ordinary sentence."""
    return _asserted.asserted(text, start, end) and not _GOES_ON.match(text, end)


CHECKS = {"asserted": _asserted.asserted, "named": named}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("jailbreak", {"input"}, _rules.load("jailbreak"), CHECKS)
