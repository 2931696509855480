"""Rules, and the set that matches all of them against a text in one pass of linear time.

The matching is google-re2's (https://github.com/google/re2/wiki/Syntax). Where it cannot be imported (musl,
free-threaded Python), and for a pattern that it rejects, Python's `re` runs the same pattern rule by rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol

from msgspec import Meta, Struct, structs

from llmtrace_sdk.core import linear
from llmtrace_sdk.core.clauses import Way
from llmtrace_sdk.core.model import Channel, Kind, Phase, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

SET_MEMORY: Final = 16 << 20
"""Bytes that one set may use for its program and the automaton's states; the states are thrown away when it is full."""

STRIDE: Final = 4096
"""Bytes searched at most beyond the surroundings of a probe's match, so that a text full of them is not searched
twice; twice as many after each match."""

Backend = Literal["re2", "re"]
Span = tuple[int, int]
Groups = Sequence[tuple[int, ...]]
"""Numbers of rules, those that share a probe together."""

# Matches every text, but once only: without it a set that ran out of memory looks like a set that found nothing.
_SENTINEL: Final = rb"\A"
_ASCII_CLASSES: Final = {"d": "0-9", "s": r"\t\n\f\r ", "w": "0-9A-Za-z_"}


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    r"""One pattern and what it means.

    `pattern` is in the syntax that RE2 and Python share: no look-around, no back-references; `\b \d \s \w` are ASCII,
    and inside a class only `\d \s \w` may be used. The span of capture group `group`, which every match must have, is
    the finding's place; it goes on with what `tail` matches right behind it, where repeats need no bound. All in all it
    is at most `max_length` characters long, which is how much of a stream has to be kept back to see it whole.

    `probe` is a cheaper pattern that has a match inside every match of `pattern`; it takes its place in the set.
    `literals`: at least one of them, case folded, is in every text that matches; they spare `re` most of its work.
    `ways` and `ascii_only` are what `clauses` says of the pattern, worked out beforehand.
    `check` names a function of the detector that confirms a match. `kinds` None means every kind of segment.
    `category` is a risk name as in `Finding.category`, `owasp` an entry of the OWASP Top 10 for LLM applications, 2025.
    `technique` is the attack technique that an injection rule recognises (`override`, `persona`, ...).
    """

    id: Annotated[str, Meta(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)+$")]
    type: str
    pattern: str
    severity: Severity
    confidence: Annotated[float, Meta(gt=0, le=1)]
    phases: Annotated[frozenset[Phase], Meta(min_length=1)]
    channels: Annotated[frozenset[Channel], Meta(min_length=1)]
    category: str
    owasp: Annotated[str, Meta(pattern=r"^LLM\d\d$")]
    max_length: Annotated[int, Meta(gt=0)]
    examples: Annotated[tuple[str, ...], Meta(min_length=2)]
    near_misses: Annotated[tuple[str, ...], Meta(min_length=2)]
    kinds: frozenset[Kind] | None = None
    languages: tuple[str, ...] = ("en",)
    technique: str = ""
    group: int = 0
    ways: tuple[Way, ...] | None = None
    ascii_only: bool | None = None
    tail: str | None = None
    probe: str | None = None
    literals: tuple[str, ...] = ()
    check: str | None = None


class Pattern(Protocol):
    """One compiled rule."""

    def found(self, text: str, /) -> bool:
        """Whether it occurs in the text."""

    def spans(self, text: str, limit: int, /) -> list[Span]:
        """The first `limit` places where it occurs."""


class PatternSet:
    """Many rules behind one automaton. Thread-safe; compiled at the first match, once.

    `backend` "re" is the fallback by choice. Matching never raises, whatever the text holds.
    """

    __slots__ = ("_backend", "_groups", "_lock", "_patterns", "rules")

    def __init__(self, rules: Sequence[Rule], *, backend: Backend = "re2") -> None:
        self.rules: Final = tuple(rules)
        self._backend = backend
        self._lock = Lock()
        self._groups: Callable[[str], Groups] | None = None
        self._patterns: list[Pattern | None] = [None] * len(self.rules)

    def match(self, text: str) -> list[int]:
        """Indices, in order, of the rules that may occur in the text; `spans` tells where, if they do."""
        return sorted(number for group in self.groups(text) for number in group)

    def groups(self, text: str) -> Groups:
        """The same, those that share a probe together."""
        return (self._groups or self._compiled())(text)

    def any_of(self, group: tuple[int, ...], text: str) -> bool:
        """Whether one of the rules of a group may occur: one pattern is tried for all of them."""
        union = _union(tuple(self.rules[number] for number in group), self._backend)
        return union is None or union.found(text)

    def spans(self, index: int, text: str, limit: int) -> list[Span]:
        """Places of one rule's finding: character offsets, ordered, without overlap, at most `limit`."""
        return self._pattern(index).spans(text, limit)

    def warm(self) -> None:
        """Compile now instead of at the first match, and each rule instead of at its own first match."""
        self.match("")
        for index in range(len(self.rules)):
            self._pattern(index)

    def _compiled(self) -> Callable[[str], Groups]:
        with self._lock:
            if self._groups is None:
                re2 = _engine(self._backend)
                self._groups = self._by_set(re2) if re2 else self._one_by_one
            return self._groups

    def _by_set(self, re2: ModuleType) -> Callable[[str], Groups]:
        compiled = re2.Set.SearchSet(_options(re2))
        # Rules that share a probe share its place.
        sharing: dict[str, list[int]] = {}
        rejected: list[int] = []
        try:
            for number, rule in enumerate(self.rules):
                probe = rule.probe or rule.pattern
                try:
                    if probe not in sharing:
                        compiled.Add(probe.encode())
                    sharing.setdefault(probe, []).append(number)
                except re2.error:
                    rejected.append(number)
            compiled.Add(_SENTINEL)
            compiled.Compile()
        except re2.error:
            return self._one_by_one
        sentinel, places = len(sharing), tuple(map(tuple, sharing.values()))

        def groups(text: str) -> Groups:
            hits: list[int] | None = compiled.Match(text.encode("utf-8", "replace"))
            if hits is None:
                return self._one_by_one(text)
            if len(hits) == 1 and not rejected:
                return ()
            return [*(places[hit] for hit in hits if hit != sentinel), *self._found(rejected, text)]

        return groups

    def _one_by_one(self, text: str) -> Groups:
        return self._found(range(len(self.rules)), text)

    def _found(self, numbers: Iterable[int], text: str) -> Groups:
        return [(number,) for number in numbers if self._pattern(number).found(text)]

    def _pattern(self, index: int) -> Pattern:
        # Two threads may both compile it; either result will do.
        pattern = self._patterns[index]
        if pattern is None:
            pattern = self._patterns[index] = _compile(self.rules[index], self._backend)
        return pattern


def _engine(backend: Backend) -> ModuleType | None:
    return None if backend == "re" else linear.engine()


def _options(re2: ModuleType) -> Any:
    return linear.options(re2, SET_MEMORY)


def compiled(rule: Rule) -> Pattern:
    """One rule, to be matched alone; compiled once."""
    return _compile(rule, "re2")


@lru_cache(maxsize=8192)
def _compile(rule: Rule, backend: Backend) -> Pattern:
    re2 = _engine(backend)
    if re2 is not None:
        try:
            return _Linear(rule, re2)
        except re2.error:
            pass
    return _Backtracking(rule)


@lru_cache(maxsize=512)
def _union(rules: tuple[Rule, ...], backend: Backend) -> Pattern | None:
    """What matches where one of some rules of one probe does, if it can be had."""
    re2 = _engine(backend)
    if re2 is None:
        return None
    pattern = "|".join(f"(?:{rule.pattern})" for rule in rules)
    longest = max(rule.max_length for rule in rules)
    try:
        return _Linear(structs.replace(rules[0], pattern=pattern, max_length=longest, group=0, tail=None), re2)
    except re2.error:
        return None


class _Linear:
    """A rule compiled by RE2, which sees UTF-8 bytes.

    Where there is a probe, only its surroundings are searched: a match has one of the probe inside it, and is at most
    `max_length` characters long.
    """

    __slots__ = ("_probe", "_regex", "_rule", "_tail")

    def __init__(self, rule: Rule, re2: ModuleType) -> None:
        options = _options(re2)
        self._rule = rule
        self._regex = re2.compile(rule.pattern.encode(), options)
        self._tail = re2.compile(rule.tail.encode(), options) if rule.tail else None
        probe = rule.probe if rule.probe != rule.pattern else None
        self._probe = re2.compile(probe.encode(), options) if probe else None

    def found(self, text: str, /) -> bool:
        return bool(self.spans(text, 1))

    def spans(self, text: str, limit: int, /) -> list[Span]:
        data = text.encode("utf-8", "replace")
        ascii_only = len(data) == len(text)
        places = _Places(self._rule, self._tail, limit, bytes_each=1 if ascii_only else 4)
        if self._probe is None:
            places.gather(self._regex.finditer(data), data, len(data))
        else:
            self._search_around(self._probe, data, places)
        return places.spans if ascii_only else _in_characters(data, places.spans)

    def _search_around(self, probe: Any, data: bytes, places: _Places) -> None:
        position, stride = 0, places.reach
        while not places.full and (seen := probe.search(data, position)):
            stop = min(seen.end() + places.reach + stride, len(data))
            stride = min(2 * stride, STRIDE)
            # What begins within reach of the stop may go on behind it: that is left to the next round.
            position = stop - places.reach if stop < len(data) else stop
            begin = max(seen.start() - places.reach, places.end)
            places.gather(self._regex.finditer(data, begin, stop), data, position)


class _Backtracking:
    """A rule compiled by Python's `re`, which is run only on texts that hold one of the rule's literals."""

    __slots__ = ("_regex", "_rule", "_tail")

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._regex = re.compile(python_syntax(rule.pattern))
        self._tail = re.compile(python_syntax(rule.tail)) if rule.tail else None

    def found(self, text: str, /) -> bool:
        if self._rule.literals:
            folded = text.casefold()
            if not any(literal in folded for literal in self._rule.literals):
                return False
        return self._regex.search(text) is not None

    def spans(self, text: str, limit: int, /) -> list[Span]:
        places = _Places(self._rule, self._tail, limit, bytes_each=1)
        places.gather(self._regex.finditer(text), text, len(text))
        return places.spans


class _Places:
    """The places of one rule in one text, in offsets of what is searched: a `str`, or UTF-8 with `bytes_each` at most.

    `reach` is how far a match can extend.
    """

    __slots__ = ("_group", "_limit", "_max_length", "_tail", "reach", "spans")

    def __init__(self, rule: Rule, tail: Any, limit: int, *, bytes_each: int) -> None:
        self._group = rule.group
        self._max_length = rule.max_length
        self._tail = tail
        self._limit = limit
        self.reach = rule.max_length * bytes_each
        self.spans: list[Span] = []

    @property
    def end(self) -> int:
        """Where the last place ends."""
        return self.spans[-1][1] if self.spans else 0

    @property
    def full(self) -> bool:
        """Whether no more places are wanted."""
        return len(self.spans) >= self._limit

    def gather(self, matches: Iterable[Any], text: str | bytes, before: int) -> None:
        """Take the matches that begin before an offset and behind the last place."""
        for match in matches:
            if match.start() >= before or self.full:
                return
            start, end = match.span(self._group)
            if start < self.end:
                continue
            if self._tail is not None:
                more = self._tail.match(text, end, self._last_end(text, start))
                end = more.end() if more else end
            self.spans.append((start, end))

    def _last_end(self, text: str | bytes, start: int) -> int:
        if isinstance(text, str) or self.reach == self._max_length:
            return min(start + self._max_length, len(text))
        most = text[start : start + self.reach].decode("utf-8", "ignore")
        return start + len(most[: self._max_length].encode())


def _in_characters(data: bytes, spans: list[Span]) -> list[Span]:
    """Byte offsets as character offsets, in one walk: the spans are ordered and do not overlap."""
    found, byte, character = [], 0, 0
    for start, end in spans:
        first = character + len(data[byte:start].decode("utf-8", "ignore"))
        byte, character = end, first + len(data[start:end].decode("utf-8", "ignore"))
        found.append((first, character))
    return found


def python_syntax(pattern: str) -> str:
    r"""A rule's pattern for Python's `re`: `\b \d \s \w` stay ASCII, while case is ignored in any script."""
    parts, in_class, position = [], False, 0
    while position < len(pattern):
        atom = pattern[position : position + (2 if pattern[position] == "\\" else 1)]
        position += len(atom)
        if atom in ("[", "]"):
            in_class = atom == "["
        parts.append(_translated(atom, in_class=in_class))
    return "".join(parts)


def _translated(atom: str, *, in_class: bool) -> str:
    if len(atom) == 1:
        return atom
    if in_class:
        return _ASCII_CLASSES.get(atom[1], atom)
    if atom == r"\z":
        return r"\Z"
    return f"(?a:{atom})" if atom[1] in "bBdDsSwW" else atom
