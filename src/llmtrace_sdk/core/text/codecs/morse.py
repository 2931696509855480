"""Morse code (ITU-R M.1677)."""

# ruff: noqa: RUF001
from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._letters import split
from llmtrace_sdk.core.text.codecs._reading import Codec
from llmtrace_sdk.core.text.codecs.spaced import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_CODE: Final = dict(
    zip(
        """
        .- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --..
        ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.
        """.split(),
        "abcdefghijklmnopqrstuvwxyz0123456789",
        strict=True,
    )
)
_PLAIN: Final = str.maketrans("·•∙‧–—_", "....---")
_RUN: Final = re.compile(r"(?<![\w.-])[.·•–—_-]{1,6}(?:[ \t]*+(?:[/|]|\r?\n|)[ \t]*+[.·•–—_-]{1,6}(?![.·•–—_-])){4,}+")
_TOKEN: Final = re.compile(r"[.·•∙‧–—_-]+")
_MOST: Final = 64 << 10


def read(text: str) -> Iterator[Reading]:
    """Runs of signals that spell words."""
    for match in _RUN.finditer(text):
        start = match.start()
        tokens = list(_TOKEN.finditer(text, start, min(match.end(), start + _MOST)))
        known = [token for token in tokens if token[0].translate(_PLAIN) in _CODE]
        if len(known) * 10 < len(tokens) * 9 or len(known) < 5:
            continue
        spans = [token.span() for token in known]
        letters = "".join(_CODE[token[0].translate(_PLAIN)] for token in known)
        ends = [number + 1 for number in range(len(spans) - 1) if _parts(text[spans[number][1] : spans[number + 1][0]])]
        reading = spelled(letters, spans, [*ends, len(letters)] if ends else split(letters))
        if reading is not None:
            yield reading


def _parts(gap: str) -> bool:
    return len(gap) > 1


_SIGNAL: Final = "[.·•–—_-]"
CODEC: Final = Codec(
    "morse",
    read,
    (rf"{_SIGNAL} {_SIGNAL}{{1,5}} {_SIGNAL}{{1,5}} {_SIGNAL}",),
    confirm=rf"(?:{_SIGNAL}{{1,5}}[ \t/|]{{1,3}}){{4}}{_SIGNAL}{{1,5}}",
)
