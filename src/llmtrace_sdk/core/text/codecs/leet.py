"""Letters written as digits and signs that look like them: `1gn0r3 4ll`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._english import COMMANDS, WORDS
from llmtrace_sdk.core.text.codecs._reading import Codec, aligned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_SIGNS: Final = "0123456789@$!|+"
_AS_I: Final = str.maketrans(_SIGNS, "oizeasgtbgasiit")
_AS_L: Final = str.maketrans(_SIGNS, "olzeasgtbgasllt")
_TOKEN: Final = re.compile(r"[A-Za-z0-9@$!|+]+")
_SIGN: Final = re.compile(r"[0-9@$!|+]")
_LETTER: Final = re.compile("[A-Za-z]")
_MOST_BETWEEN: Final = 4
_LONGEST: Final = 24

_ALSO: Final = {
    "a": "4@",
    "b": "8",
    "e": "3",
    "g": "69",
    "i": "1!|",
    "l": "1|",
    "o": "0",
    "s": "5$",
    "t": "7+",
    "z": "2",
}
_TELLING: Final = (
    "ignore previous instruction instructions system prompt reveal override disregard forget secret rules".split()
)


def read(text: str) -> Iterator[Reading]:
    """Stretches of words with signs in them, at least two of which are known words, or one that is an order."""
    stretch: list[tuple[int, int, str]] = []
    weight = plain = 0
    for match in _TOKEN.finditer(text):
        word, value = _decoded(match[0])
        if value == 0 and _SIGN.search(match[0]) is None:
            plain += 1
        if value == 0 and (plain > _MOST_BETWEEN or not stretch):
            yield from _stretch_read(text, stretch, weight)
            stretch, weight = [], 0
            continue
        stretch.append((match.start(), match.end(), word))
        weight += value
        plain = 0 if value else plain
    yield from _stretch_read(text, stretch, weight)


def _stretch_read(text: str, stretch: list[tuple[int, int, str]], weight: int) -> Iterator[Reading]:
    while stretch and stretch[-1][2] == text[stretch[-1][0] : stretch[-1][1]]:
        stretch.pop()
    if weight < 2 or not stretch:
        return
    start, end = stretch[0][0], stretch[-1][1]
    characters = list(text[start:end])
    for first, last, word in stretch:
        characters[first - start : last - start] = word
    yield aligned(start, end, "".join(characters))


def _decoded(token: str) -> tuple[str, int]:
    """A token as letters, and how much it tells: 2 for a word of command, 1 for any other known word, else 0."""
    if len(token) > _LONGEST or not _SIGN.search(token) or not _LETTER.search(token.strip("!|+")):
        return token, 0
    body = token if token[-1] not in "!|+" else token.rstrip("!|+")
    if not _SIGN.search(body):
        return token, 0
    for table in (_AS_I, _AS_L):
        word = body.translate(table)
        if word.lower() in WORDS and len(word) > 1:
            long = word.lower() in COMMANDS and len(word) > 5
            return word + token[len(body) :], 2 if long else 1
    return body.translate(_AS_I) + token[len(body) :], 0


def _spellings(word: str) -> Iterator[str]:
    """Patterns for a word with at least one sign in it, and any others."""
    classes = [f"[{letter}{_ALSO.get(letter, '')}]" for letter in word]
    for place, letter in enumerate(word):
        if letter in _ALSO:
            yield "".join([*classes[:place], f"[{_ALSO[letter]}]", *classes[place + 1 :]])


_SIGN_OR: Final = r"[0134578@$][A-Za-z0134578@$]{0,8}"
_MIXED: Final = rf"(?:[A-Za-z]{{1,12}}{_SIGN_OR}|[0134578@$|!]{{1,3}}[A-Za-z][A-Za-z0-9@$]{{0,12}})"
CODEC: Final = Codec(
    "leet",
    read,
    ("[a-z][0134578@$!|][a-z]", r"[\s\"'(][0134578@$!|][a-z][a-z0134578@$!|]"),
    confirm=rf"(?:^|[\s\"'(]){_MIXED}(?:[ ,]{{1,2}}[A-Za-z]{{1,10}}){{0,2}}[ ,]{{1,2}}{_MIXED}(?:[\s\"'.,;:!?)]|$)|"
    f"(?i:{'|'.join(spelling for word in _TELLING for spelling in _spellings(word))})",
)
