"""Character references of HTML (https://html.spec.whatwg.org/#character-references)."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import Codec, escaped_runs, in_words, readable, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_REFERENCE: Final = re.compile(r"&(?:#[xX]?[0-9A-Fa-f]{1,8};?|[A-Za-z]{2,8};)")
_LEAST: Final = 3


def read(text: str) -> Iterator[Reading]:
    """Runs where letters are written as numbers; `&amp;` and the like are how HTML is written."""
    for run in escaped_runs(_REFERENCE, text):
        edits = [(start, end, unescape(text[start:end])) for start, end in run]
        if sum(map(str.isalpha, (edit[2] for edit in edits))) >= _LEAST:
            reading = replaced(text, *in_words(text, run), edits)
            if readable(reading.text):
                yield reading


CODEC: Final = Codec(
    "entities", read, ("&#x?[0-9a-f]{2}",), confirm=r"&#[xX]?[0-9A-Fa-f]{2,8};?[^\n]{0,24}&#[xX]?[0-9A-Fa-f]{2,8}"
)
