"""Telephone numbers: by how they are written, and, where `phonenumbers` is installed, by the plan of a country.

A number counts by itself when it says its country (+44 ...) or has the shape of North America; any other needs a word
such as "phone" before it, or a numbering plan (the phonenumbers package, extra `phone`) in which the
number exists and is written in just these groups. Sources: ITU-T E.164 and its list of country codes; the numbering
plan of North America.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.detectors._pii_ids import in_longer_number, made_up
from llmtrace_sdk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_sdk.detectors._rules import Check

REGIONS: Final = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "BE", "CH", "AT", "PT", "IE", "PL", "CZ", "BR", "AU", "IN")
"""Where national numbers without a country code are expected to be from, unless an option says so (ISO 3166-1)."""

MOST_GROUPS: Final = 160
"""How many groups of digits may stand in the 2,048 characters before a number that is looked up: tables are not."""

_WINDOW: Final = 2048
_GROUPS: Final = re.compile(r"\d+")
_USES: Final = (
    *("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost"),
    *("personal_number", "pager", "uan", "voip", "voicemail"),
)
"""What a number of a plan may be used for: it is of one of these, or does not exist."""
_PLACEHOLDER: Final = re.compile(r"[\\$]\d")
_DIGITS_OR_NOT: Final = {code: "0" if chr(code).isdigit() else " " for code in range(128)}
_EXTENSION: Final = re.compile(r"(?i:[ ,;]{0,3}(?:x|ext\.?|extension|#)[ .:]{0,2}\d{1,6})\Z")
_DATE: Final = re.compile(
    r"(?:19|20)\d\d[./ -](?:0?[1-9]|1[0-2])[./ -](?:0?[1-9]|[12]\d|3[01])(?!\d)"
    r"|(?:0?[1-9]|[12]\d|3[01])[./-](?:0?[1-9]|[12]\d|3[01])[./-](?:19|20)\d\d(?!\d)"
)
_AMOUNT: Final = re.compile(r"\d{1,2}(?:[ .]\d{3}){2,}|\d+\.\d+")
_DIGIT_BEFORE: Final = re.compile(r"\d \Z")
_OCTETS: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_TWO_DIGIT_CODES: Final = frozenset(
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90"
    " 91 92 93 94 95 98".split()
)
_THREE_DIGIT_CODES: Final = re.compile(
    r"21[12368]|2[2-69]\d|35\d|37\d|38[0-25-79]|42[013]|50\d|59\d|67\d|68\d|69[0-2]"
    r"|8[05][0-9]|87[08]|88[0-368]|96\d|97[0-79]|99[2-68]"
)
# How many digits follow the code, for the countries whose numbers are seen most.
_LENGTHS: Final = {
    **dict.fromkeys(("1", "7"), (10, 10)),
    **dict.fromkeys(("33", "34", "41", "46", "48", "61", "27"), (9, 9)),
    **dict.fromkeys(("44", "90", "91", "52"), (9, 10)),
    **dict.fromkeys(("31", "32"), (8, 9)),
    **dict.fromkeys(("45", "47", "65"), (8, 8)),
    **dict.fromkeys(("49", "43"), (6, 13)),
    "39": (6, 11),
    "55": (10, 11),
    "86": (9, 11),
}


def international(text: str, start: int, end: int) -> bool:
    """A number with a country's code in front, of a length that the country has."""
    if (start and text[start - 1].isalnum()) or in_longer_number(text, start, end):
        return False
    value = _EXTENSION.sub("", text[start:end]).replace("(0)", "")
    if value.startswith("00") and _DIGIT_BEFORE.search(text, max(0, start - 2), start):
        return False
    digits = "".join(_GROUPS.findall(value)).removeprefix("00")
    code = _code(digits)
    if not code or not 8 <= len(digits) <= 15 or made_up(digits[len(code) :]):
        return False
    if code == "1" and not _placed(digits[1:]):
        return False
    least, most = _LENGTHS.get(code, (6, 12))
    return least <= len(digits) - len(code) <= most + (digits[len(code) : len(code) + 1] == "0")


def north_american(text: str, start: int, end: int) -> bool:
    """Area code, exchange and line as the plan of North America allows them."""
    value = _EXTENSION.sub("", text[start:end])
    digits = "".join(_GROUPS.findall(value))[-10:]
    return _placed(digits) and not made_up(digits) and not _DATE.match(value) and not in_longer_number(text, start, end)


def _placed(digits: str) -> bool:
    """Whether an area code and an exchange begin as they may."""
    return digits[0] in "23456789" and digits[3:4] in "23456789" and digits[1:3] != "11"


def announced(text: str, start: int, end: int) -> bool:
    """7 to 13 digits behind a word for telephone, which are no date, no amount and no count."""
    value = _EXTENSION.sub("", text[start:end])
    groups = _GROUPS.findall(value)
    total = sum(map(len, groups))
    if not 7 <= total <= 13 or made_up(value) or in_longer_number(text, start, end):
        return False
    if _DATE.match(value) or text.startswith(("%", "€", "$", ":"), end):
        return False
    if _AMOUNT.fullmatch(value) and not text[max(0, start - 3) : start].rstrip().endswith(":"):
        return False
    return total >= 9 if len(groups) == 1 else max(map(len, groups)) <= 8


def _code(digits: str) -> str:
    if digits[:1] in ("1", "7"):
        return digits[0]
    if digits[:2] in _TWO_DIGIT_CODES:
        return digits[:2]
    return digits[:3] if _THREE_DIGIT_CODES.fullmatch(digits[:3]) else ""


def installed() -> bool:
    """Whether national numbers can be looked up."""
    return find_spec("phonenumbers") is not None


class National:
    """Confirms a number of one of `regions`, if it exists there and is written as it is written there.

    Raises `ConfigError` for a region that is not known, and for any when `phonenumbers` is not installed.
    """

    __slots__ = ("_known", "_library", "_regions")

    def __init__(self, regions: Iterable[str]) -> None:
        wanted = tuple(regions)
        try:
            import phonenumbers
        except ImportError as error:
            raise ConfigError(["detector pii_detected: regions need `pip install llmtrace-sdk[phone]`"]) from error
        unknown = sorted(set(wanted) - phonenumbers.SUPPORTED_REGIONS)
        if unknown:
            raise ConfigError([f"detector pii_detected: unknown regions {', '.join(unknown)}"])
        self._library: Any = phonenumbers
        self._regions = wanted
        self._known = lru_cache(maxsize=1024)(self._is_known)

    def __call__(self, text: str, start: int, end: int, /) -> bool:
        """Whether a match is such a number."""
        value = _EXTENSION.sub("", text[start:end])
        total = sum(map(len, _GROUPS.findall(value)))
        if not 9 <= total <= 13 or made_up(value) or in_longer_number(text, start, end):
            return False
        if _DATE.match(value) or _AMOUNT.fullmatch(value) or _OCTETS.fullmatch(value) or _crowded(text, start):
            return False
        return bool(self._known(value))

    def _is_known(self, value: str) -> bool:
        digits = "".join(_GROUPS.findall(value))
        return any(
            ((shape := _shape(self._library, region)) is None or shape.fullmatch(digits))
            and self._written_in(region, value)
            for region in self._regions
        )

    def _written_in(self, region: str, value: str) -> bool:
        library = self._library
        try:
            number = library.parse(value, region)
        except library.NumberParseException:
            return False
        if not library.is_valid_number_for_region(number, region):
            return False
        written = library.format_number(number, library.PhoneNumberFormat.NATIONAL)
        return _GROUPS.findall(written) == _GROUPS.findall(value)


@cache
def _shape(library: Any, region: str) -> re.Pattern[str] | None:
    """What the digits of any number of a region match: looking a number up takes a hundred times longer.

    None where more may be written than the number and the prefix for calls inside the country.
    """
    plan = library.PhoneMetadata.metadata_for_region(region)
    formats = [*plan.number_format, *plan.intl_number_format]
    prefix = plan.national_prefix or ""
    added = {_own_digits(each.format) for each in formats} | {_own_digits(plan.national_prefix_transform_rule)}
    added_before = {_own_digits(each.national_prefix_formatting_rule) for each in formats}
    if added - {""} or added_before - {"", prefix}:
        return None
    uses = [getattr(plan, use) for use in _USES]
    numbers = "|".join(use.national_number_pattern for use in uses if use and use.national_number_pattern)
    return re.compile(f"(?:{prefix})?(?:{numbers})")


def _own_digits(form: str | None) -> str:
    return "".join(_GROUPS.findall(_PLACEHOLDER.sub("", form or "")))


def _crowded(text: str, start: int) -> bool:
    """Whether what stands before is a table of numbers."""
    before = text[max(0, start - _WINDOW) : start]
    if not before.isascii():
        return len(_GROUPS.findall(before)) > MOST_GROUPS
    return before.translate(_DIGITS_OR_NOT).count(" 0") + before[:1].isdigit() > MOST_GROUPS


CHECKS: Final[dict[str, Check]] = {
    "international": international,
    "north_american": north_american,
    "announced": announced,
}
