"""Characters that cannot be seen, and the signs that they and other odd characters are.

Ranges are from the Unicode Character Database (DerivedCoreProperties: Default_Ignorable_Code_Point; general category
Cf; combining classes), https://www.unicode.org/ucd/.
"""

# ruff: noqa: RUF001
from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.view import Sign

if TYPE_CHECKING:
    from collections.abc import Iterator


def expanded(ranges: str) -> frozenset[str]:
    """The characters of a regular expression's class, written without its brackets and escapes."""
    found: set[str] = set()
    position = 0
    while position < len(ranges):
        first = last = ranges[position]
        if ranges[position + 1 : position + 2] == "-" and position + 2 < len(ranges):
            last = ranges[position + 2]
            position += 2
        position += 1
        found.update(map(chr, range(ord(first), ord(last) + 1)))
    return frozenset(found)


CONTROLS: Final = "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
ZERO_WIDTH: Final = "\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"
BIDI: Final = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
SELECTORS: Final = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
TAGS: Final = "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
OTHERS: Final = "\u00ad\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
DROPPED: Final = CONTROLS + ZERO_WIDTH + BIDI + SELECTORS + TAGS + OTHERS
"""What a fold drops. U+0085 is not among the controls: it ends a line."""

MARKS: Final = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
"""Combining marks of no script in particular: they are put on Latin, Greek and Cyrillic letters, and on symbols."""

POINTS: Final = (
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"  # Arabic
    "\u0898-\u089f\u08ca-\u08e1\u08e3-\u08ff"
)
"""Hebrew points and accents, Arabic points and tatweel."""

SPACES: Final = dict.fromkeys(
    "\x0b\x1c\x1d\x1e\x1f\xa0\u1680\u202f\u205f\u3000" + "".join(expanded("\u2000-\u200a")), " "
)
LINE_ENDS: Final = dict.fromkeys("\x85\u2028\u2029", "\n")

TURNED: Final = frozenset("ɐɔǝɟƃɓɥᴉɾʞɯɹʇʌʍʎ∀ƆᗡƎℲ⅁ſ˥Ԁᴚ⊥∩⅄")
"""Letters that look like a Latin one upside down."""

_SIGNS: Final[dict[str, re.Pattern[str]]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "invisible": f"(?<=[A-Za-z])[{ZERO_WIDTH}]+(?=[A-Za-z])|[{ZERO_WIDTH}]{{3,}}|\xad(?=[A-Za-z]{{1,2}}\xad)",
        "bidi": "[\u202a-\u202e\u2066-\u2069]",
        "tags": f"[{TAGS}]+",
        "variation_selectors": f"[{SELECTORS}]{{2,}}|(?<=[A-Za-z ])[{SELECTORS}]",
        "combining_flood": f"[{MARKS}]{{3,}}",
        "full_width": "[Ａ-Ｚ]?[ａ-ｚ]{3,}|[Ａ-Ｚ]{5,}",
        "styled_letters": "(?:[⒜-ⓩ🄐-🅩🅰-🆉\U0001d400-\U0001d7ff][ \ufe0e\ufe0f]?){3,}|[ᴀ-ᴍʙɢʜɪʟɴʀᴏᴘᴛᴜᴠᴡʏᴢꜰꜱ]{3,}",
        "upside_down": f"[{''.join(TURNED)}]",
        "control": "[\x00-\x06\x08\x0e-\x1a\x7f]",
    }.items()
}
_CLASSES: Final[dict[str, frozenset[str]]] = {
    "invisible": expanded(ZERO_WIDTH + "\xad"),
    "bidi": expanded("\u202a-\u202e\u2066-\u2069"),
    "tags": expanded(TAGS),
    "variation_selectors": expanded(SELECTORS),
    "combining_flood": expanded(MARKS),
    "full_width": expanded("Ａ-Ｚａ-ｚ"),
    "styled_letters": expanded("⒜-ⓩ🄐-🅩🅰-🆉\U0001d400-\U0001d7ffᴀ-ᴢʙɢʜɪʟɴʀʏꜰꜱ"),
    "upside_down": TURNED,
    "control": expanded("\x00-\x06\x08\x0e-\x1a\x7f"),
}
SIGNIFICANT: Final = frozenset().union(*_CLASSES.values())
"""Every character that can be part of a sign."""

# England, Scotland and Wales: a black flag, the tag letters of a region, and the end tag.
_FLAG: Final = re.compile("\U0001f3f4[\U000e0061-\U000e007a]{4,6}\U000e007f")
_LEAST: Final = {"upside_down": 3}
# Text that runs to the left needs isolates and embeddings; overrides it does not need.
_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_OVERRIDES: Final = re.compile("[\u202d\u202e]")


def signs(text: str, characters: frozenset[str]) -> Iterator[Sign]:
    """What is suspicious in a text that has not been folded yet. `characters`: those of SIGNIFICANT that it holds."""
    for name, pattern in _SIGNS.items():
        if not characters.isdisjoint(_CLASSES[name]):
            spans = _spans(name, pattern, text)
            count = sum(end - start for start, end in spans)
            if count >= _LEAST.get(name, 1):
                yield Sign(name, count, spans[0][0], spans[-1][1])


def _spans(name: str, pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    if name == "tags":
        text = _FLAG.sub(lambda flag: " " * len(flag[0]), text)
    if name == "bidi" and _RIGHT_TO_LEFT.search(text):
        pattern = _OVERRIDES
    return [match.span() for match in pattern.finditer(text)]
