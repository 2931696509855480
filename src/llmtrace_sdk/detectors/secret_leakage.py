"""Keys, tokens and passwords (OWASP LLM02)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections import Counter
from math import log2
from typing import Any, Final

import msgspec

from llmtrace_sdk.detectors import _rules
from llmtrace_sdk.detectors._checksums import base58check, base62_crc32, bech32

MIN_ENTROPY: Final = 3.5
"""Bits per character. English has about 4.1 over whole texts, but less over a few words."""

MIN_DIFFERENT: Final = 6
"""How many different characters the end of a token has at least; 20 random hex digits have fewer once in 100,000."""

_PLACEHOLDER: Final = re.compile(
    r"[<{\[(]|[$%]\w*[{(]|\A\$[a-z_][a-z0-9_]*\Z|\*{3}|x{4}|\.{3}|…"
    r"|(?:^|[^a-z])(?:your|my|the|some|insert|replace|enter|put|example|sample|dummy|fake|placeholder|redacted|hidden"
    r"|changeme|todo|none|null|undefined|env|environ|getenv|process\.env)(?![a-z])"
    r"|goes[_-]?here|example|placeholder|change[_-]?me|[a-z_]\w*\.[a-z_]\w*\.[a-z_]",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"\w+\(|\)\Z|\w+\.\w+\.|os\.|self\.|this\.|config\.|settings\.|==")
# Random characters have any of these less than once in 10,000 tokens of 200 characters.
_STAND_IN: Final = re.compile(
    r"x{5}|X{5}|\*{3}|example|EXAMPLE|your[_-]|YOUR[_-]|placeholder|PLACEHOLDER|redacted|REDACTED|changeme"
    r"|a1b2c3d|deadbeef|[_-]here\b|[_-]HERE\b"
)
_SEQUENCE: Final = re.compile(r"(.)\1{6}|0123456|1234567|7654321|abcdefg|ABCDEFG")
_SECRET_PART: Final = 20
"""How many characters at the end of a token are random in every format; numbers of accounts come before."""
_PLAIN_WORD: Final = r"(?:[A-Z]?[a-z]{0,24}\d{0,4}|[A-Z]{2,24}\d{0,4})"
_PLAIN_WORDS: Final = re.compile(rf"{_PLAIN_WORD}(?:[_./-]{_PLAIN_WORD}){{0,40}}")
_SAMPLE_CLAIMS: Final = "eyJzdWIiOiIxMjM0NTY3ODkwI"
"""How the payload begins that every introduction to JSON Web Tokens shows."""

_LONGEST_BREAK: Final = 64
_LONGEST_QUERY: Final = 800
_ONE_FILE: Final = re.compile(r"[?&;]sr=b(?![a-z])")
_READ_ONLY: Final = re.compile(r"[?&;]sp=r(?![a-z])")
_KEY_FOLLOWS: Final = re.compile(
    r"-----BEGIN [^\n-]{1,40}-----(?:\\{1,2}[nr]|[\s\"'+,>|]){0,32}(?:[A-Za-z0-9+/=]{16}|[A-Z][A-Za-z-]{3,20}: |\Z)"
)
# Small words that no list of seed words has.
_NOT_SEED_WORDS: Final = frozenset(
    """
    and are been but can did does down ever for from had has have her here his how into its may must not now our out
    said she should some than the their them then there these they those was were what where which who why will with
    would your phrase seed wallet words mnemonic recovery backup
    """.split()
)


def entropy(value: str) -> float:
    """Shannon entropy in bits per character."""
    total = len(value)
    return -sum(n / total * log2(n / total) for n in Counter(value).values()) if value else 0.0


def not_a_placeholder(text: str, start: int, end: int) -> bool:
    """Not a template's gap, a mask or a stand-in word."""
    return not _PLACEHOLDER.search(text[start:end])


def token(text: str, start: int, end: int) -> bool:
    """A vendor's token and not its picture: no row of x, no alphabet, no word such as EXAMPLE."""
    value = text[start:end]
    last = value[-_SECRET_PART:]
    return len(set(last)) >= MIN_DIFFERENT and not _STAND_IN.search(value) and not _SEQUENCE.search(last)


def mixed(text: str, start: int, end: int) -> bool:
    """As `token`, where words joined by dashes have the same form."""
    return token(text, start, end) and not _PLAIN_WORDS.fullmatch(text, start, end)


def glued(text: str, start: int, end: int) -> bool:
    """As `mixed`, but for the kinds of token that may well consist of capitals."""
    return mixed(text, start, end) or (
        text.startswith(("AKIA", "ASIA", "ABIA", "ACCA"), start) and token(text, start, end)
    )


def crc32(text: str, start: int, end: int) -> bool:
    """The last six characters are the checksum of the thirty before."""
    value = text[start:end]
    return value[-6:] == base62_crc32(value[-36:-6])


def random_looking(text: str, start: int, end: int) -> bool:
    """Made by a machine: letters and digits, at least `MIN_ENTROPY`, no placeholder, no piece of code."""
    value = text[start:end].rstrip(".,;:")
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    # What 32 hex digits can have at most is 4 bits; a few of them fall short of 3.5.
    enough = MIN_ENTROPY if len(value) < 32 else MIN_ENTROPY - 0.4
    return mixed and entropy(value) >= enough and not _PLACEHOLDER.search(value) and not _CODE.search(value)


def password(text: str, start: int, end: int) -> bool:
    """A password, not the next word of a sentence: four different signs, among them a letter and a digit or mark."""
    value = text[start:end].rstrip(".,;:!?)")
    if len(value) < 6 or len(set(value)) < 4 or _PLACEHOLDER.search(value) or _CODE.search(value):
        return False
    marked = any(not c.isalnum() and c not in "-'\u2019." for c in value)
    return any(c.isalpha() for c in value) and (marked or any(c.isdigit() for c in value))


def jwt(text: str, start: int, end: int) -> bool:
    """A token whose header is JSON with an algorithm, and which is not the one of all introductions."""
    header, _, rest = text[start:end].partition(".")
    head = _json(header)
    return isinstance(head, dict) and isinstance(head.get("alg"), str) and not rest.startswith(_SAMPLE_CLAIMS)


def discord(text: str, start: int, end: int) -> bool:
    """The first part of a bot's token is its number."""
    return token(text, start, end) and _decoded(text[start:end].partition(".")[0]).isdigit()


def sas(text: str, start: int, end: int) -> bool:
    """The signature of a URL that allows more than to read one file: such links are made to be shown."""
    before = text[max(0, start - _LONGEST_QUERY) : start].split()[-1:]
    after = text[end : end + _LONGEST_QUERY].split()[:1]
    query = "&".join([*before, *after])
    return not (_ONE_FILE.search(query) and _READ_ONLY.search(query))


def private_key(text: str, start: int, end: int) -> bool:
    """Something that can be a key, or nothing yet, is behind the line that announces it."""
    return _KEY_FOLLOWS.match(text, start, end + _LONGEST_BREAK) is not None


def wif(text: str, start: int, end: int) -> bool:
    """A private key in bitcoin's import format, or an extended one, with the right check bytes."""
    return base58check(text[start:end]) is not None


def bech32_key(text: str, start: int, end: int) -> bool:
    """A key in bech32 with the right check characters."""
    return bech32(text[start:end])


def seed_phrase(text: str, start: int, end: int) -> bool:
    """12 to 24 words without those that sentences need."""
    words = re.findall(r"[a-z]{3,8}", text[start:end])
    return 12 <= len(words) <= 24 and not _NOT_SEED_WORDS.intersection(words) and len(set(words)) > len(words) * 0.7


def _json(part: str) -> Any:
    try:
        return msgspec.json.decode(_decoded(part))
    except (ValueError, RecursionError):  # msgspec.DecodeError is a ValueError
        return None


def _decoded(part: str) -> bytes:
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return b""


CHECKS = {
    "not_a_placeholder": not_a_placeholder,
    "token": token,
    "mixed": mixed,
    "glued": glued,
    "crc32": crc32,
    "random_looking": random_looking,
    "password": password,
    "jwt": jwt,
    "discord": discord,
    "sas": sas,
    "private_key": private_key,
    "wif": wif,
    "bech32": bech32_key,
    "seed_phrase": seed_phrase,
}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("secret_leakage", {"input", "output"}, _rules.load("secret_leakage"), CHECKS)
