"""Attacks that are written in an encoding: the text is decoded and read again (OWASP LLM01).

What decodes to a word or two is too little to be read; where that is an order, rules say so.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core import text
from llmtrace_sdk.detectors import _asserted, _rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.text import View

ORDERS: Final = (
    *("ignore", "override", "overwrite", "bypass", "jailbreak", "disregard", "disobey", "circumvent", "exfiltrate"),
    *("ignoriere", "missachte", "umgehe", "ignora", "ignorez", "contourne", "ignorar", "desobedece", "negeer"),
    *("игнорируй", "проигнорируй", "обойди", "忽略", "无视", "無視", "무시"),
)
"""Verbs that are encoded alone by those only who mean them as an order to a model."""

_ORDER: Final = re.compile(
    rf"(?:{'|'.join(ORDERS)})[가-힣ぁ-ん一-鿿]{{0,8}}(?:[ ,]{{1,2}}[^\W\d_]{{1,20}}){{0,2}}[.!]{{0,3}}\s?"
)
_EQUATED: Final = re.compile(
    r"(?:\b(?:is|are|as|becomes?|equals|gives|yields|means?|reads?)|=|->|→)[\s\"'`(:“]{0,4}\Z", re.IGNORECASE
)
_BEFORE: Final = re.compile(r"[\w+/=?&.-]\Z")
_BEHIND: Final = re.compile(r"[\w+/=]")
_BITS: Final = re.compile(r"[01]{7,8}")
_HEX: Final = re.compile(r"[\s,:]|0x|\\x", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d+")
# A group of the same sort before the first one: the run begins earlier than the order.
_BITS_BEFORE: Final = re.compile(r"[01]{7,8}[\s,;|._-]{1,3}\Z")
_HEX_BEFORE: Final = re.compile(r"(?:\b|x)[2-7][0-9a-f][\s,:]{0,2}(?:0x|\\x)?\Z", re.IGNORECASE)
_DECIMAL_BEFORE: Final = re.compile(r"\b\d{1,3}[\s,;]{1,2}\Z")
_LOOK_BACK: Final = 16


def base64(whole: str, start: int, end: int) -> bool:
    """A token of base64 that is an order."""
    token = whole[start:end].rstrip("=")
    apart = not _behind(_BEFORE, whole, start) and not _BEHIND.match(whole, end)
    return apart and len(token) % 4 != 1 and _ordered(b64decode(token + "=" * (-len(token) % 4)), whole, start, end)


def binary(whole: str, start: int, end: int) -> bool:
    """Groups of seven or eight bits that are an order."""
    if _behind(_BITS_BEFORE, whole, start):
        return False
    run = whole[start:end]
    groups = _BITS.findall(run) if not run.isdecimal() else [run[at : at + 8] for at in range(0, len(run), 8)]
    return _ordered(bytes(int(group, 2) for group in groups), whole, start, end)


def hexadecimal(whole: str, start: int, end: int) -> bool:
    """Hexadecimal digits that are an order."""
    digits = _HEX.sub("", whole[start:end])
    complete = len(digits) % 2 == 0 and not _behind(_HEX_BEFORE, whole, start)
    return complete and _ordered(bytes.fromhex(digits), whole, start, end)


def decimal(whole: str, start: int, end: int) -> bool:
    """Decimal codes of bytes that are an order."""
    codes = [int(found) for found in _NUMBER.findall(whole[start:end])]
    complete = max(codes) < 256 and not _behind(_DECIMAL_BEFORE, whole, start)
    return complete and _ordered(bytes(codes), whole, start, end)


def turned(whole: str, start: int, end: int) -> bool:
    """An order backwards or in ROT13, which the rule has as a whole."""
    return _said(whole, start, end)


def _behind(pattern: re.Pattern[str], whole: str, at: int) -> bool:
    """Whether a place is right behind what matches."""
    return pattern.search(whole, max(0, at - _LOOK_BACK), at) is not None


def _ordered(data: bytes, whole: str, start: int, end: int) -> bool:
    decoded = data.decode("utf-8", "replace")
    return _ORDER.fullmatch(decoded.casefold()) is not None and _said(whole, start, end)


def _said(whole: str, start: int, end: int) -> bool:
    """Not told to be what something else is in that encoding."""
    return not _behind(_EQUATED, whole, start) and _asserted.said_to_the_model(whole, start, end)


CHECKS: Final = {"base64": base64, "binary": binary, "hex": hexadecimal, "decimal": decimal, "turned": turned}


class EncodingAttack(_rules.RuleDetector):
    """Finds encoded orders, and gives an `Engine` the decoded readings of a text, which all other detectors judge."""

    __slots__ = ()

    def decodings(self, view: View, /) -> Sequence[View]:
        """Decoded readings of parts of a folded text."""
        return text.decodings(view)

    def joined(self, views: Sequence[View], /) -> View | None:
        """The decoded reading of what was split over several texts."""
        return text.joined(views)


def build() -> EncodingAttack:
    """The detector."""
    return EncodingAttack("encoding_attack", {"input", "output"}, _rules.load("encoding_attack"), CHECKS)
