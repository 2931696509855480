"""Folding: a text as a reader sees it, without what is only there to make it look different to a program.

NFKC (https://www.unicode.org/reports/tr15/), without invisible characters, diacritics and look-alikes. Genuine text of
other scripts stays what it is. The fast path is made of operations on the whole text, chosen by the set of characters
it holds; offset maps are made afterwards, by the same steps, if somebody asks.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final
from unicodedata import combining, is_normalized, normalize

from llmtrace_sdk.core.text.confusables import LOOKALIKES, PARENTHESISED, REGIONAL, SINGLES, latinised, spelled
from llmtrace_sdk.core.text.invisible import DROPPED, MARKS, POINTS, SIGNIFICANT, expanded, signs
from llmtrace_sdk.core.text.view import SAME, Edited, Map, Sign, Steps, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmtrace_sdk.core.text.view import Edit

MOST_ROUNDS: Final = 4
"""How often a text is gone over; what one round drops may bring together what the next one has to fold."""

_ODD_IN_ASCII: Final = bytes(0x80 if byte < 9 or byte in (11, 127) or 13 < byte < 32 else byte for byte in range(256))
_INVISIBLE: Final = expanded(DROPPED)
_MARKS: Final = expanded(MARKS)
_POINTS: Final = expanded(POINTS)
_SPECIAL: Final = frozenset().union(
    _INVISIBLE, _MARKS, _POINTS, SINGLES, REGIONAL, PARENTHESISED, LOOKALIKES, SIGNIFICANT
)
_LATIN: Final = frozenset(character for character in map(chr, range(128)) if character.isalpha()).union(
    REGIONAL, PARENTHESISED, (letter for letter, folded in SINGLES.items() if folded.isalpha() and folded.isascii())
)
_TO_DROP_LAST: Final = _MARKS | _POINTS
_SINGLES: Final = str.maketrans(SINGLES)
_MOST_REPLACED: Final = 64

_DROP: Final = re.compile(rf"\x1b\[[0-9;]{{0,16}}[A-Za-z]|[{DROPPED}]+")
_FLOOD: Final = re.compile(f"[{MARKS}]{{3,}}")
_REST: Final = re.compile(f"[{MARKS}{POINTS}]+")
_PARENTHESISED: Final = re.compile(f"[{''.join(PARENTHESISED)}]{{2,}}")
_REGIONAL: Final = re.compile(f"[{''.join(REGIONAL)}]+")
# Not marks by their own combining class, but they decompose to marks.
_HIDDEN_MARKS: Final = "\u0f73\u0f75\u0f81\uff9e\uff9f"
_MANY_ODD: Final = re.compile(r"(?:[^\w\s\x00-\x7f]|[\uff9e\uff9f]){17,}+")
_EMOJI: Final = (
    "\u231a-\u23ff\u2600-\u2793\u27b0\u2b50\u2b55\U0001f000-\U0001f0ff\U0001f18e-\U0001f1e5\U0001f200-\U0001faff"
)
_SOME_EMOJI: Final = re.compile(f"[{_EMOJI}]")
_EMOJI_RUN: Final = re.compile(f"[{_EMOJI}]+")
_SPLIT: Final = re.compile(rf"(?<!\w)[^\W\d_](?:[{_EMOJI}]++[^\W\d_](?!\w)){{3,}}+")
_RUN: Final = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")
_MOST_TOGETHER: Final = 64
_PATTERN_ATOM: Final = re.compile(rf"(?s)\\.|\[\^?\]?|\]|[A-Za-z](?=[{MARKS}])[^\x00-\x7f]+|[^\x00-\x7f]+|.")
_SYNTAX: Final = frozenset("\\.^$*+?{}[]|()-")


def fold(text: str) -> View:
    """The text folded, with what is suspicious about it; linear in its length. Folding twice changes nothing more."""
    if text.isascii() and text.encode().translate(_ODD_IN_ASCII).isascii():
        return View(text, raw=text, size=len(text))
    return _Folding(text).view()


def fold_pattern(pattern: str) -> str:
    """A regular expression with its literal letters folded, for use on folded texts.

    Look-alikes stay: which of them are folded depends on the words around. So do the ends of ranges, and what would
    leave nothing.
    """
    parts: list[str] = []
    in_class = False
    for match in _PATTERN_ATOM.finditer(pattern):
        atom = match[0]
        if atom[0] == "[":
            in_class = True
        elif atom == "]":
            in_class = False
        elif not atom.isascii():
            atom = _folded_class_member(match) if in_class else _folded_literal(match)
        parts.append(atom)
    return "".join(parts)


def _folded_literal(match: re.Match[str]) -> str:
    groups = list(_groups(match[0]))
    folded = [_folded_letters(group) or group for group in groups]
    parts = list(map(_escaped, folded))
    if len(folded[-1]) > 1 and match.string[match.end() : match.end() + 1] in ("?", "*", "+", "{"):
        parts[-1] = f"(?:{parts[-1]})"
    return "".join(parts)


def _folded_class_member(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    parts = []
    for number, character in enumerate(match[0], start):
        before = number == start and text[start - 1] == "-" and text[start - 2 : start - 1] not in ("[", "^")
        behind = number == end - 1 and text[end : end + 1] == "-" and text[end + 1 : end + 2] != "]"
        folded = "" if before or behind else _folded_letters(character)
        parts.append(_escaped(folded) if len(folded) == 1 else character)
    return "".join(parts)


def _folded_letters(text: str) -> str:
    return _Folding(text, latinise=False).view().text


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in _SYNTAX else character for character in text)


class _Folding:
    """One text on its way; `makers` make the maps of the steps that changed offsets."""

    def __init__(self, text: str, *, latinise: bool = True) -> None:
        self._raw = self._text = text
        self._latin_wanted = latinise
        self._makers: list[Callable[[], Map]] = []
        self._signs: list[Sign] = []

    def view(self) -> View:
        text = self._text
        characters = set(text)
        special = characters & _SPECIAL
        self._signs += signs(text, SIGNIFICANT & special)
        for _ in range(MOST_ROUNDS):
            before = self._text
            self._round(characters, special)
            if len(self._text) == len(before) and is_normalized("NFKC", self._text):
                break
            characters = set(self._text)
            special = characters & _SPECIAL
        folding = Steps(self._makers) if self._makers else SAME
        return View(self._text, (), tuple(self._signs), self._raw, folding, (), len(self._raw))

    def _round(self, characters: set[str], special: set[str]) -> None:
        if special:
            self._clean(special)
        if any(map(combining, characters)) or not characters.isdisjoint(_HIDDEN_MARKS):
            self._drop_many_marks()
        if not is_normalized("NFKC", self._text):
            self._change(normalize("NFKC", self._text), _composed)
            characters = set(self._text)
            special = characters & _SPECIAL
            self._replace(special)
        if special & _TO_DROP_LAST:
            self._drop(_REST)
        if _SOME_EMOJI.search("".join(characters)):
            self._join_split()
        if self._latin_wanted and not LOOKALIKES.isdisjoint(special) and not _LATIN.isdisjoint(characters):
            self._latinise(special)

    def _clean(self, special: set[str]) -> None:
        """What goes before the normalisation: it takes long if there are many marks, or characters of full width."""
        if special & _INVISIBLE:
            self._drop(_DROP)
        if special & _MARKS:
            self._drop(_FLOOD)
        if not special.isdisjoint(PARENTHESISED):
            self._text = _PARENTHESISED.sub(lambda run: "".join(map(PARENTHESISED.__getitem__, run[0])), self._text)
        if not special.isdisjoint(REGIONAL):
            self._text = _REGIONAL.sub(lambda run: spelled(run[0]), self._text)
        self._replace(special)

    def _replace(self, special: set[str]) -> None:
        wanted = special & SINGLES.keys()
        if len(wanted) > _MOST_REPLACED:
            self._text = self._text.translate(_SINGLES)
            special.update(map(SINGLES.__getitem__, wanted))
            return
        for character in wanted:
            self._text = self._text.replace(character, SINGLES[character])
            special.add(SINGLES[character])

    def _drop_many_marks(self) -> None:
        spans = list(_many_marks(self._text))
        if spans:
            kept = Edited(spans)
            self._makers.append(lambda: kept)
            ends = [0, *(end for _, end, _ in spans)]
            starts = [*(start for start, _, _ in spans), len(self._text)]
            self._text = "".join(self._text[end:start] for end, start in zip(ends, starts, strict=True))

    def _latinise(self, special: set[str]) -> None:
        before = self._text
        self._text, words = latinised(before, special)
        self._sign("homoglyphs", before, [(start, end) for start, end in words if end - start > 2])

    def _join_split(self) -> None:
        words = [match.span() for match in _SPLIT.finditer(self._text)]
        self._sign("emoji_split", self._text, words)
        if words:
            self._change(_SPLIT.sub(_without_emoji, self._text), _unsplit)

    def _sign(self, name: str, text: str, words: list[tuple[int, int]]) -> None:
        if words and not any(sign.name == name for sign in self._signs):
            start, end = View(text, folding=Steps(self._makers)).origin(words[0][0], words[-1][1])
            self._signs.append(Sign(name, len(words), start, end))

    def _change(self, text: str, edits: Callable[[str], Iterator[Edit]]) -> None:
        if text != self._text:
            self._makers.append(partial(_edited, edits, self._text))
            self._text = text

    def _drop(self, pattern: re.Pattern[str]) -> None:
        self._change(pattern.sub("", self._text), partial(_dropped, pattern))


def _edited(edits: Callable[[str], Iterator[Edit]], text: str) -> Map:
    return Edited(edits(text))


def _dropped(pattern: re.Pattern[str], text: str) -> Iterator[Edit]:
    for match in pattern.finditer(text):
        yield match.start(), match.end(), 0


def _many_marks(text: str) -> Iterator[Edit]:
    """Where more than 16 marks stand in a row, of any script."""
    for odd in _MANY_ODD.finditer(text):
        start = None
        for position in range(odd.start(), odd.end() + 1):
            if position < odd.end() and (combining(text[position]) or text[position] in _HIDDEN_MARKS):
                start = position if start is None else start
            elif start is not None:
                if position - start > 16:
                    yield start, position, 0
                start = None


def _without_emoji(match: re.Match[str]) -> str:
    return _EMOJI_RUN.sub("", match[0])


def _unsplit(text: str) -> Iterator[Edit]:
    for word in _SPLIT.finditer(text):
        for emoji in _EMOJI_RUN.finditer(text, word.start(), word.end()):
            yield emoji.start(), emoji.end(), 0


def _composed(text: str) -> Iterator[Edit]:
    """Where NFKC changed something, in as small parts as can be told apart."""
    for run in _RUN.finditer(text):
        part = run[0]
        if not is_normalized("NFKC", part):
            yield from _composed_run(part, run.start())


def _composed_run(run: str, offset: int) -> Iterator[Edit]:
    groups = list(_groups(run))
    results = [normalize("NFKC", group) for group in groups]
    if "".join(results) != normalize("NFKC", run):
        groups, results = [run], [normalize("NFKC", run)]
    for group, result in zip(groups, results, strict=True):
        if group != result:
            yield offset, offset + len(group), len(result)
        offset += len(group)


def _groups(run: str) -> Iterator[str]:
    """Parts that are normalised each on its own: a character, its marks, and what composes with it."""
    group = ""
    for atom in _atoms(run):
        apart = normalize("NFKC", group) + normalize("NFKC", atom)
        if group and (len(group) >= _MOST_TOGETHER or apart == normalize("NFKC", group + atom)):
            yield group
            group = atom
        else:
            group += atom
    yield group


def _atoms(run: str) -> Iterator[str]:
    start = 0
    for position in range(1, len(run)):
        if not combining(run[position]):
            yield run[start:position]
            start = position
    yield run[start:]
