"""What every match of a pattern has in it, told from the pattern's syntax tree.

A pattern is read as a sequence of parts, each of which stands for a few texts; between them is anything, or the edge
of a word. A part says something when each of its texts holds part of a word that is worth looking for.
"""

from __future__ import annotations

import re._parser as syntax  # type: ignore[import-not-found]
from functools import lru_cache
from math import fsum
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core.words import plain_text, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST: Final = 3
"""How many clauses are kept of one way."""

ALTERNATIVES: Final = 64
"""How many texts a part of a pattern may stand for; beyond that it says nothing."""

WIDEST_CLASS: Final = 6
MOST_COPIES: Final = 16
"""How many copies of what is repeated are looked at."""

SHORTEST: Final = 4
"""How long a piece must be, edges counted: shorter ones are in every text."""

_EDGE: Final = "\x00"  # no letter or digit, or nothing where a word begins or ends
_ANY: Final = "\x01"  # anything
_SAME_SIGNS: Final = {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " "}

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
        tuple(sorted(filter(None, map(_clause, _sequence(tree).closed())), key=_order)[:MOST])
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

    @property
    def empty(self) -> bool:
        """Whether nothing has been taken in, or nothing that says anything."""
        return not self.parts and self.open == {""}

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
        self._extend({_sign(value)})

    def _at(self, value: Any) -> None:
        self._extend({_EDGE} if str(value) != "AT_NON_BOUNDARY" else {""})

    def _in(self, value: Sequence[tuple[Any, Any]]) -> None:
        signs = _class(value)
        if signs is None:
            self._close(_ANY)
        else:
            self._extend(signs)

    def _subpattern(self, value: Any) -> None:
        self.read(value[3])

    def _branch(self, value: Any) -> None:
        self._take([_sequence(tree) for tree in value[1]])

    def _max_repeat(self, value: Any) -> None:
        least, most, tree = value
        if (least, most) == (0, 1):
            self._take([_sequence(tree), _Parts()])
            return
        signs = _one_sign(tree)
        if signs and _class(signs) == {" "}:
            self._gap(least)
            return
        copies = min(least, MOST_COPIES if signs else 1)
        for _ in range(copies):
            self.read(tree)
        if most > copies:
            before = self._before() if _ends_word(_sequence(tree)) else _ANY
            self._close(_ANY)
            self.open = {before}

    _min_repeat = _max_repeat

    def _gap(self, least: int) -> None:
        """What is one space between words, however many of them there are."""
        if len(self.open) > 1:
            # Many words before and many behind would be too many phrases.
            self._close(_EDGE + _ANY + _EDGE if least else _ANY)
        else:
            self._extend({" "} if least else {" ", ""})

    def _take(self, choices: Sequence[_Parts]) -> None:
        """One of several sequences follows."""
        if not any(choice.parts for choice in choices):
            self._extend(set().union(*(choice.open for choice in choices)))
            return
        before = self._before()
        self._close(_ANY)
        self.parts.append(set().union(*(_most_telling(before, choice.closed()) for choice in choices)))
        after = {_ANY + _EDGE if _ends_word(choice) else before if choice.empty else _ANY for choice in choices}
        self.open = {_ANY if _ANY in after else _ANY + _EDGE}

    def _extend(self, texts: set[str]) -> None:
        if len(self.open) * len(texts) > ALTERNATIVES:
            before = self._before()
            self._close(_ANY)
            self.open = {before} if len(texts) > ALTERNATIVES else {before + text for text in texts}
        else:
            self.open = {before + text for before in self.open for text in texts}

    def _before(self) -> str:
        """What is known to be before what comes next, when the open part is not looked at."""
        return _ANY + _EDGE if _ends_word(self) else _ANY

    def _close(self, by: str) -> None:
        """End the open part; what comes next begins behind what is between."""
        self.parts.append({text + by for text in self.open})
        self.open = {by}


def _ends_word(parts: _Parts) -> bool:
    """Whether no word goes on behind."""
    return all(text.endswith((_EDGE, " ")) for text in parts.open)


def _sign(code: int) -> str:
    """A character as it is among words, where every digit is the same, and what is no part of a word a space."""
    sign = chr(code)
    if sign.isascii() and sign.isdigit():
        return "0"
    return sign if tokens(sign) else " "


def _class(value: Sequence[tuple[Any, Any]]) -> set[str] | None:
    """The characters that a class stands for, as they are among words; None if they are many."""
    signs: set[str] = set()
    for kind, what in value:
        if str(kind) == "LITERAL":
            signs.add(_sign(what))
        elif str(kind) == "RANGE" and (_are_digits(*what) or what[1] - what[0] < WIDEST_CLASS):
            signs |= {_sign(code) for code in range(what[0], what[1] + 1)}
        elif str(kind) == "CATEGORY" and str(what) in _SAME_SIGNS:
            signs.add(_SAME_SIGNS[str(what)])
        else:
            return None
    return signs if len(signs) <= WIDEST_CLASS else None


def _are_digits(first: int, last: int) -> bool:
    return ord("0") <= first and last <= ord("9")


def _one_sign(tree: Sequence[tuple[Any, Any]]) -> Sequence[tuple[Any, Any]] | None:
    """What is in the class, if nothing but one of a class is repeated."""
    while len(tree) == 1 and str(tree[0][0]) == "SUBPATTERN":
        tree = tree[0][1][3]
    if len(tree) != 1 or str(tree[0][0]) not in ("IN", "LITERAL"):
        return None
    return tree if str(tree[0][0]) == "LITERAL" else tree[0][1]


def _most_telling(before: str, parts: Sequence[set[str]]) -> set[str]:
    """The part with the rarest words; a part that says nothing if there is none. `before` is before the first one."""
    telling = [part for part in ({before + text for text in parts[0]}, *parts[1:]) if _clause(part)]
    return min(telling, key=lambda part: _commonness(_clause(part)), default={_ANY})


def _clause(texts: Iterable[str]) -> Clause:
    """The best piece of each text, but for those that hold another one; empty when a text has none."""
    pieces = {_longest_word(text) for text in texts}
    if "" in pieces:
        return frozenset()
    return frozenset(piece for piece in pieces if not any(other in piece for other in pieces if other != piece))


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
    if found != plain.split():
        return found  # a script without spaces: each letter is a word, and where it begins is not told
    return [f"{' ' * (begins or plain[0] == ' ')}{' '.join(found)}{' ' * (ends or plain[-1] == ' ')}"] if found else []


def _order(clause: Clause) -> tuple[float, int, list[str]]:
    return _commonness(clause), -min(map(len, clause)), sorted(clause)


def _commonness(clause: Clause) -> float:
    """A guess of how many texts have one of these: short ones are common."""
    return fsum(3.0 ** -min(len(piece), 12) for piece in clause)


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
