"""Substitution of letters: which words give one away, and where it was used."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._english import better_read
from llmtrace_sdk.core.text.codecs._reading import aligned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

TELLING: Final = """
    about above answer anweisungen anteriores content directive disregard everything follow forget from
    guidelines have hidden ignore ignora ignorez instead instrucciones instruction instructions message must
    output override password please pretend previous print prior prompt repeat respond response reveal rules
    secret show system tell that then this what with write you your
""".split()
"""Words by which a message is known. None but "you" is shorter than four letters."""

Table = dict[int, int]


def substitution(lower: str) -> Table:
    """The table that reads `lower` as the alphabet, in both cases."""
    return str.maketrans(lower + lower.upper(), ascii_lowercase + ascii_uppercase)


def substituted(text: str, table: Table, codec: str, places: Iterable[int]) -> Iterator[Reading]:
    """Where a text is English, near some places, if its letters are substituted."""
    for start, end in better_read(text, lambda word: word.translate(table), places):
        yield aligned(start, end, text[start:end].translate(table), codec)
