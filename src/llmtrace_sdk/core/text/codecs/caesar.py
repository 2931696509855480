"""Letters shifted along the alphabet; by thirteen places it is rot13."""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._english import WORD, WORDS
from llmtrace_sdk.core.text.codecs._reading import Codec
from llmtrace_sdk.core.text.codecs._shifts import TELLING, substituted, substitution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_MOST_SHIFTS: Final = 3
_TABLES: Final = {shift: substitution(ascii_lowercase[shift:] + ascii_lowercase[:shift]) for shift in range(1, 26)}


def _shifted(word: str, shift: int) -> str:
    return word.translate(_TABLES[26 - shift])


# Shifted by some other number of places these are words that occur.
_ORDINARY: Final = frozenset("ever iron open green sleep jolly cheer flex ohms purpose legal alex doha jung".split())
_SHIFT_OF: Final[dict[str, int]] = {
    shifted: shift
    for shift in range(1, 26)
    for word in TELLING
    if len(word) > 3 or shift == 13
    for shifted in (_shifted(word, shift),)
    if shifted not in WORDS and shifted not in _ORDINARY
}


def read(text: str) -> Iterator[Reading]:
    """Parts that are English if shifted back, by the shifts of which there is a telling word."""
    places: dict[int, list[int]] = {}
    for word in WORD.finditer(text):
        shift = _SHIFT_OF.get(word[0].lower())
        if shift:
            places.setdefault(shift, []).append(word.start())
    for shift in sorted(places, key=lambda shift: len(places[shift]), reverse=True)[:_MOST_SHIFTS]:
        yield from substituted(text, _TABLES[shift], "rot13" if shift == 13 else "caesar", places[shift])


CODEC: Final = Codec("caesar", read, words=frozenset(_SHIFT_OF), family="letters")
