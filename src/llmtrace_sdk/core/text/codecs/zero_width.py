"""Bits as characters of no width: two of them are 0 and 1, a third one may stand between bytes."""

from __future__ import annotations

import re
from itertools import permutations
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import MOST_DECODED, Codec, text_of, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_CLASS: Final = "\u180e\u200b-\u200f\u2060-\u2064\ufeff"
_RUN: Final = re.compile(f"[{_CLASS}]{{24,}}+")
_ONE: Final = re.compile(f"[{_CLASS}]")
_LEAST: Final = 32
_MOST_BITS: Final = 8 * MOST_DECODED
_SAMPLE: Final = 64
_WIDTHS: Final = (8, 7, 16)


def read(text: str) -> Iterator[Reading]:
    """Runs of such characters whose bits are text; if there is none, all of them together."""
    found = False
    for match in _RUN.finditer(text):
        decoded = _decoded(match[0][:_MOST_BITS])
        if decoded is not None:
            found = True
            yield whole(match.start(), match.end(), decoded)
    if not found:
        yield from _scattered(text)


def _scattered(text: str) -> Iterator[Reading]:
    places = [match.start() for match in _ONE.finditer(text)]
    if len(places) >= _LEAST:
        decoded = _decoded("".join(text[place] for place in places[:_MOST_BITS]))
        if decoded is not None:
            yield whole(places[0], places[-1] + 1, decoded)


def _decoded(run: str) -> str | None:
    symbols = sorted(set(run))
    if len(symbols) == 3:
        between = next((symbol for symbol in symbols if _set_apart(run, symbol)), None)
        symbols = [symbol for symbol in symbols if symbol != between]
        run = run.replace(between or "", "")
    return _bits_read(run, symbols) if len(symbols) == 2 else None


def _set_apart(run: str, between: str) -> bool:
    """Whether what stands between is of one length."""
    sizes = {len(part) for part in run.split(between)} - {0}
    return len(sizes) == 1 and sizes <= set(_WIDTHS)


def _bits_read(run: str, symbols: list[str]) -> str | None:
    ways = [run.translate({ord(zero): "0", ord(one): "1"}) for zero, one in permutations(symbols)]
    for width in _WIDTHS:
        likely = [bits for bits in ways if _text(bits[: _SAMPLE * width], width)]
        found = [text for bits in likely if (text := _text(bits, width))]
        if found:
            return max(found, key=_share_of_letters)
    return None


def _share_of_letters(text: str) -> float:
    return sum(character.isalpha() or character == " " for character in text) / len(text)


def _text(bits: str, width: int) -> str | None:
    size = 2 if width == 16 else 1
    groups = (bits[place : place + width] for place in range(0, len(bits) - width + 1, width))
    return text_of(b"".join(int(group, 2).to_bytes(size, "big") for group in groups))


CODEC: Final = Codec("zero_width", read, signs=frozenset({"invisible", "bidi"}), raw=True)
