"""Braille, letter for letter (Unicode block U+2800)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import Codec, aligned, readable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_LETTERS: Final = dict(zip("⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵", "abcdefghijklmnopqrstuvwxyz", strict=True))
_TABLE: Final = str.maketrans(_LETTERS | dict(zip("⠀⠂⠲⠖⠦⠆⠤⠄", " ,.!?;-'", strict=True)))
_RUN: Final = re.compile("[\u2800-\u28ff](?:[\u2800-\u28ff]|[ \n](?=[\u2800-\u28ff])){3,}+")


def read(text: str) -> Iterator[Reading]:
    """Runs that are mostly letters; signs of contractions and capitals stay."""
    for match in _RUN.finditer(text):
        decoded = match[0].translate(_TABLE)
        if readable(decoded):
            yield aligned(match.start(), match.end(), decoded)


CODEC: Final = Codec("braille", read, ("[\u2801-\u28ff]{3}",))
