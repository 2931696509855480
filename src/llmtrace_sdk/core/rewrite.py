"""Whole bodies: found values out, placeholders in, and back; only the bytes that must change do.

A string that is itself JSON (the arguments of a tool call, mostly) is edited as such: values are found in it however
their characters are escaped, and what is put into it is written as inside a literal.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from llmtrace_sdk.core import splice
from llmtrace_sdk.core.splice import Edit, Token
from llmtrace_sdk.core.vault import PLACEHOLDER, replacements
from llmtrace_sdk.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from llmtrace_sdk.core.splice import Part
    from llmtrace_sdk.core.vault import Vault

_NESTED: Final = 4
"""How many times JSON may be inside a string of JSON; what is further inside is text."""

_SOURCE_NAMES: Final = frozenset({"arguments", "partial_json"})
"""Members whose strings are JSON source even when it is cut off."""

_LONG: Final = 256
_BEGIN: Final = 4
_OPENED: Final = re.compile(r"[ \t\r\n]*[\[{]")
_NUMERIC: Final = re.compile(r"[0-9.eE+-]*[0-9][0-9.eE+-]*")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_STAND_IN: Final = re.compile("[\U0010f800-\U0010ffff]")
_TO_STAND_IN: Final = 0x102000

_Span = tuple[int, int]


class Replacement(NamedTuple):
    """What a finding covered, as it stands in the segment's text, and what it becomes.

    `plain` is what that says, if the segment's text is JSON (see `plain`); without it `value` is taken for a whole
    piece of a literal.
    """

    value: str
    text: str
    plain: str | None = None


def in_body(body: bytes, wanted: Mapping[str, Sequence[Replacement]]) -> tuple[bytes, frozenset[str]]:
    """The body with every occurrence of values replaced, in the strings at or under the pointer they are wanted for.

    Where several values match the longest of the leftmost is taken; a replacement is not searched again. A number that
    is a value becomes a string. Also gives the pointers where that was not possible, so that the body must not be sent:
    a value was not found, or in a member's name, or overlaps another that was replaced. All of them if the body cannot
    be read.
    """
    try:
        numbers = any(_NUMERIC.fullmatch(value.value) for values in wanted.values() for value in values)
        parts = splice.parts_of_body(body, wanted, numbers=numbers) if wanted else []
    except Unreadable:
        return body, frozenset(wanted)
    searches: dict[tuple[str, ...], _Search] = {}
    edits: dict[Token, list[Edit]] = {}
    for part in parts:
        search = searches.get(part.within)
        if search is None:
            search = searches[part.within] = _Search(r for pointer in part.within for r in wanted[pointer])
        if found := _in_part(body, part, search):
            edits[Token("", part.start, part.end)] = found
    concerned: dict[str, list[_Search]] = {pointer: [] for pointer in wanted}
    for within, search in searches.items():
        for pointer in within:
            concerned[pointer].append(search)
    missing = frozenset(pointer for pointer, values in wanted.items() if _failed(values, concerned[pointer]))
    return splice.spliced(body, edits), missing


def restored_body(body: bytes, vault: Vault) -> bytes:
    """The JSON answer with the originals of all placeholders in its strings; the same object if there are none.

    What cannot be read is left as it is.
    """
    if not len(vault) or not (PLACEHOLDER.search(body) or b"\\u" in body):
        return body
    try:
        parts = splice.parts_of_body(body, numbers=False)
    except Unreadable:
        return body
    edits: dict[Token, list[Edit]] = {}
    for part in parts:
        literal = splice.literal_at(body, part.start, part.end)
        if "[" not in literal and "\\u" not in literal:
            continue
        said = splice.read(literal)
        if found := _originals(said, vault, _NESTED, source=_is_source(part)):
            edits[Token("", part.start, part.end)] = found
    return splice.spliced(body, edits)


def originals(text: str, vault: Vault, *, source: bool) -> list[Edit]:
    """The placeholders in a string of a body as edits; `source`: it is JSON source even where it is cut off."""
    return _originals(text, vault, _NESTED, source=source)


def is_source(name: str) -> bool:
    """Whether the strings of such members are JSON source."""
    return name in _SOURCE_NAMES


def plain(text: str, spans: Sequence[_Span]) -> list[str]:
    """What the text says at each of the spans: without the escapes where the text is JSON and a span inside a literal.

    An escape that a span has only a part of is not in it. This is what a vault should keep, since originals are escaped
    again where they are put back into JSON.
    """
    return _plain(text, spans, _NESTED)


def _plain(text: str, spans: Sequence[_Span], depth: int) -> list[str]:
    said = [text[start:end] for start, end in spans]
    if not spans or "\\" not in text or (parts := _parts(text, depth)) is None:
        return said
    starts = [part.start for part in parts]
    inside: dict[int, list[int]] = {}
    for number, (start, end) in enumerate(spans):
        at = bisect_right(starts, start) - 1
        if at >= 0 and _holds(parts[at], start, end):
            inside.setdefault(at, []).append(number)
    for at, numbers in inside.items():
        place = parts[at].start
        literal = text[place : parts[at].end]
        found = splice.inward(literal, [(spans[n][0] - place, spans[n][1] - place) for n in numbers])
        for number, value in zip(numbers, _plain(splice.read(literal), found, depth - 1), strict=True):
            said[number] = value
    return said


class _Search:
    """Looks for values in one text after another and remembers which it found.

    `torn` tells that something was found that cannot be replaced.
    """

    def __init__(self, values: Iterable[Replacement]) -> None:
        self._forms: dict[str, str] = {}
        for value in values:
            for form in _forms(value):
                self._forms.setdefault(form, value.text)
        self.found: set[str] = set()
        self.torn = any(map(_STAND_IN.search, self._forms))
        self.numeric = any(map(_NUMERIC.fullmatch, self._forms))
        self._find = _finder(self._forms)
        self._sorted = sorted(self._forms)
        self._long: dict[str, list[str]] = {}
        for form in self._sorted:
            if len(form) > _LONG:
                self._long.setdefault(form[:_LONG], []).append(form)
        self._lengths = sorted({len(form) for form in self._forms if len(form) <= _LONG})
        self._begins = {form[:size] for form in self._forms for size in range(1, _BEGIN + 1)}
        self._overlaps: dict[str, list[int]] = {}
        self._parts: set[str] | None = None

    def hits(self, text: str) -> list[_Span]:
        """Where values are; of those that overlap the leftmost, and of these the longest."""
        if _SURROGATE.search(text):
            self.torn = self.torn or _STAND_IN.search(text) is not None
        return self._find(text)

    def replaced(self, text: str, hits: Iterable[_Span]) -> list[Edit]:
        """The edits for these hits."""
        edits = []
        for start, end in hits:
            form = text[start:end]
            if form in self._forms:
                edits.append(Edit(start, end, self._forms[form]))
                self.found.add(form)
                self.torn = self.torn or self._torn(text, start, form)
        return edits

    def number(self, written: str) -> list[Edit]:
        """The edits of a number, as it is written or as it is usually written."""
        for text in (written, _usual(written)) if self.numeric else ():
            edits = self.replaced(text, [span for span in self.hits(text) if not _in_digits(text, *span)])
            if edits:
                return edits if text is written else [Edit(0, len(written), splice.applied(text, edits))]
        return []

    def has(self, form: str) -> bool:
        """Whether this was found, on its own or as a part of another."""
        if form in self.found:
            return True
        if self._parts is None:
            self._parts = _found_within([each for each in self._forms if each not in self.found], self.found)
        return form in self._parts

    def _torn(self, text: str, start: int, form: str) -> bool:
        """Whether another value begins inside this match and ends after it."""
        overlaps = self._overlaps.get(form)
        if overlaps is None:
            overlaps = self._overlaps[form] = list(self._overlapping(form))
        end = start + len(form)
        return any(self._beyond(text, start + at, end) for at in overlaps)

    def _overlapping(self, form: str) -> Iterator[int]:
        """Offsets in the form from which it is how another value begins."""
        if self._long:
            for at in range(1, len(form) - _LONG + 1):
                if form[at : at + _LONG] in self._long:
                    yield at
        for at in range(max(1, len(form) - _LONG + 1), len(form)):
            if form[at : at + _BEGIN] in self._begins:
                end = form[at:]
                number = bisect_right(self._sorted, end)
                if number < len(self._sorted) and self._sorted[number].startswith(end):
                    yield at

    def _beyond(self, text: str, start: int, end: int) -> bool:
        """Whether a value begins here in the text that ends behind `end`."""
        longer = bisect_right(self._lengths, end - start)
        if any(text[start : start + length] in self._forms for length in self._lengths[longer:]):
            return True
        return any(
            len(form) > end - start and text.startswith(form, start)
            for form in self._long.get(text[start : start + _LONG], ())
        )


def _failed(values: Iterable[Replacement], searches: Sequence[_Search]) -> bool:
    if any(search.torn for search in searches):
        return True
    return not all(
        any(search.has(form) for form in _forms(value) for search in searches) for value in values if value.value
    )


def _in_part(body: bytes, part: Part, search: _Search) -> list[Edit]:
    if part.sort == "key":
        search.torn = search.torn or bool(search.hits(part.step))
        return []
    literal = splice.literal_at(body, part.start, part.end)
    return search.number(literal) if part.sort == "number" else _in_text(splice.read(literal), search, _NESTED)


def _in_text(text: str, search: _Search, depth: int) -> list[Edit]:
    hits = search.hits(text)
    if not hits and "\\" not in text and not search.numeric:
        return []
    parts = _parts(text, depth, numbers=search.numeric)
    if parts is None:
        return search.replaced(text, hits)

    def change(part: Part, literal: str) -> list[Edit]:
        return search.number(literal) if part.sort == "number" else _in_text(splice.read(literal), search, depth - 1)

    edits = _inside(text, parts, change)
    return sorted([*edits, *_across(text, parts, edits, hits, search)])


def _across(text: str, parts: list[Part], edits: list[Edit], hits: list[_Span], search: _Search) -> list[Edit]:
    """The edits of values that are no part of one literal or number, but of the JSON around them as well."""
    starts, done = [part.start for part in parts], [edit.end for edit in edits]
    found = []
    for start, end in hits:
        at = bisect_right(starts, start) - 1
        if at >= 0 and _holds(parts[at], start, end):
            continue
        edit = bisect_right(done, start)
        if (edit < len(edits) and edits[edit].start < end) or _cuts_escape(text, start) or _cuts_escape(text, end):
            search.torn = True
        else:
            found.append((start, end))
    return search.replaced(text, found)


def _originals(text: str, vault: Vault, depth: int, *, source: bool) -> list[Edit]:
    """The placeholders of a text as edits; `source`: it is JSON source even if it cannot be read as JSON."""
    edits = replacements(text, vault, escape=source)
    if not edits and "\\u" not in text:
        return edits
    parts = _parts(text, depth)
    if parts is None:
        return edits

    def change(part: Part, literal: str) -> list[Edit]:
        return _originals(splice.read(literal), vault, depth - 1, source=_is_source(part))

    return _inside(text, parts, change)


def _inside(text: str, parts: Iterable[Part], change: Callable[[Part, str], list[Edit]]) -> list[Edit]:
    """The edits of the parts of a JSON text as edits of the text."""
    edits = []
    for part in parts:
        literal = text[part.start : part.end]
        for start, end, new in splice.written(literal, change(part, literal)):
            edits.append(Edit(part.start + start, part.start + end, new))
    return edits


def _parts(text: str, depth: int, *, numbers: bool = False) -> list[Part] | None:
    """The parts of a text that is a JSON object or array."""
    if not depth or not _OPENED.match(text) or not text.rstrip(" \t\r\n").endswith(("]", "}")):
        return None
    try:
        return splice.parts_of_text(text, numbers=numbers)
    except Unreadable:
        return None


def _holds(part: Part, start: int, end: int) -> bool:
    """Whether a span is inside a literal, not counting its quotes."""
    quote = int(part.sort != "number")
    return part.start + quote <= start and end <= part.end - quote


def _is_source(part: Part) -> bool:
    return part.sort == "string" and is_source(part.step)


def _forms(value: Replacement) -> tuple[str, ...]:
    said = _unescaped(value.value) if value.plain is None else value.plain
    return tuple(form for form in dict.fromkeys((value.value, said)) if form)


def _unescaped(value: str) -> str:
    """The value taken for a piece of a JSON literal; the value itself where it cannot be that."""
    if "\\" not in value:
        return value
    bare = value.rstrip("\\")
    piece = bare + "\\" * ((len(value) - len(bare)) // 2 * 2)
    said = splice.unescaped(piece)
    return value if said is None else said


def _cuts_escape(text: str, at: int) -> bool:
    first = at
    while first and text[first - 1] == "\\":
        first -= 1
    return (at - first) % 2 == 1


def _in_digits(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start].isdigit() or text[end : end + 1].isdigit()


def _usual(number: str) -> str:
    """A number with a fraction or exponent as a segment's text has it."""
    if number.isdigit() or not any(mark in number for mark in ".eE"):
        return number
    return msgspec.json.encode(float(number)).decode()


def _finder(forms: Iterable[str]) -> Callable[[str], list[_Span]]:
    """What tells where the forms are in a text: leftmost and longest, in one pass."""
    known = [_encodable(form) for form in forms]
    if not known:
        return lambda _text: []
    try:
        from ahocorasick_rs import AhoCorasick, MatchKind
    except ImportError:
        pattern = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True))))
        return lambda text: [match.span() for match in pattern.finditer(_encodable(text))]
    find = AhoCorasick(known, matchkind=MatchKind.LeftmostLongest).find_matches_as_indexes
    return lambda text: [(start, end) for _, start, end in find(_encodable(text))]


def _found_within(forms: Sequence[str], found: Collection[str]) -> set[str]:
    """Those of the forms that are parts of something found."""
    try:
        from ahocorasick_rs import AhoCorasick
    except ImportError:
        return {form for form in forms if any(form in each for each in found)}
    find = AhoCorasick([_encodable(form) for form in forms]).find_matches_as_indexes
    return {forms[number] for each in found for number, _, _ in find(_encodable(each), overlapping=True)}


def _encodable(text: str) -> str:
    """The text with a stand-in for each lone surrogate, which an automaton over UTF-8 cannot read."""
    return text if text.isascii() else _SURROGATE.sub(lambda half: chr(ord(half[0]) + _TO_STAND_IN), text)
