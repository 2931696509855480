"""The words of a folded text, as the classifier and the gate before the rules see them."""

from __future__ import annotations

import re
from typing import Final

# Numbers are told by how many digits they have.
_ASCII: Final = {n: "0" if chr(n).isdigit() else " " for n in range(128) if not chr(n).isalpha()}
# Forms of one letter, which a rule that ignores case takes for the same: a final sigma, letters of old Slavonic print.
_SAME: Final = {
    0x3C2: "\u03c3",
    **dict(zip(range(0x1C80, 0x1C89), "\u0432\u0434\u043e\u0441\u0442\u0442\u044a\u0463\ua64b", strict=True)),
}
# Letters of scripts that put no space between words are words of their own; signs of Indic scripts belong to words. A
# word of Latin letters ends where other letters begin, as it does for a rule's \b.
_UNSPACED: Final = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_PIECES: Final = re.compile(rf"[a-z0]+|[{_UNSPACED}]|[^\sa-z0{_UNSPACED}]+")
_NOT_IN_WORDS: Final = re.compile(r"[^\w\s\u0300-\u036f\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")


def tokens(text: str) -> list[str]:
    """The words of a folded text, in lower case, without punctuation."""
    plain = plain_text(text)
    return plain.split() if plain.isascii() else _PIECES.findall(plain)


def plain_text(text: str) -> str:
    """The same text, character by character, with only words left in it."""
    lowered = text.lower()
    if len(lowered) != len(text):  # the offsets must stay true
        lowered = "".join(low if len(low := sign.lower()) == 1 else sign for sign in text)
    if not lowered.isascii():
        lowered = _NOT_IN_WORDS.sub(" ", lowered).translate(_SAME)
    return lowered.translate(_ASCII)


def places_of(text: str) -> list[tuple[int, int]]:
    """The place of each of its tokens in a folded text, in characters."""
    plain, at, places = plain_text(text), 0, []
    for token in tokens(text):
        at = plain.index(token, at)
        places.append((at, at + len(token)))
        at += len(token)
    return places
