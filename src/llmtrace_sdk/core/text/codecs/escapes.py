r"""Escapes of programming languages: `\u0069`, `\u{69}`, `\U00000069`, `\x69`, and the notation `U+0069`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import Codec, adjoining, escaped_runs, in_words, readable, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_ESCAPE: Final = re.compile(
    r"\\u[0-9A-Fa-f]{4}|\\u\{[0-9A-Fa-f]{1,6}\}|\\U[0-9A-Fa-f]{8}|\\x[0-9A-Fa-f]{2}"
    r"|\bU\+[0-9A-Fa-f]{4,6}\b(?:[ ,]{1,2}(?=U\+))?"
)
_DIGITS: Final = re.compile(r"([uUx])[+{]?([0-9A-Fa-f]+)")
_LEAST: Final = 4


def read(text: str) -> Iterator[Reading]:
    """Runs of escapes that hold letters."""
    for run in escaped_runs(_ESCAPE, text):
        if len(run) >= _LEAST:
            edits = [(start, end, _unescaped(text[start:end])) for start, end in adjoining(run)]
            if sum(map(str.isalpha, "".join(edit[2] for edit in edits))) >= _LEAST:
                reading = replaced(text, *in_words(text, run), edits)
                if readable(reading.text):
                    yield reading


def _unescaped(escapes: str) -> str:
    found = _DIGITS.findall(escapes)
    if all(kind == "x" for kind, _ in found):
        data = bytes(int(digits, 16) for _, digits in found)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")
    characters = "".join(map(_character, (digits for _, digits in found)))
    # Escapes of UTF-16 code units come in pairs.
    return characters.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _character(digits: str) -> str:
    code = int(digits, 16)
    return chr(code) if code <= 0x10FFFF else "\ufffd"


CODEC: Final = Codec(
    "escapes",
    read,
    (r"\\[ux]\{?[0-9a-f]{2}", r"u\+[0-9a-f]{4}"),
    confirm=r"\\[uUx]\{?[0-9A-Fa-f]{2,8}\}?[^\n]{0,16}\\[uUx]|U\+[0-9A-Fa-f]{4,6}[ ,]{1,2}U\+",
)
