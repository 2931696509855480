"""Words of which only the letters are known: where one ends and the next one begins."""

from __future__ import annotations

from typing import Final

from llmtrace_sdk.core.text.codecs._english import WORDS, known_share

_LONGEST: Final = max(map(len, WORDS))
_MOST: Final = 4096
_UNKNOWN: Final = 3
_LEAST_KNOWN: Final = 0.6


def split(letters: str) -> list[int]:
    """Where the words end, so that as few letters as possible are in unknown ones, in as few words as possible."""
    lower = letters[:_MOST].lower()
    costs = [0]
    froms = [0]
    for end in range(1, len(lower) + 1):
        best, start = costs[end - 1] + _UNKNOWN * 4, end - 1
        for begin in range(max(0, end - _LONGEST), end):
            if costs[begin] + 4 <= best and lower[begin:end] in WORDS:
                best, start = costs[begin] + 4 + (end - begin == 1), begin
        costs.append(best)
        froms.append(start)
    ends, place = [], len(lower)
    while place:
        ends.append(place)
        place = froms[place]
    return ends[::-1]


def believable(words: str) -> bool:
    """Whether what was put together from single letters is a message: known words, or letters of another script."""
    letters = sum(map(str.isalpha, words))
    if letters < 5 or letters * 10 < len(words.replace(" ", "")) * 7 or len(set(words)) < 4:
        return False
    foreign = sum(character.isalpha() and not character.isascii() for character in words)
    return foreign * 2 > letters or known_share(words) >= _LEAST_KNOWN
