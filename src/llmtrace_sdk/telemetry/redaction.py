"""A captured text -> the form in which it may leave the process. Runs before anything is serialised or handed on."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import re2

from llmtrace_sdk.core import fingerprint
from llmtrace_sdk.telemetry.bounds import text as encodable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.model import CallRecord, Finding, Phase, Segment
    from llmtrace_sdk.telemetry.options import ContentForm

PART_LIMIT_BYTES: Final = 8 * 1024
# A key that begins before the limit must be seen whole to be known as one.
_MARGIN: Final = 4096
_SENSITIVE_CATEGORIES: Final = frozenset({"sensitive_info_disclosure", "pii", "secret", "secrets"})
_SENSITIVE_TYPES: Final = ("pii", "secret", "credential", "api_key", "canary", "data_leakage", "tool_input_pii")
# Credentials by their published prefixes: a net below the detectors, which may be switched off.
_KEYS: Final = re2.compile(
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


class TextForm:
    """Gives the texts of one call the form that the options and the call's fate allow.

    `redacted` needs a complete set of findings, so where the scan failed or stopped early it gives way to `hash`; the
    same goes for content that the policy refused. `key` keeps digests comparable within a process.
    """

    __slots__ = ("_findings", "_key", "form")

    def __init__(self, form: ContentForm, record: CallRecord, key: bytes) -> None:
        self.form: ContentForm = "hash" if form == "redacted" and not _presentable(record) else form
        self._key = key
        self._findings: dict[tuple[Phase, str], list[Finding]] = {}
        if self.form == "redacted":
            for finding in filter(is_sensitive, record.findings):
                self._findings.setdefault((finding.phase, finding.pointer), []).append(finding)

    def apply(self, segment: Segment, phase: Phase) -> tuple[str, dict[str, Any]]:
        """The text in its form, bounded, and what to say beside it (`truncated`, or the length of a hashed text)."""
        if self.form == "hash":
            return fingerprint.of(self._key, segment.text), {"hashed": True, "length": len(segment.text)}
        shown = segment.text
        if self.form == "redacted":
            shown = redact(shown, self._findings.get((phase, segment.pointer), ()))
            shown = _KEYS.sub(_KEY_MARK, encodable(shown, PART_LIMIT_BYTES + _MARGIN))
        whole = len(shown)
        shown = truncate(encodable(shown, PART_LIMIT_BYTES))
        return shown, {"truncated": True} if len(shown) < whole else {}


def new_key() -> bytes:
    """A key for the digests of one process."""
    return secrets.token_bytes(32)


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


def truncate(text: str, limit: int = PART_LIMIT_BYTES) -> str:
    """At most `limit` bytes of UTF-8, cut between characters."""
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= limit else encoded[:limit].decode("utf-8", "ignore")


def _mark(finding: Finding) -> str:
    return f"[REDACTED:{finding.type}]"


def _presentable(record: CallRecord) -> bool:
    decision, coverage = record.decision, record.coverage
    if decision.degraded or "block" in (decision.action, decision.verdict) or coverage.state == "unscanned":
        return False
    return not _incomplete(coverage.reasons)


def _incomplete(reasons: Sequence[str]) -> bool:
    """Whether a text may hold something that no finding tells of."""
    return any(reason.endswith(("_limit", "_fault", "_failed")) for reason in reasons)
