"""All rules of a plan, put to a text in the cheapest way.

An automaton of many patterns has to remember which of them have matched so far: its size grows with every combination
of them, and new text builds it anew. So rules that ask for words wait behind a gate, and are tried alone when a text
has their words. Those of English injection techniques ask for words that most texts have, and share an automaton of
probes; what asks for no words shares a second. A probe that matched says little: its rules are tried only if the text
has their words, and where several of them share it, only if the union of their patterns matches.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.clauses import Way, matches_ascii, ways_of
from llmtrace_sdk.core.gate import Entry, Gate, Needs, meets, needs_of
from llmtrace_sdk.core.patterns import PatternSet, compiled, python_syntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.patterns import Rule, Span


class Rulebook:
    """Many rules. Thread-safe; compiled at the first match. Matching never raises, whatever the text holds."""

    __slots__ = ("_gate", "_gated", "_parts", "rules")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules: Final = tuple(rules)
        common = [number for number, rule in enumerate(self.rules) if _asks_for_common_words(rule)]
        others = sorted(set(range(len(self.rules))).difference(common))
        self._gated = [number for number in others if all(_ways(self.rules[number]))]
        free = sorted(set(others).difference(self._gated))
        self._parts = [self._part(numbers) for numbers in (free, common) if numbers]
        self._gate: Gate | None = None

    def match(self, text: str, words: Sequence[str]) -> list[int]:
        """Indices, in order, of the rules that may occur in a text of these words; `spans` tells where, if they do."""
        different = {*words}
        found = [number for part in self._parts for number in part.match(text, different)]
        gate = self._gate or self._make_gate()
        if gate is None:
            return sorted([*found, *self._gated])
        found += [self._gated[at] for at in gate.candidates(words, ascii_only=text.isascii())]
        return sorted(found)

    def spans(self, index: int, text: str, limit: int) -> list[Span]:
        """Places of one rule's finding: character offsets, ordered, without overlap, at most `limit`."""
        return compiled(self.rules[index]).spans(text, limit)

    def warm(self) -> None:
        """Compile now instead of at the first match; single rules are compiled when they are first tried."""
        self._gate = self._gate or self._make_gate()
        for part in self._parts:
            part.match("", set())

    def _part(self, numbers: Sequence[int]) -> _Part:
        return _Part(_pattern_set(tuple(self.rules[number] for number in numbers)), numbers)

    def _make_gate(self) -> Gate | None:
        """The gate, or None where there is none to be had. Two threads may both make it; either result will do."""
        try:
            self._gate = _gate(tuple(self.rules[number] for number in self._gated))
        except ImportError:
            return None
        return self._gate


class _Part:
    """Rules that share an automaton."""

    __slots__ = ("_needs", "_order", "_patterns")

    def __init__(self, patterns: PatternSet, numbers: Sequence[int]) -> None:
        self._patterns = patterns
        self._order = tuple(numbers)
        self._needs: list[Needs | None] = [None] * len(self._order)

    def match(self, text: str, words: set[str]) -> list[int]:
        """The numbers of those that may occur in a text of these words."""
        found: list[int] = []
        for group in self._patterns.groups(text):
            left = [at for at in group if meets(words, self._needs[at] or self._needs_of(at))]
            if left and (len(left) == 1 or self._patterns.any_of(group, text)):
                found += [self._order[at] for at in left]
        return found

    def _needs_of(self, at: int) -> Needs:
        # Two threads may both make it; either result will do.
        needs = self._needs[at] = needs_of(_ways(self._patterns.rules[at]))
        return needs


def _asks_for_common_words(rule: Rule) -> bool:
    return bool(rule.technique) and "en" in rule.languages


@lru_cache(maxsize=128)
def _pattern_set(rules: tuple[Rule, ...]) -> PatternSet:
    """The plans of other channels and kinds have most rules in common."""
    return PatternSet(rules)


@lru_cache(maxsize=16)
def _gate(rules: tuple[Rule, ...]) -> Gate:
    return Gate([Entry(_ways(rule), _ascii_only(rule), rule.max_length) for rule in rules])


def _ways(rule: Rule) -> Sequence[Way]:
    if rule.ways is not None:
        return rule.ways
    try:
        return ways_of(python_syntax(rule.pattern))
    except re.error:  # it will fail again, with its detector's name, when it is compiled
        return ((),)


def _ascii_only(rule: Rule) -> bool:
    return matches_ascii(python_syntax(rule.pattern)) if rule.ascii_only is None else rule.ascii_only
