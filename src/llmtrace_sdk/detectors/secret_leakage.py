"""Keys, tokens and passwords (OWASP LLM02)."""

from __future__ import annotations

import re
from collections import Counter
from math import log2
from typing import Final

from llmtrace_sdk.detectors import _rules

MIN_ENTROPY: Final = 3.5
"""Bits per character. English has about 4.1 over whole texts, but less over a few words."""

_PLACEHOLDER: Final = re.compile(
    r"[<{\[(]|[$%]\w*[{(]|\A\$[a-z_][a-z0-9_]*\Z|\*{3}|x{4}|\.{3}|…"
    r"|(?:^|[^a-z])(?:your|my|the|some|insert|replace|enter|put|example|sample|dummy|fake|placeholder|redacted|hidden"
    r"|changeme|todo|none|null|undefined|env|environ|getenv|process\.env)(?![a-z])"
    r"|goes[_-]?here|example|placeholder|change[_-]?me|[a-z_]\w*\.[a-z_]\w*\.[a-z_]",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"\w+\(|\)\Z|\w+\.\w+\.|os\.|self\.|this\.|config\.|settings\.|==")


def entropy(value: str) -> float:
    """Shannon entropy in bits per character."""
    total = len(value)
    return -sum(n / total * log2(n / total) for n in Counter(value).values()) if value else 0.0


def not_a_placeholder(text: str, start: int, end: int) -> bool:
    """Not a template's gap, a mask or a stand-in word."""
    return not _PLACEHOLDER.search(text[start:end])


def random_looking(text: str, start: int, end: int) -> bool:
    """Made by a machine: letters and digits, at least `MIN_ENTROPY`, no placeholder, no piece of code."""
    value = text[start:end].rstrip(".,;:")
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and entropy(value) >= MIN_ENTROPY and not _PLACEHOLDER.search(value) and not _CODE.search(value)


def password(text: str, start: int, end: int) -> bool:
    """A password, not the next word of a sentence: four different signs, among them a letter and a digit or mark."""
    value = text[start:end].rstrip(".,;:!?)")
    if len(value) < 6 or len(set(value)) < 4 or _PLACEHOLDER.search(value) or _CODE.search(value):
        return False
    marked = any(not c.isalnum() and c not in "-'\u2019." for c in value)
    return any(c.isalpha() for c in value) and (marked or any(c.isdigit() for c in value))


CHECKS = {"not_a_placeholder": not_a_placeholder, "random_looking": random_looking, "password": password}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("secret_leakage", {"input", "output"}, _rules.load("secret_leakage"), CHECKS)
