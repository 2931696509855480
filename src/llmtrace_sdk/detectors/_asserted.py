"""Whether a phrase is said to the model, or only talked about: what stands before it in its sentence decides."""

from __future__ import annotations

import re
from typing import Final

LOOK_BACK: Final = 80
LOOK_AHEAD: Final = 40

# What may stand between two words of one sentence.
_GAP: Final = r"[\s\"'“”\u2018\u2019*_(,]{1,3}"
_WORDS: Final = rf"(?:(?!you\b|your\b)\w{{1,12}}{_GAP})"
_OTHERS: Final = (
    "people|users|attackers?|hackers?|students|someone|anyone|they|he|she|we|i|companies|drivers|developers|children"
    "|kids|employees|models?|llms?|git|parsers?|compilers?|patients|doctors|jailbreakers"
)
_NEGATED: Final = re.compile(
    rf"(?<!why )\b(?:not|never|nor|without|cannot|\w{{2,7}}n['\u2019]?t){_GAP}(?:(?:ever|to|please|be){_GAP}){{0,2}}\Z",
    re.IGNORECASE,
)
_ASKED: Final = re.compile(
    rf"\b(?:what|how|why|when|does|do|did|should|would|could|can){_GAP}{_WORDS}{{0,4}}"
    rf"(?:{_OTHERS}){_GAP}{_WORDS}{{0,2}}\Z"
    rf"|\b(?:how|what|why|who|where)(?:['\u2019]s|{_GAP}(?:do|does|did|is|are|was|were)){_GAP}{_WORDS}{{0,2}}\Z",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(
    r"\b(?:phrases?|terms?|words?|strings?|sentences?|expressions?|prompts?|texts?|inputs?|messages?|commands?|says?"
    r"|saying|said|does|means?|called|titled|like|such as|example|e\.g\.|as|of|is|define|explain|containing?|contains"
    r"|about)[\s:,(]{0,3}[\"“”\u2018'`«「]{1,3}\s?\Z",
    re.IGNORECASE,
)
_UNQUOTE: Final = re.compile(r"[^\"“”\u2019'`»」\n]*[\"“”\u2019'`»」]")


def asserted(text: str, start: int, end: int) -> bool:
    """Neither negated, nor quoted as a phrase that is talked about, nor asked about others."""
    return not _NEGATED.search(text, max(0, start - LOOK_BACK), start) and said_to_the_model(text, start, end)


def said_to_the_model(text: str, start: int, end: int) -> bool:
    """As `asserted`, for phrases that begin with a negation themselves."""
    since = max(0, start - LOOK_BACK)
    if _ASKED.search(text, since, start):
        return False
    return not (_QUOTED.search(text, since, start) and _UNQUOTE.match(text, end, end + LOOK_AHEAD))
