"""Pig Latin: the first consonants of a word at its end, and `ay` behind them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._english import WORDS, known_share
from llmtrace_sdk.core.text.codecs._reading import Codec, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_RUN: Final = re.compile(r"(?i)\b[a-z]{1,24}ay\b(?:[^\w\n]{1,3}[a-z]{1,24}ay\b){2,}+")
_WORD: Final = re.compile("[A-Za-z]+")
_LEAST_KNOWN: Final = 0.5


def read(text: str) -> Iterator[Reading]:
    """Runs of such words that are known ones if read so."""
    for match in _RUN.finditer(text):
        words = list(_WORD.finditer(text, *match.span()))
        if sum(word[0].lower() in WORDS for word in words) * 2 > len(words):
            continue
        edits = [(word.start(), word.end(), _decoded(word[0])) for word in words]
        reading = replaced(text, match.start(), match.end(), edits)
        if known_share(reading.text) >= _LEAST_KNOWN:
            yield reading


def _decoded(word: str) -> str:
    """The known word that it may be; else the first that it may be."""
    stem = word[:-2].lower()
    first = [stem[-size:] + stem[:-size] for size in range(1, min(5, len(stem)))]
    vowel_first = [stem[:-1]] if stem[-1:] in ("w", "y", "h") else []
    ways = [*vowel_first, *first, stem] if stem[-1:] == "w" else [*first, *vowel_first, stem]
    return next((way for way in ways if way in WORDS), first[0] if first else stem)


CODEC: Final = Codec("pig_latin", read, (r"ay[^\w\n]{1,2}[a-z]{1,16}ay[^\w\n]{1,2}[a-z]{1,16}ay\b",))
