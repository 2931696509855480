r"""Characters as numbers: codes, decimal or octal (`105 103`, `\151`, `chr(105)+chr(103)`); places in the alphabet."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._english import known_share
from llmtrace_sdk.core.text.codecs._reading import Codec, Reading, readable
from llmtrace_sdk.core.text.view import Listed

if TYPE_CHECKING:
    from collections.abc import Iterator

_BETWEEN: Final = r"(?:[ \t,;|/-]{1,3}|\r?\n|\\|\)\s?[+.&,]\s?(?:[Cc]hr|CHR|char|CHAR|String\.fromCharCode)\()"
_RUN: Final = re.compile(rf"(?<![\d.])\\?\d{{1,3}}(?:{_BETWEEN}\d{{1,3}}(?![\d.]\d)){{7,}}+")
_NUMBER: Final = re.compile(r"\d+")
_MOST_NUMBERS: Final = 16 << 10


def read(text: str) -> Iterator[Reading]:
    """What stands for text."""
    for match in _RUN.finditer(text):
        numbers = []
        for number in _NUMBER.finditer(text, *match.span()):
            numbers.append(number)
            if len(numbers) >= _MOST_NUMBERS:
                break
        spans = [number.span() for number in numbers]
        found = decoded([number[0] for number in numbers]) or _places(text, [number[0] for number in numbers], spans)
        if found is not None:
            yield Reading(spans[0][0], spans[-1][1], found, Listed(spans))


def decoded(numbers: list[str]) -> str | None:
    """The text that character codes stand for, decimal or octal; None if there is none."""
    codes = [int(number) for number in numbers]
    if max(codes) < 256 and min(codes) > 8 and (text := _characters(codes)):
        return text
    if not any("8" in number or "9" in number for number in numbers):
        return _characters([int(number, 8) for number in numbers])
    return None


def _characters(codes: list[int]) -> str | None:
    """Few symbols and digits: columns of figures are not a message."""
    text = "".join(map(chr, codes))
    plain = sum(character.isascii() and (character.isalpha() or character == " ") for character in text)
    return text if readable(text) and plain * 10 >= len(text) * 7 and len(set(text)) > 3 else None


def _places(text: str, numbers: list[str], spans: list[tuple[int, int]]) -> str | None:
    """Places in the alphabet, where another separator than the usual one stands between two words."""
    if any(not 0 < int(number) < 27 for number in numbers):
        return None
    gaps = [text[end:start] for (_, end), (start, _) in pairwise(spans)]
    usual = max(set(gaps), key=gaps.count)
    letters = [chr(96 + int(number)) for number in numbers]
    parts = [letter + (" " if gap != usual else "") for letter, gap in zip(letters, [*gaps, usual], strict=True)]
    words = "".join(parts)
    if known_share(words) < 0.6:
        return None
    # What sets words apart has the place of the letter before it.
    spans[:] = [span for span, part in zip(spans, parts, strict=True) for _ in part]
    return words


_GAP: Final = r"[ ,;|/-]{1,2}"
CODEC: Final = Codec(
    "codes",
    read,
    (
        rf"\d{_GAP}\d{{1,3}}{_GAP}\d{{1,3}}{_GAP}\d{{1,3}}{_GAP}\d",
        r"\n\d{2,3}\r?\n\d{2,3}\r?\n\d{2,3}\r?\n",
        r"\\[01][0-7]{2}\\[01]",
        r"ch(?:a?r|arcode)\(\d",
    ),
    confirm=r"(?:\d{1,3}[\s,;|/-]{1,3}){7}\d{1,3}|(?:\\[01]\d\d){4}|(?i:ch(?:a?r|arcode)\(\d{2,3}(?:\)|,))",
)
