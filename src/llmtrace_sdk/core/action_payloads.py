"""What is told to others about a call: findings without what they matched, and names without what could be a secret."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core.masking import encodable, is_sensitive, redact, without_keys
from llmtrace_sdk.core.model import Severity
from llmtrace_sdk.core.sentences import plain, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.model import CallRecord, Finding, Phase, Segment

FINDINGS_LIMIT: Final = 100
NAME_LIMIT: Final = 200
TEXTS_LIMIT: Final = 64
TEXT_LIMIT: Final = 8_192
# A key that begins before the limit must be seen whole to be known as one.
_MARGIN: Final = 4_096


def webhook(
    record: CallRecord, findings: Sequence[Finding], source: str | None, at: str, *, content: bool = False
) -> dict[str, Any]:
    """The body of the action webhook, with the keys of LLMTrace's proxy. `at` is the time of the call in RFC 3339.

    `content` adds the texts of the call, where they were kept, without what the findings say is sensitive.
    """
    body = {
        "trace_id": record.id,
        "tenant_id": name(record.labels.tenant),
        "findings": [security_finding(record, finding, at) for finding in findings[:FINDINGS_LIMIT]],
        "source_ip": source,
        "model": name(record.prompt.model or record.answer.model),
        "provider": name(record.provider),
    }
    texts = _content(record) if content else None
    return body if texts is None else {**body, "content": texts}


def security_finding(record: CallRecord, finding: Finding, at: str) -> dict[str, Any]:
    """A finding in the form of LLMTrace's SecurityFinding, without what it matched. Its id is the same every time."""
    return {
        "id": _finding_id(record, finding),
        "severity": finding.severity.label.capitalize(),
        "finding_type": plain(finding.type),
        "description": sentence(finding.type),
        "detected_at": at,
        "confidence_score": finding.confidence,
        "location": name(finding.pointer),
        "metadata": {
            "rule": plain(finding.rule),
            "category": plain(finding.category) if finding.category else "",
            "phase": finding.phase,
            "channel": finding.channel,
            "kind": finding.kind,
            "start": str(finding.start),
            "end": str(finding.end),
        },
        "requires_alert": finding.severity >= Severity.HIGH,
    }


def name(text: str | None) -> str | None:
    """A name that came from outside, as it may be shown: short, encodable, nothing that looks like a key."""
    return None if text is None else without_keys(encodable(text[: NAME_LIMIT + _MARGIN]))[:NAME_LIMIT]


def _finding_id(record: CallRecord, finding: Finding) -> str:
    """A UUID of version 8 (RFC 9562 section 5.8), made of where the finding is."""
    place = f"{finding.phase} {finding.pointer} {finding.start} {finding.end} {finding.type} {finding.rule}"
    digest = bytearray(hmac.digest(record.id.encode("utf-8", "replace"), place.encode("utf-8", "replace"), "sha256"))
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest[:16].hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _content(record: CallRecord) -> dict[str, Any] | None:
    """The texts, if they were kept. None of a call that was refused or not wholly inspected: they may hold anything."""
    decision = record.decision
    if record.content is None or decision.blocked or decision.degraded or record.coverage.state != "scanned":
        return None
    return {
        "input": _texts(record.content.input, record.findings, "input"),
        "output": _texts(record.content.output, record.findings, "output"),
    }


def _texts(segments: Sequence[Segment], findings: Sequence[Finding], phase: Phase) -> list[dict[str, Any]]:
    by_place: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.phase == phase and is_sensitive(finding):
            by_place.setdefault(finding.pointer, []).append(finding)
    return [
        {
            "channel": segment.channel,
            "location": name(segment.pointer),
            "text": without_keys(
                encodable(redact(segment.text, by_place.get(segment.pointer, ()))[: TEXT_LIMIT + _MARGIN])
            )[:TEXT_LIMIT],
        }
        for segment in segments[:TEXTS_LIMIT]
    ]
