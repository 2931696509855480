"""Answers that give away the model's own instructions (OWASP LLM07)."""

from __future__ import annotations

import re
from typing import Final

from llmtrace_sdk.detectors import _rules

LOOK_BACK: Final = 100
LOOK_AHEAD: Final = 60

_WITHHELD: Final = re.compile(
    r"[\s\"'*_:,-]{0,4}(?:\w{1,14}[\s,]{1,3}){0,4}?(?:confidential|private|secret\b|proprietary|protected|hidden"
    r"|not\b|n['\u2019]t\b|unavailable|something i|off[- ]limits|internal\b|vertraulich|geheim|confidencial(?:es)?"
    r"|confidentiel(?:le)?s?)",
    re.IGNORECASE,
)
_REFUSED: Final = re.compile(
    r"\b(?:can(?:no|['\u2019])t|cannot|won['\u2019]?t|will not|not able to|unable to|do(?:n['\u2019]t| not)|never"
    r"|refuse to|if|whether|nor|without|no|not|what|imagine|suppose|pretend|puedo|peux|kann)\b"
    r"(?:(?!\b(?:but|however|anyway|pero|mais|aber)\b)[^.!?\n]){0,60}\Z",
    re.IGNORECASE,
)
_WRITTEN_FOR_SOMEBODY: Final = re.compile(
    r"\b(?:examples?|sample|template|draft|you (?:could|can|might|may)|(?:for|in) your|try|suggest\w*|improved|revised"
    r"|use (?:this|the following)|write|here['\u2019]?s an?|create|such as|like this|format|documentation)\b",
    re.IGNORECASE,
)


def disclosed(text: str, start: int, end: int) -> bool:
    """It is said, not withheld: neither refused before nor called confidential behind."""
    if _WITHHELD.match(text, end, end + LOOK_AHEAD):
        return False
    return not _REFUSED.search(text, max(0, start - LOOK_BACK), start)


def own_words(text: str, start: int, end: int) -> bool:
    """As `disclosed`, and not a prompt that was written for somebody to use."""
    since = max(0, start - LOOK_BACK)
    return disclosed(text, start, end) and not _WRITTEN_FOR_SOMEBODY.search(text, since, end)


CHECKS = {"disclosed": disclosed, "own_words": own_words}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("data_leakage", {"output"}, _rules.load("data_leakage"), CHECKS)
