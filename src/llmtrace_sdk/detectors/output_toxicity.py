"""Toxic language in answers, told by words (OWASP LLM05)."""

# ruff: noqa: RUF001
from __future__ import annotations

import re
from typing import Final

from llmtrace_sdk.detectors import _rules

LOOK_AROUND: Final = 100

_DENIED: Final = re.compile(
    r"\b(?:not|never|no|nor|neither|without|(?:is|are|do|wo|would)n['\u2019]?t|ne|pas|kein(?:e|en)?|nicht"
    r"|n[aã]o|non|не)[\s\"'*_,]{1,3}(?:\w{1,12}[\s\"'*_,]{1,3}){0,2}\Z",
    re.IGNORECASE,
)
_NOT_INSIDE: Final = re.compile(r"\b(?:not|never|n['\u2019]t|kein(?:e|en)?|nicht|no|non|pas)\b", re.IGNORECASE)
_OPENED: Final = re.compile(r"[\"“«„‘`][^\"“”«»„\n]{0,80}\Z|(?:^|\s)'[^'\n]{0,80}\Z")
_CLOSED: Final = re.compile(r"[^\"“”«»„`'\n]{0,80}[\"”»“’`']")
_TALKED_ABOUT: Final = re.compile(
    r"\b(?:words?|slurs?|terms?|insults?|phrases?|offensive|derogatory|profan\w+|swear\w*|curses?|hate speech|toxic\w*"
    r"|examples?|means?|meaning|translat\w+|quot\w+|said|says|saying|wrote|shouted|yelled|screamed|whispered|lyrics?|song"
    r"|novel|film|movie|character|scene|racis[mt]\w*|bully\w*|harass\w*|abus\w+|propaganda|stereotyp\w*|moderat\w+"
    r"|classif\w+|detect\w*|etymolog\w*|palabra|mot|wort|palavra|parola|слово)\b",
    re.IGNORECASE,
)
_CARE: Final = re.compile(
    r"\b(?:help ?lines?|hot ?lines?|crisis|988|116 ?123|therap\w+|counsel\w+|professional|support|reach out|thoughts?"
    r"|thinking|feel\w*|urges?|want(?:ing|ed)? to|tempted|careful|avoid\w*|risk\w*|accident\w*|if you|prevent\w*"
    r"|you (?:could|can|might|may|will|would)|so you|or you|lest|shave|knife)\b",
    re.IGNORECASE,
)


def not_denied(text: str, start: int, end: int) -> bool:
    """Not behind a negation of the same clause, and none inside."""
    if _NOT_INSIDE.search(text, start, end):
        return False
    return not _DENIED.search(text, max(0, start - LOOK_AROUND), start)


def meant(text: str, start: int, end: int) -> bool:
    """Said, not denied, and not quoted in a sentence that talks about it."""
    since, until = max(0, start - LOOK_AROUND), min(len(text), end + LOOK_AROUND)
    if not not_denied(text, start, end):
        return False
    quoted = _OPENED.search(text, since, start) and _CLOSED.match(text, end, until)
    return not (quoted and (_TALKED_ABOUT.search(text, since, start) or _TALKED_ABOUT.search(text, end, until)))


def urged(text: str, start: int, end: int) -> bool:
    """As `meant`, and not said out of care: a warning, or words of help."""
    since, until = max(0, start - LOOK_AROUND), min(len(text), end + LOOK_AROUND)
    cared_for = _CARE.search(text, since, start) or _CARE.search(text, end, until)
    return not cared_for and meant(text, start, end)


CHECKS = {"meant": meant, "urged": urged, "not_denied": not_denied}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("output_toxicity", {"output"}, _rules.load("output_toxicity"), CHECKS)
