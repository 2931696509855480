"""Personal data that can be told by its form and checked by its digits (OWASP LLM02)."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from stdnum import numdb

from llmtrace_sdk.detectors import _pii_ids, _pii_net, _pii_phones, _rules
from llmtrace_sdk.detectors._pii_ids import in_longer_number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_sdk.detectors._rules import Check

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
_LENGTHS_OF: Final[dict[str, frozenset[int]]] = {
    str(first): frozenset().union(*(some for low, high, some in _ISSUERS if low <= first <= high))
    for least, most, _ in _ISSUERS
    for first in range(least, most + 1)
}
_TWICE: Final = str.maketrans("0123456789", "0246813579")
_LETTER_VALUES: Final = {ord("A") + at: str(10 + at) for at in range(26)}
_PART: Final = re.compile(r"(\d+)!([nac])")
# Numbers that the administration itself withdrew because they were printed in advertisements.
_WITHDRAWN_SSNS: Final = frozenset({"078051120", "219099999", "457555462"})
_SEQUENCES: Final = frozenset({"123456789", "987654321", "012345678"})
_FILE_ENDINGS: Final = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "html", "json"})
_BIRTH_DAY: Final = re.compile(r"\d{1,4}")


def email(text: str, start: int, end: int) -> bool:
    """Has a top-level domain, and is no mask such as xxx@xxx.com, no image@2x.png, no git@host:path."""
    local, _, domain = text[start:end].partition("@")
    name, _, ending = domain.rpartition(".")
    if ending.lower() in _FILE_ENDINGS or (local == "git" and text.startswith(":", end)):
        return False
    return bool(local.strip(_MASK)) and bool(name.strip(_MASK))


def card(text: str, start: int, end: int) -> bool:
    """A payment card number: issuer, length, Luhn digit; not part of a longer number and not one digit repeated."""
    if in_longer_number(text, start, end):
        return False
    digits = text[start:end].translate(_SEPARATORS)
    return len(set(digits)) > 1 and _issued(digits) and _luhn(digits)


def ssn(text: str, start: int, end: int) -> bool:
    """A US social security number that can have been given out."""
    digits = text[start:end].translate(_SEPARATORS)
    if in_longer_number(text, start, end) or digits in _SEQUENCES or digits in _WITHDRAWN_SSNS:
        return False
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    possible = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return possible and len(set(digits)) > 1


def iban(text: str, start: int, end: int) -> bool:
    """An international bank account number: length and alphabet of its country, check digits modulo 97."""
    number = text[start:end].translate(_SEPARATORS).upper()
    try:
        checked = int((number[4:] + number[:4]).translate(_LETTER_VALUES)) % 97 == 1
    except ValueError:
        return False
    return checked and _account(number[:2]).fullmatch(number, 4) is not None


def born(text: str, start: int, end: int) -> bool:
    """A day that somebody alive can have been born on: with a year of four digits, one after 1904."""
    numbers = [int(number) for number in _BIRTH_DAY.findall(text, start, end)]
    years = [number for number in numbers if number > 99]
    if any(not 1905 <= year <= 2100 for year in years):
        return False
    return all(0 < number <= 31 for number in numbers if number not in years) or not years


def _issued(digits: str) -> bool:
    return any(len(digits) in _LENGTHS_OF.get(digits[:size], ()) for size in (1, 2, 3, 4))


def _luhn(digits: str) -> bool:
    """Every second digit from the end counts twice, as the sum of its digits."""
    return (sum(map(int, digits[::-2])) + sum(map(int, digits[-2::-2].translate(_TWICE)))) % 10 == 0


@cache
def _account(country: str) -> re.Pattern[str]:
    """What an account's number looks like in a country's IBANs, according to python-stdnum's register of them."""
    told = numdb.get("iban").info(country)
    structure = told[0][1].get("bban", "") if told else ""
    sorts = {"n": "[0-9]", "a": "[A-Z]", "c": "[A-Z0-9]"}
    return re.compile("".join(f"{sorts[sort]}{{{size}}}" for size, sort in _PART.findall(structure)) or r"\Z.")


CHECKS: Final[dict[str, Check]] = {
    "email": email,
    "card": card,
    "ssn": ssn,
    "iban": iban,
    "born": born,
    **_pii_ids.CHECKS,
    **_pii_net.CHECKS,
    **_pii_phones.CHECKS,
}


def build(regions: Iterable[str] | None = None) -> _rules.RuleDetector:
    """The detector.

    `regions` (ISO 3166-1, two letters): where telephone numbers without a country's code are expected to be from; they
    are found only if the extra `phone` is installed. None means `_pii_phones.REGIONS` where it is, else nowhere.
    Raises `ConfigError` for regions that cannot be looked up.
    """
    rules, checks = _rules.load("pii_detected"), dict(CHECKS)
    if regions is not None or _pii_phones.installed():
        checks["national_phone"] = _pii_phones.National(_pii_phones.REGIONS if regions is None else regions)
    else:
        rules = tuple(rule for rule in rules if rule.check != "national_phone")
    return _rules.RuleDetector("pii_detected", {"input", "output"}, rules, checks)
