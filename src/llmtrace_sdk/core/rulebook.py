"""All rules of a plan, put to a text in the cheapest way.

An automaton of many patterns has to remember which of them have matched so far: its size grows with every combination
of them, and new text builds it anew. So a rule that asks for words waits behind a gate. Those of English injection
techniques, which ask for common words, then share small automata, of which only those are run that can match; others
are tried alone. What asks for no words (numbers, for the most part) shares an automaton that is always run.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.clauses import Way, matches_ascii, ways_of
from llmtrace_sdk.core.gate import Entry, Gate
from llmtrace_sdk.core.patterns import PatternSet, compiled, python_syntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.patterns import Rule, Span

TOGETHER: Final = 40
"""How many rules that ask for common words share an automaton."""


class Rulebook:
    """Many rules. Thread-safe; compiled at the first match. Matching never raises, whatever the text holds."""

    __slots__ = ("_alone", "_free", "_gate", "_gated", "_shared", "rules")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules: Final = tuple(rules)
        self._gated = [number for number, rule in enumerate(self.rules) if all(_ways(rule))]
        common = [number for number in self._gated if _asks_for_common_words(self.rules[number])]
        self._alone = frozenset(self._gated).difference(common)
        self._free = self._part([number for number, rule in enumerate(self.rules) if not all(_ways(rule))])
        self._shared = [self._part(common[at : at + TOGETHER]) for at in range(0, len(common), TOGETHER)]
        self._gate: Gate | None = None

    def match(self, text: str, words: Sequence[str]) -> list[int]:
        """Indices, in order, of the rules that may occur in a text of these words; `spans` tells where, if they do."""
        gate = self._gate or self._make_gate()
        possible = (
            {self._gated[at] for at in gate.candidates(words, ascii_only=text.isascii())} if gate else self._gated
        )
        found = self._free.match(text) + [number for number in possible if number in self._alone]
        for part in self._shared:
            if not part.numbers.isdisjoint(possible):
                found += part.numbers.intersection(possible).intersection(part.match(text))
        return sorted(found)

    def spans(self, index: int, text: str, limit: int) -> list[Span]:
        """Places of one rule's finding: character offsets, ordered, without overlap, at most `limit`."""
        return compiled(self.rules[index]).spans(text, limit)

    def warm(self) -> None:
        """Compile now instead of at the first match; single rules are compiled when they are first tried."""
        self._gate = self._gate or self._make_gate()
        for part in (self._free, *self._shared):
            part.match("")

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

    __slots__ = ("_order", "_patterns", "numbers")

    def __init__(self, patterns: PatternSet, numbers: Sequence[int]) -> None:
        self._patterns = patterns
        self._order = tuple(numbers)
        self.numbers = frozenset(numbers)

    def match(self, text: str) -> list[int]:
        return [self._order[at] for at in self._patterns.match(text)]


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
