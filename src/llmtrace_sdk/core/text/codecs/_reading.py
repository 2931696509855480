"""What a codec gives: readings of parts of a text, and whether they look like text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from llmtrace_sdk.core.text.invisible import BIDI, SELECTORS, TAGS, ZERO_WIDTH
from llmtrace_sdk.core.text.view import Edited, Shifted, Whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.text.view import Edit

MOST_DECODED: Final = 64 << 10
"""How many characters are decoded of one text, in all."""

MOST_APART: Final = 64
"""How many plain characters between two escapes still leave them one run."""


class Reading(Struct, frozen=True):
    """The part of a text from `start` to `end`, decoded; `map` leads from its characters to those of that text.

    `codec` names it where a codec reads in several ways.
    """

    start: int
    end: int
    text: str
    map: Any
    codec: str = ""


class Codec(Struct, frozen=True):
    """One way of writing text as something else.

    `read` is called if the text has one of the `signs`; or if one of the `triggers` occurs in the folded text in lower
    case, one of `in_runs` in a folded text that has long runs without spaces, or one of `words` is among its words
    (`core.words`), and `confirm` occurs too (all RE2). It gets the folded text, or the text before folding if `raw`.
    Triggers are matched together and have to be simple; `confirm` may take more time.
    `family`: codecs that undo each other are not tried on one another's results.
    """

    name: str
    read: Callable[[str], Iterable[Reading]]
    triggers: tuple[str, ...] = ()
    in_runs: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    confirm: str = ""
    signs: frozenset[str] = frozenset()
    raw: bool = False
    family: str = ""


def whole(start: int, end: int, text: str) -> Reading:
    """A reading where no part can be told from another."""
    return Reading(start, end, text, Whole(start, end))


def aligned(start: int, end: int, text: str, codec: str = "") -> Reading:
    """A reading of the same length, character for character."""
    return Reading(start, end, text, Shifted(start), codec)


def replaced(text: str, start: int, end: int, edits: Sequence[tuple[int, int, str]]) -> Reading:
    """A reading where some spans of the text, which begins at `start`, stand for something else."""
    parts: list[str] = []
    position = start
    lengths: list[Edit] = []
    for first, last, replacement in edits:
        parts += (text[position:first], replacement)
        lengths.append((first - start, last - start, len(replacement)))
        position = last
    return Reading(start, end, "".join([*parts, text[position:end]]), Edited(lengths, start))


_STRANGE: Final = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffd\uffff\ue000-\uf8ff]")
_UNSEEN: Final = re.compile(f"[{ZERO_WIDTH}{BIDI}{SELECTORS}{TAGS}]+")
_SAMPLE: Final = 4096
_SHORT: Final = 16
_HEAD: Final = 64
# Bytes that stand for something else give ASCII letters next to any others.
_MIXED: Final = re.compile("[A-Za-z][\u0250-\u1dff\u2c00-\uffff]|[\u0250-\u1dff\u2c00-\uffff][A-Za-z]")


def readable(text: str) -> bool:
    """Whether it looks like text: nearly no control characters, mostly letters and spaces, at least four letters."""
    sample = text[:_SAMPLE]
    if not sample.isascii():
        sample = _UNSEEN.sub("", sample)
    size = len(sample)
    if size < 4 or len(_STRANGE.findall(sample)) * 50 > size:
        return False
    letters = sum(map(str.isalpha, sample))
    fitting = letters + sum(map(sample.count, " \n\u200d")) + _marks(sample)
    if size < _SHORT:
        return letters > 3 and fitting * 10 >= size * 8 and not _MIXED.search(sample)
    return letters > 3 and fitting * 10 >= size * 6


def _marks(sample: str) -> int:
    """Characters that are neither printable ASCII nor letters, but belong to words of some scripts."""
    return 0 if sample.isascii() else len(_VOWEL_SIGNS.findall(sample))


_VOWEL_SIGNS: Final = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u0670\u0900-\u0dff\u0e00-\u109f\u1780-\u17ff]")


def text_of(data: bytes) -> str | None:
    """Bytes as readable text, in UTF-8 or UTF-16; None if they are neither."""
    for decode in (_utf8, _utf16):
        text = decode(data)
        if text is not None and readable(text):
            return text
    return None


def _utf8(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        # What was cut off in the middle of a character is text all the same.
        return data[: error.start].decode() if error.start >= len(data) - 3 and error.start else None


def _utf16(data: bytes) -> str | None:
    head = data[:_HEAD]
    high, low = head[::2].count(0), head[1::2].count(0)
    if min(high, low) * 4 > max(high, low) or (high + low) * 10 < len(head):
        return None
    return data.decode("utf-16-be" if high > low else "utf-16-le", "ignore")


Escape = tuple[int, int]


_BEFORE: Final = re.compile(r"[\w.,;:!?()'-]{0,64}\Z")
_BEHIND: Final = re.compile(r"[\w.,;:!?()'-]{0,64}")


def in_words(text: str, run: list[Escape]) -> Escape:
    """Where a run of escapes begins and ends, with the plain characters of its first and last word."""
    first, last = run[0][0], run[-1][1]
    before = _BEFORE.search(text, max(0, first - 64), first)
    behind = _BEHIND.match(text, last)
    return before.start() if before else first, behind.end() if behind else last


def escaped_runs(pattern: re.Pattern[str], text: str, apart: int = MOST_APART) -> Iterable[list[Escape]]:
    """Where a pattern's matches stand close together; a run ends at a line's end, or where nothing matches for long."""
    run: list[Escape] = []
    for match in pattern.finditer(text):
        span = match.span()
        if run and (span[0] - run[-1][1] > apart or "\n" in text[run[-1][1] : span[0]]):
            yield run
            run = []
        run.append(span)
    if run:
        yield run


def adjoining(spans: Iterable[Escape]) -> Iterable[Escape]:
    """Spans that touch, as one."""
    start = end = -1
    for first, last in spans:
        if first != end:
            if end > start:
                yield start, end
            start = first
        end = last
    if end > start:
        yield start, end
