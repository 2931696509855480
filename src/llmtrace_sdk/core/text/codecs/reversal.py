"""Text written backwards: as a whole or in a part, each word for itself, or the words in reverse order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._english import WORD, WORDS, better_read
from llmtrace_sdk.core.text.codecs._reading import Codec, Reading
from llmtrace_sdk.core.text.codecs._shifts import TELLING
from llmtrace_sdk.core.text.view import Mirrored, Scattered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.view import Map

_BACKWARDS: Final = {word[::-1] for word in (*TELLING, "the")} - WORDS
_PUNCTUATION: Final = re.compile(r"[^\w\s]{0,4}")
_ORDERS: Final = (
    r"\b(?:instructions?|rules|guidelines|prompt|directives)\s+(?:previous|prior|earlier|above|system|your|hidden)\s+"
    r"(?:all|your|my|the|any|ignore|disregard|forget|reveal|show|repeat|print)\b"
)
_ORDER: Final = re.compile(f"(?i){_ORDERS}")
_CLAUSE: Final = re.compile(r"[^\n.!?;:\"]{1,400}")
_TOKEN: Final = re.compile(r"\S+")


def read(text: str) -> Iterator[Reading]:
    """Parts that are English backwards. Which way round the words are cannot be told, so it is both."""
    places = [word.start() for word in WORD.finditer(text) if word[0].lower() in _BACKWARDS]
    for start, end in better_read(text, lambda word: word[::-1], places):
        first, last = _with_punctuation(text, start, end)
        yield Reading(first, last, text[first:last][::-1], Mirrored(last), "reversed")
        words = WORD.sub(lambda word: word[0][::-1], text[start:end])
        if " " in words:
            yield Reading(start, end, words, _word_by_word(text, start, end), "reversed_words")
    yield from _reordered(text)


def _with_punctuation(text: str, start: int, end: int) -> tuple[int, int]:
    behind = _PUNCTUATION.match(text, end)
    before = _PUNCTUATION.match(text[max(0, start - 4) : start][::-1])
    return start - (before.end() if before else 0), behind.end() if behind else end


def _word_by_word(text: str, start: int, end: int) -> Map:
    places = list(range(start, end))
    for word in WORD.finditer(text, start, end):
        first, last = word.start() - start, word.end() - start
        places[first:last] = places[first:last][::-1]
    return Scattered(places)


def _reordered(text: str) -> Iterator[Reading]:
    for match in _CLAUSE.finditer(text):
        if _ORDER.search(match[0]):
            tokens = [
                (start + match.start(), end + match.start())
                for start, end in map(re.Match.span, _TOKEN.finditer(match[0]))
            ]
            yield Reading(
                tokens[0][0],
                tokens[-1][1],
                " ".join(text[start:end] for start, end in reversed(tokens)),
                Scattered([place for start, end in reversed(tokens) for place in (*range(start, end), end - 1)]),
                "reversed_order",
            )


CODEC: Final = Codec("reversed", read, (_ORDERS,), words=frozenset(_BACKWARDS), family="reversed")
