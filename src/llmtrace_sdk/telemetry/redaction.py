"""A captured text -> the form in which it may leave the process. Runs before anything is serialised or handed on."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core import fingerprint
from llmtrace_sdk.core.masking import is_sensitive, redact, without_keys
from llmtrace_sdk.telemetry.bounds import text as encodable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.model import CallRecord, Finding, Phase, Segment
    from llmtrace_sdk.telemetry.options import ContentForm

PART_LIMIT_BYTES: Final = 8 * 1024
# A key that begins before the limit must be seen whole to be known as one.
_MARGIN: Final = 4096


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
            shown = without_keys(encodable(shown, PART_LIMIT_BYTES + _MARGIN))
        whole = len(shown)
        shown = truncate(encodable(shown, PART_LIMIT_BYTES))
        return shown, {"truncated": True} if len(shown) < whole else {}


def new_key() -> bytes:
    """A key for the digests of one process."""
    return secrets.token_bytes(32)


def truncate(text: str, limit: int = PART_LIMIT_BYTES) -> str:
    """At most `limit` bytes of UTF-8, cut between characters."""
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= limit else encoded[:limit].decode("utf-8", "ignore")


def _presentable(record: CallRecord) -> bool:
    decision, coverage = record.decision, record.coverage
    if decision.degraded or "block" in (decision.action, decision.verdict) or coverage.state == "unscanned":
        return False
    return not _incomplete(coverage.reasons)


def _incomplete(reasons: Sequence[str]) -> bool:
    """Whether a text may hold something that no finding tells of."""
    return any(reason.endswith(("_limit", "_fault", "_failed")) for reason in reasons)
