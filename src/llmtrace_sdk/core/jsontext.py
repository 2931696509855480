"""JSON source that grows, read as what it says: the arguments of a tool call, say, while they are streamed."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([^u]))", re.DOTALL)
_LETTERS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LONGEST: Final = 6
_HEX: Final = re.compile("[0-9a-fA-F]{4}")


class Source(NamedTuple):
    """The text without its escapes, and where each of its characters begins in the source.

    `starts` is None when nothing was escaped. `open` is where an escape begins that the source does not end yet, or
    the length of the source.
    """

    text: str
    starts: list[int] | None
    open: int

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where a span of the text is in the source; an `end` beyond the text is that of what can be read."""
        if self.starts is None:
            return start, end
        return self._place(start), self._place(end)

    def _place(self, at: int) -> int:
        assert self.starts is not None
        return self.starts[at] if at < len(self.starts) else self.open


def read(source: str) -> Source:
    """Undo the escapes of JSON strings (RFC 8259 section 7) wherever they are; linear, never raises."""
    if "\\" not in source:
        return Source(source, None, len(source))
    parts: list[str] = []
    starts: list[int] = []
    done = 0
    for match in _ESCAPE.finditer(source):
        parts += source[done : match.start()], _said(match)
        starts += range(done, match.start() + 1)
        done = match.end()
    opened = source.find("\\", done)
    if opened < 0 or len(source) - opened >= _LONGEST:
        opened = len(source)
    parts.append(source[done:opened])
    starts += range(done, opened)
    return Source("".join(parts), starts, opened)


def _said(match: re.Match[str]) -> str:
    digits, letter = match.groups()
    return chr(int(digits, 16)) if digits else _LETTERS.get(letter, letter)


def is_begun(text: str) -> bool:
    """Whether the text begins as JSON does that can have strings in it."""
    return text.lstrip(" \t\r\n")[:1] in ("{", "[", '"')


def whole_up_to(source: str, at: int) -> int:
    """The last offset, `at` or before it, that does not cut an escape in two."""
    while at > 0 and "\\" in source[max(at - _LONGEST, 0) : at]:
        at = max(at - _LONGEST, 0)
    return at


class Nesting:
    """How many times a text has to be escaped to be put where a growing text ends: 0 where that is no JSON source.

    A text is JSON source if it begins like an object or an array that has strings; so may be what its strings say, down
    to a few levels.
    """

    __slots__ = ("_begun", "_digits", "_escape", "_inner", "_levels", "_opened")

    def __init__(self, levels: int = 4) -> None:
        self._levels = levels
        self._begun: bool | None = None if levels else False
        self._opened = ""
        self._escape = False
        self._digits: str | None = None
        self._inner: Nesting | None = None

    @property
    def depth(self) -> int:
        """See the class."""
        if not self._begun:
            return 0
        return 1 + (self._inner.depth if self._inner is not None and self._inner.inside else 0)

    @property
    def inside(self) -> bool:
        """Whether the text ends inside a string."""
        return self._inner is not None

    def feed(self, text: str) -> None:
        """The text goes on."""
        for character in text:
            if self._begun is False:
                return
            if self._begun is None:
                self._begin(character)
            if self._inner is not None:
                self._in_string(self._inner, character)
            elif character == '"' and self._begun:
                self._inner = Nesting(self._levels - 1)

    def _begin(self, character: str) -> None:
        if character in " \t\r\n":
            return
        if not self._opened:
            self._opened = character
            self._begun = None if character in "{[" else False
        else:
            self._begun = character == '"' or (self._opened == "[" and character in "{[")

    def _in_string(self, inner: Nesting, character: str) -> None:
        if self._digits is not None:
            self._digits += character
            if len(self._digits) == _LONGEST - 2:
                said = self._digits if _HEX.fullmatch(self._digits) else "3f"
                self._digits = None
                inner.feed(chr(int(said, 16)))
        elif self._escape:
            self._escape = False
            if character == "u":
                self._digits = ""
            else:
                inner.feed(_LETTERS.get(character, character))
        elif character == "\\":
            self._escape = True
        elif character == '"':
            self._inner = None
        else:
            inner.feed(character)
