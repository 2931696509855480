"""Which rules can match a text at all, told from its words alone.

A rule asks for words: `(ignore|forget) ... (previous|above) ... (instructions|rules)` cannot match where one of the
three is missing, or too far away from the others. One pass of an Aho-Corasick automaton tells which of them a text has
and where, and a few ANDs over bits, one bit a rule, which rules are left.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Final, NamedTuple

from llmtrace_sdk.core.clauses import MOST, Clause, Way

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


REGION: Final = 64
"""Characters: words are told apart by the region where they begin, so that a word said without end costs little."""

Needs = tuple[tuple[frozenset[str], ...], ...]
"""Ways in which a rule can match: of each of these sets of words a text has one."""


def needs_of(ways: Iterable[Way]) -> Needs:
    """What the clauses of ways say of whole words. One with a mere part of a word says nothing."""
    return tuple(tuple(words for clause in way if (words := _words_of(clause))) for way in ways)


def _words_of(clause: Clause) -> frozenset[str]:
    words = {max(piece.split(" ")[1:-1], key=len, default="") for piece in clause}
    return frozenset() if "" in words else frozenset(words)


def meets(words: set[str], needs: Needs) -> bool:
    """Whether a text with these words has what one of the ways needs, wherever in the text."""
    return any(not any(map(words.isdisjoint, way)) for way in needs)


class Entry(NamedTuple):
    """What a gate must know of a rule: the ways in which it can match, and the greatest length of a match."""

    ways: Sequence[Way]
    ascii_only: bool
    max_length: int


class Gate:
    """Answers which rules can match a text. Thread-safe.

    Raises `ImportError` where there is no ahocorasick_rs; then every rule has to be tried.
    """

    __slots__ = ("_all", "_ascii", "_base", "_clauses", "_lengths", "_masks", "_owners", "_search", "_size")

    def __init__(self, entries: Sequence[Entry]) -> None:
        from ahocorasick_rs import AhoCorasick, MatchKind

        ways = [(number, way) for number, entry in enumerate(entries) for way in entry.ways]
        pieces: dict[str, int] = {}
        for _, way in ways:
            for clause in way[:MOST]:
                for piece in clause:
                    pieces.setdefault(piece, len(pieces))
        self._owners = [number for number, _ in ways]
        self._lengths = [entries[number].max_length for number in self._owners]
        self._clauses = [tuple(tuple(map(pieces.__getitem__, clause)) for clause in way[:MOST]) for _, way in ways]
        self._size = len(ways)
        self._all = (1 << self._size) - 1
        self._ascii = sum(entries[number].ascii_only << at for at, number in enumerate(self._owners))
        self._base, masks = self._bits_of_pieces(len(pieces))
        self._masks = tuple(masks)  # which a garbage collection of the host's does not look into, unlike a list
        patterns = AhoCorasick(list(pieces), matchkind=MatchKind.Standard, store_patterns=False)
        self._search = patterns.find_matches_as_indexes

    def _bits_of_pieces(self, count: int) -> tuple[int, list[int]]:
        """One bit for each clause of each way: those that no way has, and those that each piece meets."""
        base, masks = 0, [0] * count
        for at, clauses in enumerate(self._clauses):
            for slot in range(MOST):
                bit = 1 << (slot * self._size + at)
                if slot >= len(clauses):
                    base |= bit
                    continue
                for number in clauses[slot]:
                    masks[number] |= bit
        return base, masks

    def candidates(self, words: Sequence[str], *, ascii_only: bool) -> set[int]:
        """The numbers of the rules that can match a text of these words."""
        text = f" {' '.join(words)} "
        places: dict[int, list[int]] = {}
        for number, start, _ in self._search(text, overlapping=True):
            region = start // REGION
            if number not in places:
                places[number] = [region]
            elif places[number][-1] != region:
                places[number].append(region)
        met = reduce(or_, map(self._masks.__getitem__, places), self._base)
        possible = _bits(self._met(met, self._ascii if ascii_only else self._all))
        # Words are one space apart here, so nothing is further apart than in the text; but some scripts get spaces.
        spread = 1 if ascii_only else 2
        return {self._owners[at] for at in possible if self._close(at, places, len(text), spread)}

    def _close(self, at: int, places: Mapping[int, list[int]], size: int, spread: int) -> bool:
        """Whether a way has a word of each of its clauses no further apart than a match is long."""
        clauses, reach = self._clauses[at], spread * (self._lengths[at] + 1) // REGION + 1
        if len(clauses) < 2 or size // REGION <= reach:
            return True
        found = {
            (region, slot)
            for slot, numbers in enumerate(clauses)
            for number in numbers
            if number in places
            for region in places[number]
        }
        last = [-reach - 1] * len(clauses)
        for region, slot in sorted(found):
            last[slot] = region
            if region - min(last) <= reach:
                return True
        return False

    def _met(self, met: int, wanted: int) -> int:
        """Of some ways those of which all clauses are met."""
        for slot in range(MOST):
            wanted &= met >> (slot * self._size)
        return wanted


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return found
