"""Findings of the pipeline -> findings as the relay keeps and tells them, without what they matched."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from llmtrace_relay.model import Finding
from llmtrace_sdk.core.model import Severity
from llmtrace_sdk.core.sentences import plain, sentence

if TYPE_CHECKING:
    from llmtrace_sdk.core import model as core

_SPACE: Final = uuid.UUID("7d6a1c1e-5f0b-5c5c-9a57-3d1b6f2f6a11")
LOCATION_LIMIT: Final = 200


def kept(finding: core.Finding, call_id: str, at_us: int) -> Finding:
    """A finding of a call, at a time in microseconds since the Unix epoch. Its id is the same every time."""
    place = f"{call_id} {finding.phase} {finding.pointer} {finding.start} {finding.end} {finding.type} {finding.rule}"
    return Finding(
        id=str(uuid.uuid5(_SPACE, place.encode("utf-8", "replace").decode())),
        severity=finding.severity.label.capitalize(),
        finding_type=plain(finding.type),
        description=sentence(finding.type),
        detected_at=at_us,
        confidence_score=round(finding.confidence, 6),
        location=finding.pointer.encode("utf-8", "replace").decode()[:LOCATION_LIMIT],
        metadata={
            "rule": plain(finding.rule),
            "category": plain(finding.category) if finding.category else "",
            "phase": finding.phase,
            "channel": finding.channel,
            "kind": finding.kind,
            "start": str(finding.start),
            "end": str(finding.end),
        },
        requires_alert=finding.severity >= Severity.HIGH,
    )
