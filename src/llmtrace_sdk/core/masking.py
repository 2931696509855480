"""A text -> the same without what must not leave the process: the spans of findings, and whatever looks like a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core import linear

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_sdk.core.model import Finding

_SENSITIVE_CATEGORIES: Final = frozenset({"sensitive_info_disclosure", "pii", "secret", "secrets"})
_SENSITIVE_TYPES: Final = ("pii", "secret", "credential", "api_key", "canary", "data_leakage", "tool_input_pii")
# Credentials by their published prefixes: a net below the detectors, which may be switched off.
_KEYS: Final = linear.compiled(
    r"(?:\b(?:sk|rk|pk)[-_][A-Za-z0-9_-]{16,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bAIza[0-9A-Za-z_-]{30,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\bxox[abeprs]-[A-Za-z0-9-]{10,}|\bhf_[A-Za-z0-9]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"
    r"|\b[Bb]earer +[A-Za-z0-9._~+/=-]{16,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\s:,-]*)"
)
_KEY_MARK: Final = "[REDACTED:credential]"


def is_sensitive(finding: Finding) -> bool:
    """Whether the matched text itself is what must not be shown."""
    return finding.category in _SENSITIVE_CATEGORIES or finding.type.startswith(_SENSITIVE_TYPES)


def redact(text: str, findings: Iterable[Finding]) -> str:
    """The text with each finding's span replaced by `[REDACTED:<type>]`; overlapping spans become one.

    A finding without a usable span hides the whole text.
    """
    pieces: list[str] = []
    done = 0
    for finding in sorted(findings, key=lambda f: (f.start, -f.end)):
        if not 0 <= finding.start < finding.end or finding.start >= len(text):
            return _mark(finding)
        if finding.start >= done:
            pieces += text[done : finding.start], _mark(finding)
        done = max(done, finding.end)
    return "".join((*pieces, text[done:])) if pieces else text


def without_keys(text: str) -> str:
    """The text without what looks like a key, whatever the detectors say. It must be encodable in UTF-8."""
    masked: str = _KEYS.sub(_KEY_MARK, text)
    return masked


def encodable(text: str) -> str:
    """The text with a question mark for each lone surrogate, which UTF-8 cannot carry; offsets stay true."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _mark(finding: Finding) -> str:
    return f"[REDACTED:{finding.type}]"
