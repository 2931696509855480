"""What calls for a codec: words of its own, else one pass of RE2 over the text for all of them, and a second one if
there are long runs.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core import linear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from llmtrace_sdk.core.text.codecs._reading import Codec

_MEMORY: Final = 32 << 20
# A set that ran out of memory finds nothing, not even this.
_SENTINEL: Final = rb"\A"
_NONE: Final[frozenset[int]] = frozenset()
_RUN: Final = "[a-z0-9+/_-]{16}"

Owned = tuple[str, int]


class Triggers:
    """The triggers of some codecs. Thread-safe; compiled at the first use."""

    def __init__(self, codecs: Sequence[Codec]) -> None:
        self._codecs = codecs

    def called_for(self, text: str, words: Iterable[str]) -> frozenset[int]:
        """The numbers of the codecs that a text of these words calls for."""
        data = text.encode("utf-8", "replace")
        called = self._all.owners(data.lower())
        if -1 in called:
            called = (called | self._in_runs.owners(data)) - {-1}
        if not self._telling.isdisjoint(words):
            different = {*words}
            called |= {number for number, codec in enumerate(self._codecs) if not codec.words.isdisjoint(different)}
        return frozenset(number for number in called if self._confirms[number](data)) if called else _NONE

    @cached_property
    def _all(self) -> _Set:
        owned = [(trigger, number) for number, codec in enumerate(self._codecs) for trigger in codec.triggers]
        return _Set([(_RUN, -1), *owned])

    @cached_property
    def _telling(self) -> frozenset[str]:
        # One set for all: an automaton of so many words is large, and no text finds it at hand.
        return frozenset().union(*(codec.words for codec in self._codecs))

    @cached_property
    def _in_runs(self) -> _Set:
        return _Set([(trigger, number) for number, codec in enumerate(self._codecs) for trigger in codec.in_runs])

    @cached_property
    def _confirms(self) -> list[Callable[[bytes], Any]]:
        return [_compiled(codec.confirm).search if codec.confirm else bool for codec in self._codecs]


class _Set:
    """Patterns that are looked for together, each with the number of its owner."""

    def __init__(self, owned: Sequence[Owned]) -> None:
        self._owners = [number for _, number in owned]
        self._patterns = [pattern for pattern, _ in owned]
        self._match = self._by_set() or self._one_by_one

    def owners(self, data: bytes) -> frozenset[int]:
        """The owners of the patterns that occur."""
        hits = self._match(data)
        return frozenset(map(self._owners.__getitem__, hits)) if hits else _NONE

    def _by_set(self) -> Callable[[bytes], Sequence[int]] | None:
        re2 = linear.engine()
        if re2 is None:
            return None
        patterns = re2.Set.SearchSet(linear.options(re2, _MEMORY))
        for pattern in self._patterns:
            patterns.Add(pattern.encode())
        sentinel = patterns.Add(_SENTINEL)
        patterns.Compile()

        def match(data: bytes) -> Sequence[int]:
            hits: list[int] | None = patterns.Match(data)
            if not hits:
                return self._one_by_one(data)
            return [hit for hit in hits if hit != sentinel] if len(hits) > 1 else ()

        return match

    def _one_by_one(self, data: bytes) -> Sequence[int]:
        return [number for number, pattern in enumerate(self._patterns) if _compiled(pattern).search(data)]


class Finder:
    """A pattern of ASCII, in the syntax of both engines, whose matches are looked for in texts of any length."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it matches; by RE2 if offsets are the same in bytes."""
        if text.isascii():
            matches = _compiled(self._pattern).finditer(text.encode())
        else:
            matches = re.compile(self._pattern).finditer(text)
        for match in matches:
            yield match.span()


@cache
def _compiled(pattern: str) -> Any:
    """A pattern for UTF-8; where there is no RE2, any bytes outside ASCII pass for a letter."""
    re2 = linear.engine()
    if re2 is not None:
        return re2.compile(pattern.encode(), linear.options(re2, _MEMORY))
    letter = r"(?:[A-Za-z]|[\x80-\xff]{2,4})"
    return re.compile(pattern.replace(r"[^\pL]", r"[\W\d_]").replace(r"\pL", letter).encode())
