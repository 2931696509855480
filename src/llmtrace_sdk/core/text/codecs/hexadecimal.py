"""Bytes in hexadecimal digits: in one piece, in pairs (`69 67`, `69:67`), in C style (`0x69, 0x67`)."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._english import known_share
from llmtrace_sdk.core.text.codecs._reading import Codec, text_of, whole
from llmtrace_sdk.core.text.codecs._tokens import MOST_TAKEN, tokens_read
from llmtrace_sdk.core.text.codecs._triggers import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

LEAST: Final = 16
_TOKEN: Final = Finder(r"\b(?:0[xX])?[0-9A-Fa-f]{16,}\b")
_SHORT: Final = re.compile(r"[0-9A-Fa-f]{2,16}(?!\w)")
_PAIRS: Final = Finder(
    r"\b[0-9A-Fa-f]{2}(?:[\s,:;-]{1,2}[0-9A-Fa-f]{2}\b){7,}|\b0[xX][0-9A-Fa-f]{2}(?:[\s,;]{1,3}0[xX][0-9A-Fa-f]{2}\b){3,}"
)
_DIGITS: Final = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{2})")
_HEAD: Final = 128
_LEAST_DECIMAL: Final = 24
_LEAST_KNOWN: Final = 0.5


def read(text: str) -> Iterator[Reading]:
    """What decodes to text."""
    return chain(tokens_read(text, _TOKEN, _SHORT, decoded, LEAST), _pairs_read(text))


def decoded(token: str) -> str | None:
    """The text that a token stands for; None if there is none."""
    digits = token[2:] if token[:2] in ("0x", "0X") else token
    digits = digits[: len(digits) & ~1]
    if len(digits) < _LEAST_DECIMAL and digits.isdecimal():
        return None
    try:
        if text_of(bytes.fromhex(digits[:_HEAD])) is None:
            return None
        text = text_of(bytes.fromhex(digits))
    except ValueError:
        return None
    # Numbers are often hexadecimal by chance.
    return text if text and (not digits.isdecimal() or known_share(text) >= _LEAST_KNOWN) else None


def _pairs_read(text: str) -> Iterator[Reading]:
    for start, end in _PAIRS.spans(text):
        found = decoded("".join(_DIGITS.findall(text, start, min(end, start + MOST_TAKEN))))
        if found is not None:
            yield whole(start, end, found)


_PAIR: Final = r"[\s,:;-][0-9a-f]{2}"
_PAIRS_TRIGGER: Final = rf"\b[0-9a-f]{{2}}{_PAIR}{_PAIR}{_PAIR}{_PAIR}\b"
CODEC: Final = Codec("hex", read, (_PAIRS_TRIGGER, r"0x[0-9a-f]{2}[\s,;]"), in_runs=("[0-9a-f]{16}", "[0-9A-F]{16}"))
