"""Natural language that makes an agent run or give away SQL (OWASP LLM05)."""

from __future__ import annotations

import re
from typing import Final

from llmtrace_sdk.detectors import _asserted, _rules

LOOK_AROUND: Final = 160

_STUDIED: Final = re.compile(
    r"\b(?:sql injections?|sqli|injection (?:attacks?|payloads?)|vulnerab\w+|sanitiz\w+|sanitis\w+|prepared statements?"
    r"|parameteri[sz]ed|tutorial|homework|exercise|xkcd|owasp|what (?:does|is|are|happens)|explain\w*|how (?:do|does|to"
    r"|can|would))\b",
    re.IGNORECASE,
)
# A statement is asked for, not its effect.
_TO_BE_WRITTEN: Final = re.compile(
    r"\b(?:write|create|generate|give|show|provide|explain|need|want|draft|construct|how|what|query|queries|statement"
    r"|command|script|function|code|sql|used|way|syntax)\b[^.!?\n]{0,60}\Z",
    re.IGNORECASE,
)


def smuggled(text: str, start: int, end: int) -> bool:
    """Not part of a lesson about it, which says so near by."""
    return not _STUDIED.search(text, max(0, start - LOOK_AROUND), min(len(text), end + LOOK_AROUND))


def live_order(text: str, start: int, end: int) -> bool:
    """An order to do it, not to write the statement that would."""
    since = max(0, start - LOOK_AROUND)
    return _asserted.asserted(text, start, end) and not _TO_BE_WRITTEN.search(text, since, start)


CHECKS = {"asserted": _asserted.asserted, "smuggled": smuggled, "live_order": live_order}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("p2sql_injection", {"input"}, _rules.load("p2sql_injection"), CHECKS)
