"""The codecs, and which of them are worth trying on a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs import (
    atbash,
    base32,
    base64,
    binary,
    braille,
    caesar,
    codes,
    entities,
    escapes,
    hexadecimal,
    leet,
    lines,
    morse,
    nato,
    percent,
    pig_latin,
    quoted_printable,
    reversal,
    selectors,
    spaced,
    tags,
    upside_down,
    utf7,
    zero_width,
)
from llmtrace_sdk.core.text.codecs._reading import Codec, Reading
from llmtrace_sdk.core.text.codecs._triggers import Triggers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.view import View

__all__ = ["CODECS", "Codec", "Reading", "worth_trying"]

CODECS: Final[tuple[Codec, ...]] = tuple(
    module.CODEC
    for module in (
        tags,
        selectors,
        zero_width,
        base64,
        hexadecimal,
        base32,
        binary,
        codes,
        percent,
        entities,
        escapes,
        utf7,
        quoted_printable,
        caesar,
        atbash,
        reversal,
        leet,
        spaced,
        lines,
        morse,
        braille,
        upside_down,
        nato,
        pig_latin,
    )
)
"""In the order in which they are tried: what is most surely meant to hide something comes first."""

_TRIGGERS: Final = Triggers(CODECS)
_FAMILIES: Final = {codec.name: codec.family for codec in CODECS if codec.family} | {
    "rot13": "letters",
    "reversed_words": "reversed",
    "reversed_order": "reversed",
}


def worth_trying(view: View) -> Iterator[Codec]:
    """The codecs that a view's text or its signs call for, without those that would undo what was decoded last."""
    called = _TRIGGERS.called_for(view.text, view.words)
    if not called and not view.signs:
        return
    signs = {sign.name for sign in view.signs}
    last = _FAMILIES.get(view.codecs[-1]) if view.codecs else None
    for number, codec in enumerate(CODECS):
        if (number in called or not signs.isdisjoint(codec.signs)) and not (last and codec.family == last):
            yield codec
