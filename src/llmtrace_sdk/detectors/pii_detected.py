"""Personal data that can be told by its form and checked by its digits (OWASP LLM02)."""

from __future__ import annotations

from typing import Final

from stdnum import iban as ibans
from stdnum import luhn

from llmtrace_sdk.detectors import _rules

_MASK: Final = "xX.*_-"
_SEPARATORS: Final = str.maketrans("", "", " -")
_LONG: Final = frozenset(range(16, 20))
_MAESTRO: Final = frozenset(range(12, 20))
# Issuer ranges by their first digits, with the lengths in use.
_ISSUERS: Final[tuple[tuple[int, int, frozenset[int]], ...]] = (
    (1800, 1800, frozenset({15})),
    (2131, 2131, frozenset({15})),
    (2200, 2204, _LONG),
    (2221, 2720, frozenset({16})),
    (300, 305, frozenset({14})),
    (309, 309, frozenset({14})),
    (34, 34, frozenset({15})),
    (35, 35, _LONG),
    (36, 36, frozenset({14, *_LONG})),
    (37, 37, frozenset({15})),
    (38, 39, frozenset({14, 16, 19})),
    (4, 4, frozenset({13, 16, 19})),
    (5018, 5018, _MAESTRO),
    (5020, 5020, _MAESTRO),
    (5038, 5038, _MAESTRO),
    (50, 50, _MAESTRO - {12}),
    (51, 55, frozenset({16})),
    (5893, 5893, _MAESTRO),
    (56, 58, _MAESTRO - {12}),
    (60, 60, _LONG),
    (62, 62, _LONG),
    (6304, 6304, _MAESTRO),
    (63, 63, _MAESTRO - {12}),
    (64, 65, _LONG),
    (6759, 6759, _MAESTRO),
    (6761, 6763, _MAESTRO),
    (67, 67, _MAESTRO - {12}),
)
# Numbers that the administration itself withdrew because they were printed in advertisements.
_WITHDRAWN_SSNS: Final = frozenset({"078051120", "219099999", "457555462"})
_SEQUENCES: Final = frozenset({"123456789", "987654321", "012345678"})


def email(text: str, start: int, end: int) -> bool:
    """Has a top-level domain, and is not a mask such as xxx@xxx.com."""
    local, _, domain = text[start:end].partition("@")
    return bool(local.strip(_MASK)) and bool(domain.rpartition(".")[0].strip(_MASK))


def card(text: str, start: int, end: int) -> bool:
    """A payment card number: issuer, length, Luhn digit; not part of a longer number and not one digit repeated."""
    if _in_longer_number(text, start, end):
        return False
    digits = text[start:end].translate(_SEPARATORS)
    return len(set(digits)) > 1 and _issued(digits) and luhn.is_valid(digits)


def ssn(text: str, start: int, end: int) -> bool:
    """A US social security number that can have been given out."""
    digits = text[start:end].translate(_SEPARATORS)
    if _in_longer_number(text, start, end) or digits in _SEQUENCES or digits in _WITHDRAWN_SSNS:
        return False
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    possible = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return possible and len(set(digits)) > 1


def iban(text: str, start: int, end: int) -> bool:
    """An international bank account number: length and alphabet of its country, check digits modulo 97."""
    return bool(ibans.is_valid(text[start:end], check_country=False))


def _issued(digits: str) -> bool:
    return any(
        low <= int(digits[: len(str(low))]) <= high and len(digits) in lengths for low, high, lengths in _ISSUERS
    )


def _in_longer_number(text: str, start: int, end: int) -> bool:
    """Whether a dash, dot, slash or underscore ties the match to more digits."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    return bool(
        (before and before[-1] in "-./_" and (before[-1] != "." or before[0].isdigit()) and before[0].isalnum())
        or (len(after) == 2 and after[0] in "-./_" and after[1].isdigit())
    )


CHECKS = {"email": email, "card": card, "ssn": ssn, "iban": iban}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("pii_detected", {"input", "output"}, _rules.load("pii_detected"), CHECKS)
