"""Percent-encoding (RFC 3986 §2.1), and what HTML forms make of spaces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import Codec, adjoining, escaped_runs, readable, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Escape, Reading

_ESCAPE: Final = re.compile("%[0-9A-Fa-f]{2}")
_TWICE: Final = re.compile("%25[0-9A-Fa-f]{2}")
_PLUS: Final = re.compile(r"\+")
_BEFORE: Final = re.compile(r"[\w+.-]{0,256}\Z")
_BEHIND: Final = re.compile(r"[\w+.-]{0,256}")
_MOST_APART: Final = 256
_LEAST_ESCAPES: Final = 3
_LEAST_LETTERS: Final = 4
_LEAST_SPACES: Final = 4


def read(text: str) -> Iterator[Reading]:
    """Runs of escapes that hold words; the few escapes that any link has are not worth a look."""
    for run in escaped_runs(_ESCAPE, text, _MOST_APART):
        if len(run) >= _LEAST_ESCAPES:
            start, end = _around(text, run)
            edits = [(first, last, _unquoted(text[first:last])) for first, last in adjoining(run)]
            decoded = "".join(edit[2] for edit in edits)
            spaces = decoded.count(" ") + len(_TWICE.findall(text, start, end))
            pluses = [] if spaces else _pluses(text, start, end)
            if len(pluses) > 1:
                edits, spaces = sorted([*edits, *pluses]), len(pluses)
            reading = replaced(text, start, end, edits)
            if (spaces >= _LEAST_SPACES or sum(map(str.isalpha, decoded)) >= _LEAST_LETTERS) and readable(reading.text):
                yield reading


def _around(text: str, run: list[Escape]) -> Escape:
    """With the plain characters of the first and the last word, and the words that pluses join to them."""
    first, last = run[0][0], run[-1][1]
    before = _BEFORE.search(text, max(0, first - 256), first)
    behind = _BEHIND.match(text, last)
    return before.start() if before else first, behind.end() if behind else last


def _pluses(text: str, start: int, end: int) -> list[tuple[int, int, str]]:
    return [(match.start(), match.end(), " ") for match in _PLUS.finditer(text, start, end)]


def _unquoted(escapes: str) -> str:
    data = bytes.fromhex(escapes.replace("%", ""))
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


CODEC: Final = Codec("percent", read, ("%[0-9a-f]{2}",), confirm=r"%[0-9A-Fa-f]{2}[^\n]{0,24}%[0-9A-Fa-f]{2}")
