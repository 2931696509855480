"""Runs of characters of an alphabet: one token, or several with white space between them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._english import WORDS
from llmtrace_sdk.core.text.codecs._reading import MOST_DECODED, Reading, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmtrace_sdk.core.text.codecs._triggers import Finder

    Decode = Callable[[str], str | None]

MOST_TAKEN: Final = 2 * MOST_DECODED
_MOST_TRIMMED: Final = 3
_SPACE: Final = re.compile(r"[ \t\r\n]{0,16}")

Span = tuple[int, int]


def tokens_read(text: str, tokens: Finder, short: re.Pattern[str], decode: Decode, least: int) -> Iterator[Reading]:
    """Readings of tokens, together with what white space sets apart. `short` matches any token, of less length too.

    A group of tokens is read as one; where that gives no text, without its last token (which may be a word that comes
    after); at last each token alone.
    """
    for group in _groups(text, tokens, short):
        yield from _group_read(text, group, decode, least)


def _groups(text: str, tokens: Finder, short: re.Pattern[str]) -> Iterator[list[Span]]:
    """Tokens that follow on one another, and at most one shorter one behind them. Padding is the end of one."""
    group: list[Span] = []
    for span in tokens.spans(text):
        if group and (_padded(text, group) or _gap(text, group[-1][1]) != span[0]):
            yield _with_short(text, group, short)
            group = []
        group.append(span)
    if group:
        yield _with_short(text, group, short)


def _padded(text: str, group: list[Span]) -> bool:
    return text[group[-1][1] - 1] == "="


def _gap(text: str, end: int) -> int:
    space = _SPACE.match(text, end)
    return space.end() if space else end


def _with_short(text: str, group: list[Span], short: re.Pattern[str]) -> list[Span]:
    behind = None if _padded(text, group) else short.match(text, _gap(text, group[-1][1]))
    return [*group, behind.span()] if behind and behind.start() > group[-1][1] else group


def _group_read(text: str, group: list[Span], decode: Decode, least: int) -> Iterator[Reading]:
    for part in (group, group[:-1]):
        decoded = decode(_joined(text, part)) if len(part) > 1 else None
        if decoded is not None and (len(part) < len(group) or _belongs(text, group, decoded, decode, least)):
            yield whole(part[0][0], part[-1][1], decoded)
            return
    for start, end in group:
        decoded = decode(text[start : min(end, start + MOST_TAKEN)]) if end - start >= least else None
        if decoded is not None:
            yield whole(start, end, decoded)


def _belongs(text: str, group: list[Span], decoded: str, decode: Decode, least: int) -> bool:
    """Whether the last token is part of it: it may be a word that comes after, and short ones decode to anything."""
    start, end = group[-1]
    if end - start >= least:
        return True
    if text[start:end].lower() in WORDS:
        return False
    shorter = decode(_joined(text, group[:-1])) or ""
    return all(character.isprintable() or character.isspace() for character in decoded[max(len(shorter) - 1, 0) :])


def _joined(text: str, spans: list[Span]) -> str:
    parts, size = [], 0
    for start, end in spans:
        parts.append(text[start:end])
        size += end - start
        if size > MOST_TAKEN:
            break
    return "".join(parts)


def small_groups_read(text: str, groups: Finder, decode: Decode) -> Iterator[Reading]:
    """Readings of runs of small groups with single spaces between them; words at either end may not be part of it."""
    for start, end in groups.spans(text):
        parts = text[start : min(end, start + MOST_TAKEN)].split(" ")
        reading = _trimmed_read(start, parts, decode)
        if reading is not None:
            yield reading


def _trimmed_read(start: int, parts: list[str], decode: Decode) -> Reading | None:
    for left in range(min(_MOST_TRIMMED, len(parts) - 3)):
        for right in range(min(_MOST_TRIMMED, len(parts) - 3 - left)):
            kept = parts[left : len(parts) - right]
            decoded = decode("".join(kept))
            if decoded is not None:
                first = start + sum(map(len, parts[:left])) + left
                return whole(first, first + sum(map(len, kept)) + len(kept) - 1, decoded)
    return None
