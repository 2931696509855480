"""Which rules can match a text at all, told from its words alone.

A rule asks for words: `(ignore|forget) ... (previous|above) ... (instructions|rules)` cannot match where one of the
three is missing, or too far away from the others. One pass of an Aho-Corasick automaton tells which of them a text has
and where, and a few ANDs over bits, one bit a rule, which rules are left.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Final, NamedTuple

from llmtrace_sdk.core.clauses import MOST, Way

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


REACHES: Final = (200, 600)
"""Lengths of matches, in characters: a rule's words must be that close to each other, or in the same text at least."""


class Entry(NamedTuple):
    """What a gate must know of a rule: the ways in which it can match, and the greatest length of a match."""

    ways: Sequence[Way]
    ascii_only: bool
    max_length: int


class Gate:
    """Answers which rules can match a text. Thread-safe.

    Raises `ImportError` where there is no ahocorasick_rs; then every rule has to be tried.
    """

    __slots__ = ("_ascii", "_base", "_masks", "_near", "_owners", "_search", "_size")

    def __init__(self, entries: Sequence[Entry]) -> None:
        from ahocorasick_rs import AhoCorasick, MatchKind

        ways = [(number, way) for number, entry in enumerate(entries) for way in entry.ways]
        self._owners = [number for number, _ in ways]
        self._size = len(ways)
        lengths = [entries[number].max_length for number in self._owners]
        self._ascii = _mask(entries[number].ascii_only for number in self._owners)
        self._near = [
            _mask(below < length <= reach for length in lengths)
            for below, reach in zip((0, *REACHES), (*REACHES, max(lengths, default=0)), strict=True)
        ]
        self._base = 0
        masks: dict[str, int] = {}
        for at, (_, clauses) in enumerate(ways):
            for slot in range(MOST):
                bit = 1 << (slot * self._size + at)
                if slot >= len(clauses):
                    self._base |= bit
                    continue
                for piece in clauses[slot]:
                    masks[piece] = masks.get(piece, 0) | bit
        self._masks = tuple(masks.values())
        self._search = AhoCorasick(list(masks), matchkind=MatchKind.Standard).find_matches_as_indexes

    def candidates(self, words: Sequence[str], *, ascii_only: bool) -> set[int]:
        """The numbers of the rules that can match a text of these words."""
        found = self._search(f" {' '.join(words)} ", overlapping=True)
        # Words are one space apart here, so nothing is further apart than in the text; but some scripts get spaces.
        step = REACHES[0] if ascii_only else 2 * REACHES[0]
        regions: dict[int, int] = {}
        masks = self._masks
        for number, start, _ in found:
            region = start // step
            regions[region] = regions.get(region, 0) | masks[number]
        near, middle, far = self._near
        possible = self._met(reduce(or_, regions.values(), 0), far | middle | near)
        if possible & (near | middle):
            close = self._together(regions, 1, possible & near) if possible & near else 0
            wide = self._together(regions, REACHES[1] // REACHES[0], possible & middle) if possible & middle else 0
            possible = possible & far | close | wide
        return {self._owners[at] for at in _bits(possible & self._ascii if ascii_only else possible)}

    def _together(self, regions: Mapping[int, int], ahead: int, wanted: int) -> int:
        """Which of the ways have their words in one region or the next `ahead` ones."""
        possible = 0
        for region in regions:
            met = reduce(or_, (regions.get(region + further, 0) for further in range(ahead + 1)))
            possible |= self._met(met, wanted)
        return possible

    def _met(self, met: int, wanted: int) -> int:
        """One bit for each clause of each way; a way is possible when all of its clauses are met."""
        met |= self._base
        for slot in range(MOST):
            wanted &= met >> (slot * self._size)
        return wanted


def _mask(bits: Iterable[bool]) -> int:
    return sum(bit << at for at, bit in enumerate(bits))


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return found
