"""Letters set apart by spaces, points, dashes or the like: `i g n o r e`, `i.g.n.o.r.e`."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._letters import believable, split
from llmtrace_sdk.core.text.codecs._reading import Codec, Reading
from llmtrace_sdk.core.text.view import Listed

if TYPE_CHECKING:
    from collections.abc import Iterator

_ONE: Final = r"(?<![^\W_])[^\W_](?![^\W_'])"
_RUN: Final = re.compile(rf"{_ONE}(?:[ ._*/|~·-]{{1,5}}+{_ONE}){{4,}}+")
_MOST: Final = 16 << 10


def read(text: str) -> Iterator[Reading]:
    """Runs of single letters that make words."""
    for match in _RUN.finditer(text):
        reading = joined(text, match.start(), match.end())
        if reading is not None:
            yield reading


def joined(text: str, start: int, end: int) -> Reading | None:
    """The letters at every place that holds one, with a space where the gap is not the usual one; None if senseless."""
    places = [place for place in range(start, min(end, start + _MOST)) if text[place].isalnum()]
    gaps = [text[first + 1 : second] for first, second in pairwise(places)]
    usual = max(set(gaps), key=gaps.count)
    letters = "".join(text[place] for place in places)
    ends = [number + 1 for number, gap in enumerate(gaps) if gap != usual] + [len(letters)]
    if len(ends) == 1 and letters.isascii():
        ends = split(letters)
    return spelled(letters, [(place, place + 1) for place in places], ends)


def spelled(letters: str, spans: list[tuple[int, int]], ends: list[int]) -> Reading | None:
    """A reading of letters that have a span each, with spaces where words end; None if that is no message."""
    text = "".join(letters[start:end] + " " for start, end in zip([0, *ends], ends, strict=False)).rstrip()
    if not believable(text):
        return None
    places, number = [], 0
    for character in text:
        number += character != " "
        places.append(spans[max(number - 1, 0)])
    return Reading(spans[0][0], places[-1][1], text, Listed(places))


_GAP: Final = "[ ._*/|~·-]{1,3}"
CODEC: Final = Codec("spaced", read, (rf"(?:^|[\s\"'(\[:>])\pL{_GAP}\pL{_GAP}\pL{_GAP}\pL{_GAP}\pL(?:[^\pL]|$)",))
