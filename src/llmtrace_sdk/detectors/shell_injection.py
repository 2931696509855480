"""Shell commands that a text wants to have run (OWASP LLM06)."""

from __future__ import annotations

import re
from typing import Final

from llmtrace_sdk.detectors import _rules

LOOK_BACK: Final = 120
LOOK_AHEAD: Final = 60

_SENTENCE_END: Final = re.compile(r"[.!?][\"')]?\s|\n\s*\n")
_RUN: Final = re.compile(
    r"\b(?:run|execute|exec|invoke|launch|start|perform|issue|type|paste|enter|evaluate|eval)\b", re.IGNORECASE
)
_ABOUT: Final = re.compile(
    r"\b(?:what|why|how|when|whether|explain\w*|describe\w*|mean(?:s|ing)?|example|tutorial|never|don['\u2019]?t|do not"
    r"|avoid\w*|dangerous|detect\w*|someone|attackers?|hackers?|accidentally|happens?)\b",
    re.IGNORECASE,
)
_ASKED: Final = re.compile(
    r"[\"'`)\s]{0,4}(?:do(?:es)?|means?|works?|is|are|was|used|considered|on (?:linux|a server)|in your head)\b"
    r"|[^.!\n]{0,50}\?",
    re.IGNORECASE,
)
_TO_AN_AGENT: Final = re.compile(
    r"\b(?:your|the) (?:shell|terminal|bash|console|tools?|code interpreter|sandbox|command line)\b"
    r"|\b(?:silently|immediately|right now|without asking|you must|i want you to|as (?:root|admin))\b",
    re.IGNORECASE,
)
# A command that goes on behind something else, as when it is put into a field that a program hands to a shell.
_SMUGGLED: Final = re.compile(r"[\w\"')](?:;|&&|\|\|)\s{0,3}(?:sudo\s{1,3})?\Z")
_RECURSIVE: Final = re.compile(r"\s(?:-[a-z]*r|--recursive|--no-preserve-root)", re.IGNORECASE)


def ordered(text: str, start: int, end: int) -> bool:
    """Somebody is told to run it, or it is smuggled in behind another command; it is not only shown or asked about."""
    before = text[max(0, start - LOOK_BACK) : start]
    sentence = _last_sentence(before)
    if _ABOUT.search(sentence) or _ASKED.match(text, end, end + LOOK_AHEAD):
        return False
    if _SMUGGLED.search(before):
        return True
    return bool(_RUN.search(sentence)) and (not _in_fence(text, start) or bool(_TO_AN_AGENT.search(before)))


def recursive_if_rm(text: str, start: int, end: int) -> bool:
    """`rm` without a recursive option spares directories; every other command counts as it is."""
    matched = text[start:end]
    if matched[:2].lower() != "rm":
        return True
    # `git rm` keeps what it removes; `--rm` is an option
    return not text[max(0, start - 4) : start].endswith(("git ", "-")) and bool(_RECURSIVE.search(matched))


def ordered_wipe(text: str, start: int, end: int) -> bool:
    """As `ordered`, and `rm` has a recursive option."""
    return recursive_if_rm(text, start, end) and ordered(text, start, end)


def _last_sentence(before: str) -> str:
    ends = [match.end() for match in _SENTENCE_END.finditer(before)]
    return before[ends[-1] :] if ends else before


def _in_fence(text: str, start: int) -> bool:
    """Whether the line before the command, or one of the few before it, opens a code block."""
    near = text[max(0, start - LOOK_BACK) : start]
    return near.count("```") % 2 == 1


CHECKS = {"ordered": ordered, "ordered_wipe": ordered_wipe, "recursive_if_rm": recursive_if_rm}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("shell_injection", {"input"}, _rules.load("shell_injection"), CHECKS)
