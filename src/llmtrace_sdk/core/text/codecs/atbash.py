"""Atbash: the alphabet read backwards."""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._english import WORD
from llmtrace_sdk.core.text.codecs._reading import Codec
from llmtrace_sdk.core.text.codecs._shifts import TELLING, substituted, substitution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_TABLE: Final = substitution(ascii_lowercase[::-1])
_TURNED: Final = {word.translate(_TABLE) for word in TELLING}


def read(text: str) -> Iterator[Reading]:
    """Parts that are English if substituted."""
    places = [word.start() for word in WORD.finditer(text) if word[0].lower() in _TURNED]
    return substituted(text, _TABLE, "atbash", places)


CODEC: Final = Codec("atbash", read, words=frozenset(_TURNED), family="letters")
