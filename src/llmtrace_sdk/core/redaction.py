"""Findings -> what has to stand in place of what they found: placeholders that can be undone, or marks that cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmtrace_sdk.core import rewrite
from llmtrace_sdk.core.masking import is_sensitive
from llmtrace_sdk.core.rewrite import Replacement
from llmtrace_sdk.core.vault import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.model import Finding, Phase, Segment
    from llmtrace_sdk.core.scan import Engine
    from llmtrace_sdk.core.vault import Vault


def findings(engine: Engine, segment: Segment, phase: Phase) -> tuple[list[Finding], tuple[str, ...]]:
    """All that is found in a text, however much that is, and the detectors that failed."""
    report = engine.scan((segment,), phase, every=True)
    return list(report.findings), report.failed


def every(engine: Engine, segments: Iterable[Segment], phase: Phase) -> tuple[Finding, ...]:
    """All that is found in several texts, however much that is."""
    return engine.scan(segments, phase, every=True).findings


def request(body: bytes, findings: Sequence[Finding], segments: Sequence[Segment], known: Vault | None) -> bytes | None:
    """A request without what was found in it; None when some of it could not be taken out.

    Personal data and secrets get placeholders of `known`, if there is one.
    """
    if known is not None:
        for segment in segments:
            known.reserve(segment.text)
    changed, missing = rewrite.in_body(body, _replacements(findings, segments, known))
    return None if missing or changed == body else changed


def answer(
    body: bytes, findings: Sequence[Finding], segments: Sequence[Segment], known: Vault | None
) -> tuple[bytes | None, int]:
    """An answer without what was found in it, with the originals of placeholders in it, and how many changes that is.

    None when something could not be taken out.
    """
    changed = body
    if findings:
        changed, missing = rewrite.in_body(body, _replacements(findings, segments, None))
        if missing:
            return None, 0
    restored = changed if known is None else rewrite.restored_body(changed, known)
    return restored, len(findings) + (restored != changed)


def _replacements(
    findings: Iterable[Finding], segments: Sequence[Segment], known: Vault | None
) -> dict[str, list[Replacement]]:
    texts: dict[tuple[str, str], list[str]] = {}
    for segment in segments:
        texts.setdefault((segment.pointer, segment.kind), []).append(segment.text)
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        for text in texts.get((finding.pointer, finding.kind), ()):
            if text[finding.start : finding.end]:
                found.setdefault(text, []).append(finding)
    wanted: dict[str, list[Replacement]] = {}
    for text, those in found.items():
        says = rewrite.plain(text, [(finding.start, finding.end) for finding in those])
        for finding, said in zip(those, says, strict=True):
            value = text[finding.start : finding.end]
            replacement = Replacement(value, _instead(said, finding, known), said)
            wanted.setdefault(finding.pointer, []).append(replacement)
    return wanted


def _instead(value: str, finding: Finding, known: Vault | None) -> str:
    placeholder = known.placeholder(value, kind_of(finding)) if known is not None and is_sensitive(finding) else None
    return placeholder or f"[REDACTED:{finding.type}]"
