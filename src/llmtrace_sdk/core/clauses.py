"""What every match of a pattern has in it, told from the pattern's syntax tree.

A pattern is read as a sequence of parts, each of which stands for a few texts; between them is anything, or the edge
of a word. A part says something when each of its texts holds part of a word that is worth looking for.
"""

from __future__ import annotations

import re._parser as syntax  # type: ignore[import-not-found]
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core.words import plain_text, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST: Final = 3
"""How many clauses are kept of one way."""

ALTERNATIVES: Final = 64
"""How many texts a part of a pattern may stand for; beyond that it says nothing."""

WIDEST_CLASS: Final = 6
SHORTEST: Final = 4
"""How long a piece must be, edges counted: shorter ones are in every text."""

_EDGE: Final = "\x00"  # no letter or digit, or nothing where a word begins or ends
_ANY: Final = "\x01"  # anything
_GAPS: Final = {"CATEGORY_SPACE", "CATEGORY_NOT_WORD"}

Clause = frozenset[str]
"""Of these parts of words every match has at least one; a space stands for where a word begins or ends. The words are
those of `words.tokens`, parted by spaces."""

Way = tuple[Clause, ...]


@lru_cache(maxsize=4096)
def ways_of(pattern: str) -> tuple[Way, ...]:
    """The ways in which a pattern in Python's syntax can match, each as what every match of that way has in it.

    Without alternatives at its top a pattern has one way. The rarest clause of a way comes first; one without clauses
    tells nothing.
    """
    return tuple(
        tuple(sorted(filter(None, map(_clause, _sequence(tree).closed())), key=_commonness)[:MOST])
        for tree in _alternatives(syntax.parse(pattern))
    )


def _alternatives(tree: Sequence[tuple[Any, Any]]) -> list[Sequence[tuple[Any, Any]]]:
    if len(tree) == 1:
        kind, value = tree[0]
        if str(kind) == "SUBPATTERN":
            return _alternatives(value[3])
        if str(kind) == "BRANCH":
            return [inner for choice in value[1] for inner in _alternatives(choice)]
    return [tree]


@lru_cache(maxsize=4096)
def matches_ascii(pattern: str) -> bool:
    """Whether a text of ASCII characters alone can match."""
    return _all_ascii(syntax.parse(pattern))


def _sequence(tree: Iterable[tuple[Any, Any]]) -> _Parts:
    parts = _Parts()
    parts.read(tree)
    return parts


class _Parts:
    """The parts of a sequence: those that are closed, and the texts that the open one stands for."""

    def __init__(self) -> None:
        self.parts: list[set[str]] = []
        self.open: set[str] = {""}

    def closed(self) -> list[set[str]]:
        """All of them, the open one included."""
        return [*self.parts, self.open]

    def read(self, tree: Iterable[tuple[Any, Any]]) -> None:
        """Take the elements of a sequence in."""
        for kind, value in tree:
            read = getattr(self, f"_{str(kind).lower()}", None)
            if read is None:
                self._close(_ANY)
            else:
                read(value)

    def _literal(self, value: int) -> None:
        self._extend({chr(value)})

    def _at(self, value: Any) -> None:
        self._extend({_EDGE} if str(value) != "AT_NON_BOUNDARY" else {""})

    def _in(self, value: Sequence[tuple[Any, Any]]) -> None:
        letters, gap = _class(value)
        if letters is not None:
            self._extend(letters)
        else:
            self._close(_EDGE + _ANY + _EDGE if gap else _ANY)

    def _subpattern(self, value: Any) -> None:
        self._take([_sequence(value[3])])

    def _branch(self, value: Any) -> None:
        self._take([_sequence(tree) for tree in value[1]])

    def _max_repeat(self, value: Any) -> None:
        least, most, tree = value
        inner = _sequence(tree)
        if (least, most) == (1, 1):
            self._take([inner])
        elif (least, most) == (0, 1):
            self._take([inner, _Parts()])
        elif least and _is_gap(tree):
            self._close(_EDGE + _ANY + _EDGE)
        else:
            self._close(_ANY)
            if least:
                self.parts += inner.closed()

    _min_repeat = _max_repeat

    def _take(self, choices: Sequence[_Parts]) -> None:
        """One of several sequences follows."""
        if not any(choice.parts for choice in choices):
            self._extend(set().union(*(choice.open for choice in choices)))
            return
        self._close(_ANY)
        if len(choices) == 1:
            self.parts += choices[0].closed()
        else:
            self.parts.append(set().union(*(_most_telling(choice.closed()) for choice in choices)))

    def _extend(self, texts: set[str]) -> None:
        if len(self.open) * len(texts) > ALTERNATIVES:
            self._close(_ANY)
            texts = {_ANY} if len(texts) > ALTERNATIVES else {_ANY + text for text in texts}
            self.open = texts
        else:
            self.open = {before + text for before in self.open for text in texts}

    def _close(self, by: str) -> None:
        """End the open part; what comes next begins behind what is between."""
        self.parts.append({text + by for text in self.open})
        self.open = {by}


def _class(value: Sequence[tuple[Any, Any]]) -> tuple[set[str] | None, bool]:
    """The characters that a class stands for if they are few, and whether it has no letter or digit in it."""
    signs: set[str] = set()
    gap, few = True, True
    for kind, what in value:
        if str(kind) == "LITERAL":
            signs.add(chr(what))
        elif str(kind) == "RANGE" and what[1] - what[0] < WIDEST_CLASS:
            signs |= {chr(code) for code in range(what[0], what[1] + 1)}
        else:
            few = False
            gap = gap and str(kind) == "CATEGORY" and str(what) in _GAPS
    gap = gap and not any(sign.isalnum() or sign == "_" for sign in signs)
    return (signs if few and len(signs) <= WIDEST_CLASS else None), gap


def _is_gap(tree: Sequence[tuple[Any, Any]]) -> bool:
    return len(tree) == 1 and str(tree[0][0]) == "IN" and _class(tree[0][1])[1]


def _most_telling(parts: Sequence[set[str]]) -> set[str]:
    """The part with the rarest words; a part that says nothing if there is none."""
    telling = [part for part in parts if _clause(part)]
    return min(telling, key=lambda part: _commonness(_clause(part)), default={_ANY})


def _clause(texts: Iterable[str]) -> Clause:
    """The best piece of each text; empty when one of them has none."""
    pieces = [_longest_word(text) for text in texts]
    return frozenset(pieces) if all(pieces) else frozenset()


@lru_cache(maxsize=4096)
def _longest_word(text: str) -> str:
    pieces: list[str] = []
    wholes = text.split(_EDGE)
    for place, whole in enumerate(wholes):
        parts = whole.split(_ANY)
        for number, part in enumerate(parts):
            # What is before the first edge and behind the last one may go on outside.
            begins = number == 0 and place > 0
            ends = number == len(parts) - 1 and place < len(wholes) - 1
            pieces += _pieces(part, begins=begins, ends=ends)
    return max((piece for piece in pieces if len(piece) >= SHORTEST or not piece.isascii()), key=len, default="")


def _pieces(part: str, *, begins: bool, ends: bool) -> list[str]:
    """The words in a run of characters, each with a space where it is known to begin or end."""
    found = tokens(part)
    if found == [part.lower()]:
        return [f"{' ' * begins}{found[0]}{' ' * ends}"]
    plain = plain_text(part)
    if not plain.isascii():
        return found  # perhaps a script without spaces: each letter is a word, and where it begins is not told
    split = plain.split(" ")
    last = len(split) - 1
    return [f"{' ' * (begins or n > 0)}{word}{' ' * (ends or n < last)}" for n, word in enumerate(split) if word]


def _commonness(clause: Clause) -> float:
    """A guess of how many texts have one of these: short ones are common."""
    return sum(3.0 ** -min(len(piece), 12) for piece in clause)


def _all_ascii(tree: Iterable[tuple[Any, Any]]) -> bool:
    return all(_is_ascii(str(kind), value) for kind, value in tree)


def _is_ascii(kind: str, value: Any) -> bool:
    if kind == "LITERAL":
        return bool(value < 128)
    if kind == "RANGE":
        return bool(value[0] < 128)
    if kind == "IN":
        return any(_is_ascii(str(inner), what) for inner, what in value)
    if kind == "SUBPATTERN":
        return _all_ascii(value[3])
    if kind == "BRANCH":
        return any(_all_ascii(inner) for inner in value[1])
    if kind.endswith("_REPEAT"):
        return value[0] == 0 or _all_ascii(value[2])
    return True
