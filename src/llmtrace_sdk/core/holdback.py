r"""What of a growing text has to be kept back, because a match may still be on its way or be there already.

One automaton of all rules would have to keep apart all the ways in which a text may be on its way to a match: too many
to be remembered, and new text would build them anew. But most rules ask for a rare beginning (`\bsk-`, `password`): of
them only the prefixes of the beginning share an automaton, and a rule is tried alone where its beginning is there in
full. The few others, which any word may begin, share an automaton that does not count how often characters come; where
it keeps back much, they are tried alone too. Patterns end with `\z`, so RE2 runs them backwards from the end of the
text, and stops as soon as nothing is on its way.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmtrace_sdk.core import linear
from llmtrace_sdk.core.patterns import compiled
from llmtrace_sdk.core.prefixes import ANYTHING, ENOUGH, begun, head, live_pattern, loosened, parts_of, reach, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from types import ModuleType

    from llmtrace_sdk.core.patterns import Pattern, Rule, Span

MEMORY: Final = 16 << 20
"""Bytes that one automaton may use; its states are thrown away when it is full."""

SHORT: Final = 24
"""Bytes that may be kept back without looking closer."""

MANY: Final = 256
"""Rules whose prefixes are looked for all at once. With more of them two automata have far fewer states than one."""

LARGE: Final = 5000
"""Instructions that a rule's own automaton may have. A larger one, which counts far, is slower than it is worth."""

CONTEXT: Final = 64
"""Characters before the start that are looked at, at most, to see where a word begins."""

# Matches every text: a set that ran out of memory finds not even this.
_SENTINEL: Final = rb"\A"


class HoldBack:
    """Of rules that must not be let through: what of a growing text has to be kept back.

    Thread-safe; compiled when first used, once. Never raises, whatever the text holds. `longest` is how many characters
    a match can extend over: the greatest `max_length`, and more only for rules with a tail, for what is before their
    group. Where there is no RE2, that many characters are kept back, whatever they are.
    """

    __slots__ = ("_automata", "_lock", "_patterns", "_reaches", "longest", "rules")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules: Final = tuple(rules)
        self._reaches = tuple(map(reach, self.rules))
        self.longest: Final = max(self._reaches, default=0)
        self._lock = Lock()
        self._automata: _Automata | _NoAutomata | None = None
        self._patterns: list[Pattern | None] = [None] * len(self.rules)

    def warm(self) -> None:
        """Compile now what all rules share; what a single rule needs is compiled when it is first tried."""
        self._make()

    def live_from(self, text: str, start: int) -> int:
        """The first offset, not before `start`, from which on the text may still become a match, grow or be undone.

        Offsets are characters; what is before `start` is only context. The length of the text when nothing is live.
        """
        begin = max(start, len(text) - self.longest, 0)
        if begin >= len(text):
            return len(text)
        base = begin - 1 if begin else 0
        window = text[base:]
        data = window.encode("utf-8", "replace")
        automata = self._automata or self._make()
        if len(data) == len(window):
            return base + automata.live_from(data, begin - base, 1)
        first = len(window[: begin - base].encode("utf-8", "replace"))
        return base + len(data[: automata.live_from(data, first, 4)].decode("utf-8", "ignore"))

    def matches(self, text: str, start: int) -> list[tuple[int, int, Rule]]:
        """Complete matches that begin at or behind `start`: their first and last offset and rule, ordered.

        What ends where the text ends may still grow or be undone, if `live_from` keeps it back.
        """
        start = max(start, 0)
        if start >= len(text) or not self.rules:
            return []
        base = _word_before(text, start)
        automata = self._automata or self._make()
        numbers = automata.candidates(text[base:].encode("utf-8", "replace"))
        if not numbers:
            return []
        places = [
            (*span, self.rules[number]) for number in sorted(numbers) for span in self._spans(number, text, base, start)
        ]
        return sorted(places, key=_by_place)

    def look(self, text: str, start: int) -> tuple[int, list[tuple[int, int, Rule]]]:
        """`live_from` and `matches` of an ASCII text at once, for about the price of one."""
        size = len(text)
        if start >= size or not self.rules:
            return size, []
        base = _word_before(text, start)
        data = text[base:].encode()
        automata = self._automata or self._make()
        numbers = automata.candidates(data)
        begin = max(start, size - self.longest)
        live = base + automata.live_among(numbers, data, begin - base, 1)
        if not numbers:
            return live, []
        places = [(*span, self.rules[n]) for n in sorted(numbers) for span in self._spans(n, text, base, start)]
        return live, sorted(places, key=_by_place)

    def _make(self) -> _Automata | _NoAutomata:
        with self._lock:
            if self._automata is None:
                re2 = linear.engine()
                self._automata = (
                    _Automata(self.rules, self._reaches, re2) if re2 is not None else _NoAutomata(len(self.rules))
                )
            return self._automata

    def _spans(self, number: int, text: str, base: int, start: int) -> Iterable[Span]:
        pattern = self._patterns[number]
        if pattern is None:
            pattern = self._patterns[number] = compiled(self.rules[number])
        spans = _shifted(pattern, text, base)
        found = [span for span in spans if span[0] >= start]
        if spans and spans[0][0] < start < max(end for begin, end in spans if begin < start):
            # What began before has swallowed some: this may find one too many, at the start, but none is lost.
            return sorted({*found, *_shifted(pattern, text, start)})
        return found


@lru_cache(maxsize=12)  # one of many rules takes tens of megabytes
def hold_back(rules: tuple[Rule, ...]) -> HoldBack:
    """The one of these rules."""
    return HoldBack(rules)


class _NoAutomata:
    """Where RE2 is missing: everything may be live, and each rule may match."""

    __slots__ = ("_numbers",)

    def __init__(self, count: int) -> None:
        self._numbers = range(count)

    def live_from(self, _data: bytes, first: int, _each: int, /) -> int:
        return first

    def live_among(self, _candidates: Iterable[int], _data: bytes, first: int, _each: int, /) -> int:
        return first

    def candidates(self, _data: bytes, /) -> Collection[int]:
        return self._numbers


class _Own(NamedTuple):
    """What tells one rule's prefixes: an automaton that matches more of them is asked first, and often is enough."""

    loose: Any
    exact: Any


class _Automata:
    """What rules share, and each rule's own automaton once it was needed. Offsets are bytes, of UTF-8.

    `open`: the rules that any word may begin; `odd`: those that RE2 or the reading of their pattern refuses.
    """

    __slots__ = (
        "_begun",
        "_live",
        "_near",
        "_odd",
        "_open",
        "_owners",
        "_re2",
        "_reaches",
        "_seen",
        "_starting",
        "rules",
    )

    def __init__(self, rules: Sequence[Rule], reaches: Sequence[int], re2: ModuleType) -> None:
        self.rules, self._reaches, self._re2 = rules, reaches, re2
        self._odd: set[int] = set()
        self._open: set[int] = set()
        self._begun: list[Any] | None = None
        self._live: list[_Own | None] = [None] * len(rules)
        self._starting: dict[int, str] = {}
        self._seen, self._owners = self._set(self._sorted())
        loose = {number: live_pattern(rules[number], loose=True) for number in sorted(self._open)}
        shared = [{**self._starting, **loose}] if len(rules) <= MANY else [self._starting, loose]
        self._near = [regex for patterns in shared for regex in self._unions(patterns)]

    def live_from(self, data: bytes, first: int, each: int, /) -> int:
        """The first offset, not before `first`, from which on something is live; a character has `each` at most."""
        return self.live_among(self.candidates(data), data, first, each)

    def live_among(self, candidates: Iterable[int], data: bytes, first: int, each: int, /) -> int:
        """`live_from`, given the `candidates` of the data."""
        live = self._live_near(data, first, each)
        for number in candidates:
            if number in self._odd:
                live = min(live, max(first, len(data) - each * self._reaches[number]))
            elif number not in self._open:
                live = min(live, self._live_of(number, data, first, each))
        return live

    def candidates(self, data: bytes, /) -> Collection[int]:
        """The numbers of the rules that may match: their beginning is in the text, or more of them if they are open."""
        hits = self._seen(data)
        if not hits:
            return range(len(self.rules))
        if len(hits) == 1:
            return self._odd
        return {*self._odd, *(number for hit in hits for number in self._owners[hit])}

    def _live_near(self, data: bytes, first: int, each: int) -> int:
        """What is live of beginnings, and of open rules."""
        live = len(data)
        for regex in self._near:
            live = min(live, _found(regex, data, first))
        if len(data) - live <= SHORT:
            return live
        if self._begun is None:
            self._begun = self._unions(self._starting)
        begun = [_found(regex, data, live) for regex in self._begun]
        return min([len(data), *begun, *(self._live_of(number, data, live, each) for number in self._open)])

    def _live_of(self, number: int, data: bytes, first: int, each: int) -> int:
        own = self._live[number] or self._own(number)
        live = _found(own.loose, data, max(first, len(data) - each * self._reaches[number]))
        return live if own.exact is None or len(data) - live <= SHORT else _found(own.exact, data, live)

    def _sorted(self) -> dict[str, list[int]]:
        """What to look for in a text, and the rules that it is looked for."""
        seen: dict[str, list[int]] = {}
        for number, rule in enumerate(self.rules):
            parts = parts_of(rule.pattern)
            if parts is None:
                self._odd.add(number)
                continue
            first, rarity = head(parts)
            if rarity < ENOUGH:
                self._open.add(number)
                first = loosened(parts)
            else:
                self._starting[number] = begun(first)
            seen.setdefault(whole(first), []).append(number)
        return seen

    def _set(self, seen: dict[str, list[int]]) -> tuple[Callable[[bytes], list[int] | None], list[list[int]]]:
        """The set of all that is looked for, and the rules of each."""
        found = self._re2.Set.SearchSet(self._options())
        owners: list[list[int]] = []
        for pattern, numbers in seen.items():
            try:
                found.Add(pattern.encode())
            except self._re2.error:
                self._odd.update(numbers)
            else:
                owners.append(numbers)
        found.Add(_SENTINEL)
        try:
            found.Compile()
        except self._re2.error:  # too large: as good as one that never tells anything
            return _nothing_told, []
        return found.Match, [*owners, []]

    def _unions(self, patterns: dict[int, str]) -> list[Any]:
        r"""Automata that match what one of the patterns does before `\z`; rules with a refused one become odd."""
        distinct = dict.fromkeys(patterns.values())
        try:
            return [self._compile("|".join(distinct))] if distinct else []
        except self._re2.error:
            if len(distinct) == 1:
                self._odd.update(patterns)
                return []
        items, half = list(patterns.items()), len(patterns) // 2
        return [*self._unions(dict(items[:half])), *self._unions(dict(items[half:]))]

    def _own(self, number: int) -> _Own:
        """The automata of one rule's prefixes. Two threads may both make them; either's will do."""
        rule = self.rules[number]
        exact = self._compiled(live_pattern(rule))
        loose = self._compiled(live_pattern(rule, loose=True)) or exact or self._compile(ANYTHING)
        own = _Own(loose, exact if exact and exact.reverseprogramsize <= LARGE else None)
        self._live[number] = own
        return own

    def _compiled(self, pattern: str) -> Any:
        try:
            return self._compile(pattern)
        except self._re2.error:
            return None

    def _compile(self, pattern: str) -> Any:
        return self._re2.compile(rf"(?:{pattern})\z".encode(), self._options())

    def _options(self) -> Any:
        options = linear.options(self._re2, MEMORY)
        options.never_capture = True
        return options


def _by_place(match: tuple[int, int, Rule]) -> Span:
    return match[:2]


def _nothing_told(_data: bytes) -> None:
    return None


def _found(regex: Any, data: bytes, first: int) -> int:
    """Where what is live begins. Nothing at all is live too, so not even to find that is a failure."""
    match = regex.search(data, first)
    return match.start() if match else first


def _shifted(pattern: Pattern, text: str, base: int) -> list[Span]:
    return [(start + base, end + base) for start, end in pattern.spans(text[base:], len(text) + 1)]


def _word_before(text: str, start: int) -> int:
    """Where to look from, to see at `start` what is before it: the word that goes on there, and what it is behind."""
    base = start
    while base > max(0, start - CONTEXT) and (text[base - 1].isalnum() or text[base - 1] == "_"):
        base -= 1
    return max(base - 1, 0)
