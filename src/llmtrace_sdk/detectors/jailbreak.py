"""Personas, modes, stories and pressure that are to free the model of its rules (OWASP LLM01)."""

from __future__ import annotations

import re
from typing import Final

from llmtrace_sdk.detectors import _asserted, _rules

_GOES_ON: Final = re.compile(r"[\s,]{1,3}(?:that|because|since|when|but|until|with|about|for)\b", re.IGNORECASE)
_OF_A_DEVICE: Final = re.compile(r"\s{1,3}(?:on|of|for|in|at|with|from|to)\b", re.IGNORECASE)


def named(text: str, start: int, end: int) -> bool:
    """Meant as a name or a power, not as part of an ordinary sentence."""
    return _asserted.asserted(text, start, end) and not _GOES_ON.match(text, end)


def mode(text: str, start: int, end: int) -> bool:
    """A mode of the model's, not of a device that is named behind it."""
    return _asserted.asserted(text, start, end) and not _OF_A_DEVICE.match(text, end)


CHECKS = {
    "asserted": _asserted.asserted,
    "said_to_the_model": _asserted.said_to_the_model,
    "named": named,
    "mode": mode,
}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("jailbreak", {"input"}, _rules.load("jailbreak"), CHECKS)
