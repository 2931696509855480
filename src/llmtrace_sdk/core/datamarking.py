"""Datamarking: a mark between all words of what others wrote, so that the model can tell it from instructions.

Source: Hines et al. 2024, "Defending Against Indirect Prompt Injection Attacks With Spotlighting", section 3.2. The
mark is a character that Unicode leaves to private use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, get_args

from llmtrace_sdk.core import splice
from llmtrace_sdk.core.splice import Edit
from llmtrace_sdk.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MarkerKind = Literal["randomized", "fixed"]
FIXED: Final = "\ue000"

_FIRST: Final = 0xE000
_COUNT: Final = 0xF8FF - _FIRST + 1
_PRIVATE: Final = re.compile("[\ue000-\uf8ff]")
_SPACES: Final = re.compile(r"\s+")
_OPENED: Final = re.compile(r'[ \t\r\n]*[\[{"]')


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerStrategy:
    """Which character is the mark: `fixed` is always U+E000, `randomized` another one in each call."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: MarkerKind = "randomized"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatamarkingOptions:
    """White space in the texts of tools and retrieved documents becomes a mark.

    Every run of white space does, line ends and indentation too: whoever writes a text decides what it looks like, so
    code or a table is no exception. In a text that is JSON it is the white space inside its strings and names, which
    leaves it JSON. Scripts that do without spaces between words get hardly any marks.

    `enabled`: mark texts. `shadow_mode`: count what would be marked, and change nothing; this is the default.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enabled: bool = False
    shadow_mode: bool = True
    marker_strategy: MarkerStrategy = MarkerStrategy()

    @property
    def channels(self) -> frozenset[str]:
        """The channels whose texts are marked; none when it is not enabled."""
        return frozenset(("tool", "data") if self.enabled else ())

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        kind, kinds = self.marker_strategy.kind, get_args(MarkerKind)
        return [] if kind in kinds else [f"datamarking.marker_strategy.kind: {kind!r} is not one of {', '.join(kinds)}"]


def marker(kind: MarkerKind, nonce: str, texts: Iterable[str]) -> str:
    """The mark: of the nonce (hexadecimal), and if there is any such, a character that none of the texts has."""
    if kind == "fixed":
        return FIXED
    taken: set[str] = set()
    for text in texts:
        if not text.isascii():
            taken.update(_PRIVATE.findall(text))
    first = int(nonce, 16) % _COUNT
    order = (chr(_FIRST + (first + step) % _COUNT) for step in range(_COUNT))
    return next((character for character in order if character not in taken), chr(_FIRST + first))


def marked(text: str, mark: str) -> str:
    """The text with the mark for each run of white space; linear in its length."""
    if _OPENED.match(text) and text.rstrip(" \t\r\n").endswith(("]", "}", '"')):
        try:
            return splice.applied(text, _in_json(text, mark))
        except Unreadable:
            pass
    return _SPACES.sub(mark, text)


def _in_json(text: str, mark: str) -> Iterator[Edit]:
    for part in splice.parts_of_text(text):
        if part.sort != "number":
            for start, end, new in _in_literal(text[part.start : part.end], mark):
                yield Edit(part.start + start, part.start + end, new)


def _in_literal(literal: str, mark: str) -> list[Edit]:
    spaces = [Edit(*found.span(), mark) for found in _SPACES.finditer(splice.read(literal))]
    if "\\" in literal:
        return splice.written(literal, spaces)
    return [Edit(start + 1, end + 1, mark) for start, end, _ in spaces]
