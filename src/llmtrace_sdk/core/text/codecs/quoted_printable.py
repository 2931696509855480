"""Quoted-printable (RFC 2045 §6.7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import Codec, adjoining, escaped_runs, in_words, readable, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_ESCAPE: Final = re.compile(r"=(?:[0-9A-F]{2}|\r?\n)")
_LEAST: Final = 4


def read(text: str) -> Iterator[Reading]:
    """Runs of escapes that hold letters or set words apart."""
    for run in escaped_runs(_ESCAPE, text):
        if len(run) >= _LEAST:
            edits = [(start, end, _unquoted(text[start:end])) for start, end in adjoining(run)]
            decoded = "".join(edit[2] for edit in edits)
            reading = replaced(text, *in_words(text, run), edits)
            fitting = sum(character.isalpha() or character == " " for character in decoded)
            if fitting >= _LEAST and readable(reading.text):
                yield reading


def _unquoted(escapes: str) -> str:
    digits = "".join(part for part in escapes.split("=") if part.strip())
    return bytes.fromhex(digits).decode("utf-8", "replace")


CODEC: Final = Codec(
    "quoted_printable", read, ("=[0-9a-f]{2}",), confirm=r"=[0-9A-F]{2}[^=\n]{0,16}=[0-9A-F]{2}[^=\n]{0,16}=[0-9A-F]{2}"
)
