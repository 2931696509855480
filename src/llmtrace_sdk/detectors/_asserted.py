"""Whether a phrase is said to the model, or only talked about: what stands around it in its sentence decides."""

from __future__ import annotations

import re
from typing import Final

LOOK_BACK: Final = 80
LOOK_AHEAD: Final = 40
DEMAND_AHEAD: Final = 120

# What may stand between two words of one sentence. A comma ends what a negation or a question governs.
_GAP: Final = r"[\s\"'“”\u2018\u2019*_(]{1,3}"
_SAME_LINE: Final = r"[ \t\"'“”\u2018\u2019*_]{1,3}"
_WORDS: Final = rf"(?:(?!you\b|your\b)\w{{1,12}}{_GAP})"
_OTHERS: Final = (
    "people|users|attackers?|hackers?|students|someone|anyone|they|he|she|i|companies|drivers|developers|children"
    "|kids|employees|models?|llms?|git|parsers?|compilers?|patients|doctors|jailbreakers"
)
_NEGATED: Final = re.compile(
    rf"(?<!why )\b(?:not|never|nor|without|cannot|(?:ca|wo|do|does|did|is|are|was|were|must|need|would"
    rf"|should|could|has|have|had|might)n['\u2019]?t){_SAME_LINE}"
    rf"(?:(?:ever|to|please|be|try|attempt){_SAME_LINE}){{0,3}}\Z",
    re.IGNORECASE,
)
_ASKED: Final = re.compile(
    rf"\b(?:what|how|why|when|does|do|did|should|would|could|can){_GAP}{_WORDS}{{0,4}}"
    rf"(?:{_OTHERS}){_GAP}{_WORDS}{{0,2}}\Z",
    re.IGNORECASE,
)
_ASKED_HOW: Final = re.compile(
    rf"\b(?:how|what|why|who|where)(?:['\u2019]s|{_GAP}(?:to|do|does|did|is|are|was|were)){_GAP}{_WORDS}{{0,2}}\Z",
    re.IGNORECASE,
)
# Not an order, because somebody else is the one who does it.
_DONE_BY_OTHERS: Final = re.compile(
    rf"\b(?:they|he|she|it|people|users|attackers|students|who){_GAP}"
    rf"(?:(?:often|sometimes|usually|always|may|might|could|would|just|simply|also|then|did|does|do){_GAP}){{0,2}}\Z"
    rf"|\bi{_GAP}(?:(?:want|need|plan|tried|try|decided|have|had|would|like|to|can|could|should|may|might|will|often"
    rf"|usually|just|simply|accidentally){_GAP}){{1,4}}\Z"
    rf"|\b(?:tends?|seems?|appears?){_GAP}to{_GAP}\Z",
    re.IGNORECASE,
)
_GOING_ON: Final = re.compile(
    rf"\b(?:keeps?|kept|stop|stopped|avoid|from|is|was|are|were|been|started|starts){_GAP}\Z", re.IGNORECASE
)
_ING: Final = re.compile(r"[a-z]{3,12}ing\b", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[a-z]{1,12}[a-rt-z]\b", re.IGNORECASE)

_OPEN: Final = r"[\s:,(]{0,3}[\"“”\u2018'`«「]{1,3}\s?\Z"
_NAMED: Final = re.compile(
    r"\b(?:phrases?|terms?|words?|strings?|sentences?|expressions?|saying|means?|called|titled|like|such as|example"
    r"|e\.g\.|define|explain|containing?|contains|about)" + _OPEN,
    re.IGNORECASE,
)
_CITED: Final = re.compile(
    r"\b(?:prompts?|texts?|inputs?|messages?|commands?|says?|said|does|as|of|is)" + _OPEN, re.IGNORECASE
)
_TALKED_ABOUT: Final = re.compile(
    r"\b(?:mean(?:s|ing)?|examples?|known|called|famous|appears?|contains?|wrote|said|says|found|explain\w*|define\w*"
    r"|attack\w*|inject\w*|detect\w*|classif\w*|papers?|logs?|quot\w*|why|what|how|who|which)\b",
    re.IGNORECASE,
)
# What makes any quotation near it a thing that is looked at.
_SUBJECT: Final = re.compile(
    r"\b(?:prompt injections?|injections?|attacks?|jailbreaks?|label\w*|classif\w*|detect\w*|filters?|unit tests?"
    r"|grammar"
    r"|headline|comment|categor\w+|phrases?|typed|translat\w+|proofread\w*|synonyms?|spelling|rhymes?|keywords?|examples?"
    r"|wrote|subject line|lyrics?|quot\w+)\b",
    re.IGNORECASE,
)
_AFTER_QUOTE: Final = re.compile(r"[\"“”\u2018'`«「]\s?(?:\w{1,12}\s){0,2}\Z")
_UNQUOTE: Final = re.compile(r"[^\"“”\u2019'`»」\n]*[\"“”\u2019'`»」]")
_OBEY: Final = (
    r"(?:obey|follow|execut\w{1,3}|perform|apply|enforce|implement|adopt|carry out|comply with|act (?:up)?on|do|run)"
)
_ORDERED_BEFORE: Final = re.compile(
    rf"(?:\A|[.!?:;\n,]|\b(?:and|then|now|please|must|will))\s{{0,3}}(?:you |now ){{0,2}}{_OBEY}\b", re.IGNORECASE
)
_ORDERED_AFTER: Final = re.compile(
    rf"(?:[.!;:,\n]\s{{0,3}}|\b(?:and|then|now|please|must|should|will|shall|you|to)\s{{1,3}}){_OBEY}\s{{1,3}}"
    r"(?:it|that|this|so|them|exactly|accordingly|what|as|the|its|those|these)\b",
    re.IGNORECASE,
)


def asserted(text: str, start: int, end: int) -> bool:
    """Neither negated, nor quoted as a phrase that is talked about, nor asked about or told of others."""
    since = max(0, start - LOOK_BACK)
    if _NEGATED.search(text, since, start):
        return False
    if _PLAIN.match(text, start, end) and _DONE_BY_OTHERS.search(text, since, start):
        return False
    if _ING.match(text, start, end) and _GOING_ON.search(text, since, start):
        return False
    return said_to_the_model(text, start, end)


def said_to_the_model(text: str, start: int, end: int) -> bool:
    """As `asserted`, for phrases that begin with a negation themselves."""
    since = max(0, start - LOOK_BACK)
    if _ASKED.search(text, since, start) or _ASKED_HOW.search(text, since, start):
        return False
    return not _mentioned(text, since, start, end)


def requested(text: str, start: int, end: int) -> bool:
    """As `asserted`, for what can also be asked for by a question."""
    since = max(0, start - LOOK_BACK)
    if _NEGATED.search(text, since, start) or _ASKED.search(text, since, start):
        return False
    return not _mentioned(text, since, start, end)


def _mentioned(text: str, since: int, start: int, end: int) -> bool:
    closed = _UNQUOTE.match(text, end, end + LOOK_AHEAD)
    return closed is not None and _only_quoted(text, since, start, closed.end())


def _only_quoted(text: str, since: int, start: int, close: int) -> bool:
    """Whether a quotation is talked about, and nobody is told to do what it says."""
    ahead = close + DEMAND_AHEAD
    if _NAMED.search(text, since, start):
        return not _ordered(text, since, start, close)
    if _AFTER_QUOTE.search(text, since, start) and _SUBJECT.search(text, since, start):
        return not _ordered(text, since, start, close)
    if not _CITED.search(text, since, start):
        return False
    talked_about = _TALKED_ABOUT.search(text, since, start) or _TALKED_ABOUT.search(text, close, ahead)
    return bool(talked_about) and not _ordered(text, since, start, close)


def _ordered(text: str, since: int, start: int, close: int) -> bool:
    return bool(_ORDERED_BEFORE.search(text, since, start) or _ORDERED_AFTER.search(text, close, close + DEMAND_AHEAD))
