"""A text read in another way, and the way back: offset maps that cost nothing until they are asked.

Offsets are in characters (Unicode code points), ends are exclusive.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct, field

from llmtrace_sdk.core.words import tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Edit = tuple[int, int, int]
"""`(start, end, length)`: the span that was replaced, and how long the replacement is."""


class Sign(Struct, frozen=True):
    """Something that is suspicious in itself, whatever the text says.

    `name`: bidi, combining_flood, control, emoji_split, full_width, homoglyphs, invisible, styled_letters, tags,
    upside_down or variation_selectors. `count` is in characters (words for homoglyphs and emoji_split); `start` of the
    first and `end` of the last are offsets in the text that was folded.
    """

    name: str
    count: int
    start: int
    end: int


class Map(Protocol):
    """The way from the offsets of a text to those of the text that it was made from."""

    def span(self, start: int, end: int, /) -> tuple[int, int]:
        """Where a span, inside the text and not empty, comes from."""


class Shifted:
    """Character for character, `offset` further on."""

    __slots__ = ("_offset",)

    def __init__(self, offset: int = 0) -> None:
        self._offset = offset

    def span(self, start: int, end: int, /) -> tuple[int, int]:
        """See `Map`."""
        return start + self._offset, end + self._offset


class Whole:
    """Any part comes from the whole of one span."""

    __slots__ = ("_span",)

    def __init__(self, start: int, end: int) -> None:
        self._span = (start, end)

    def span(self, _start: int, _end: int, /) -> tuple[int, int]:
        """See `Map`."""
        return self._span


class Mirrored:
    """Character for character, from the end of a span of the same length to its start."""

    __slots__ = ("_end",)

    def __init__(self, end: int) -> None:
        self._end = end

    def span(self, start: int, end: int, /) -> tuple[int, int]:
        """See `Map`."""
        return self._end - end, self._end - start


class Listed:
    """Character for character, each from a span of its own, in order."""

    __slots__ = ("_spans",)

    def __init__(self, spans: Sequence[tuple[int, int]]) -> None:
        self._spans = spans

    def span(self, start: int, end: int, /) -> tuple[int, int]:
        """See `Map`."""
        return self._spans[start][0], self._spans[end - 1][1]


class Scattered:
    """Character for character, each from a place of its own in any order."""

    __slots__ = ("_places",)

    def __init__(self, places: Sequence[int]) -> None:
        self._places = places

    def span(self, start: int, end: int, /) -> tuple[int, int]:
        """See `Map`."""
        places = self._places[start:end]
        return min(places), max(places) + 1


class Edited:
    """A text where some spans were replaced; the edits are in order and do not overlap. `offset`: where it begins."""

    __slots__ = ("_edits", "_ends", "_offset", "_starts")

    def __init__(self, edits: Iterable[Edit], offset: int = 0) -> None:
        self._edits = list(edits)
        self._offset = offset
        self._starts: list[int] = []
        self._ends: list[int] = []
        grown = 0
        for start, end, length in self._edits:
            self._starts.append(start + grown)
            self._ends.append(start + grown + length)
            grown += length - (end - start)

    def span(self, start: int, end: int, /) -> tuple[int, int]:
        """See `Map`."""
        return self._offset + self._character(start)[0], self._offset + self._character(end - 1)[1]

    def _character(self, position: int) -> tuple[int, int]:
        number = bisect_right(self._starts, position) - 1
        if number < 0:
            return position, position + 1
        start, end, _ = self._edits[number]
        beyond = position - self._ends[number]
        return (start, end) if beyond < 0 else (end + beyond, end + beyond + 1)


class Steps:
    """Several maps one after the other, the last first; each is made when it is first needed."""

    __slots__ = ("_makers", "_maps")

    def __init__(self, makers: Sequence[Callable[[], Map]]) -> None:
        self._makers = makers
        self._maps: list[Map] | None = None

    def span(self, start: int, end: int, /) -> tuple[int, int]:
        """See `Map`."""
        # Two threads may both make them; either result will do.
        if self._maps is None:
            self._maps = [make() for make in reversed(self._makers)]
        for step in self._maps:
            start, end = step.span(start, end)
        return start, end


class Pieces:
    """A text made of pieces with one character between them that comes from nowhere.

    `starts` are where the pieces begin, `spans` where each comes from as a whole, `maps` where its parts do.
    """

    __slots__ = ("_ends", "_maps", "_spans", "_starts")

    def __init__(self, lengths: Iterable[int], spans: Sequence[tuple[int, int]], maps: Sequence[Map]) -> None:
        self._spans = spans
        self._maps = maps
        self._starts: list[int] = []
        self._ends: list[int] = []
        position = 0
        for length in lengths:
            self._starts.append(position)
            self._ends.append(position + length)
            position += length + 1

    def span(self, start: int, end: int, /) -> tuple[int, int]:
        """See `Map`."""
        first = min(bisect_right(self._ends, start), len(self._starts) - 1)
        last = max(bisect_left(self._starts, end) - 1, 0)
        if last < first:  # nothing but the character between two pieces
            first, last = last, first
        parts = [self._part(number, start, end) for number in ({first, last})]
        return min(start for start, _ in parts), max(end for _, end in parts)

    def _part(self, number: int, start: int, end: int) -> tuple[int, int]:
        begin = max(start, self._starts[number]) - self._starts[number]
        stop = min(end, self._ends[number]) - self._starts[number]
        return self._maps[number].span(begin, stop) if begin < stop else self._spans[number]


SAME: Final = Shifted()


class View(Struct, frozen=True, dict=True):
    """A reading of a text: folded, or decoded and folded.

    `codecs` is () for the folded text itself, else what was decoded, outermost first. `signs` are of this folding;
    their offsets are in `raw`, the text before it. `folding` leads from `text` to `raw`, `outer` from there to the
    original, whose length is `size`.
    """

    text: str
    codecs: tuple[str, ...] = ()
    signs: tuple[Sign, ...] = ()
    raw: str = ""
    folding: Any = field(default=SAME)  # a Map; msgspec does not take protocols
    outer: tuple[Any, ...] = ()
    size: int = 0

    @cached_property
    def words(self) -> list[str]:
        """The words of `text`."""
        return tokens(self.text)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original text that a span of `text` comes from; never outside it.

        A span that is not empty has an origin that is not empty. Offsets beyond the text are moved to its ends.
        """
        end = max(0, min(end, len(self.text)))
        start = max(0, min(start, end))
        if start == end:
            return self._point(start)
        for step in (self.folding, *self.outer):
            start, end = step.span(start, end)
        return start, end

    def _point(self, position: int) -> tuple[int, int]:
        if position < len(self.text):
            place = self.origin(position, position + 1)[0]
        else:
            place = self.origin(position - 1, position)[1] if self.text else 0
        return place, place
