"""Addresses in tool calls that an honest agent seldom needs (OWASP LLM06)."""

from __future__ import annotations

from typing import Final

from llmtrace_sdk.detectors import _rules

_LOOPBACK_6: Final = frozenset({"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]"})


def public(text: str, start: int, end: int) -> bool:
    """An IPv4 address that is neither loopback, private, link-local nor unspecified (RFC 1122, 1918, 3927)."""
    first, second = (int(part) for part in text[start:end].split(".")[:2])
    private = first == 10 or (first, second) in {(192, 168), (169, 254)} or (first == 172 and 16 <= second <= 31)
    return first not in (0, 127) and not private


def not_loopback_6(text: str, start: int, end: int) -> bool:
    """Anything but the IPv6 addresses of the machine itself."""
    return text[start:end] not in _LOOPBACK_6


CHECKS = {"public": public, "not_loopback_6": not_loopback_6}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("suspicious_url", {"input", "output"}, _rules.load("suspicious_url"), CHECKS)
