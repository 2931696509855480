"""Calls that an instrumented process has inspected itself: its findings and its decision, as its spans tell them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final, get_args

from msgspec import structs

from llmtrace_relay import findings as keeping
from llmtrace_relay.ingest.facts import Facts
from llmtrace_sdk.core.model import Channel, Finding, Kind, Severity
from llmtrace_sdk.core.score import POINTS, score_of
from llmtrace_sdk.core.sentences import plain
from llmtrace_sdk.telemetry import names
from llmtrace_sdk.telemetry.events import FINDINGS_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_relay import model
    from llmtrace_relay.ingest.calls import Call
    from llmtrace_sdk.core.model import ActionName

_ACTIONS: Final[dict[str, ActionName]] = {
    "allow": "allow",
    "audit": "log",
    "warn": "flag",
    "modify": "redact",
    "block": "block",
}
_KINDS: Final[dict[str, tuple[Channel, Kind]]] = {
    "tool_call": ("assistant", "tool_call"),
    "tool_result": ("tool", "tool_result"),
    "tool_definition": ("system", "tool_definition"),
}
_CHANNELS: Final[dict[str, Channel]] = {channel: channel for channel in get_args(Channel)}
# In each phase of a call.
_LIMIT: Final = 2 * FINDINGS_LIMIT


def is_inspected(facts: Facts) -> bool:
    """Whether a process tells what it found; its findings count then, and the texts are not inspected again."""
    return facts.text(names.DECISION) is not None and not facts.says(names.RECORD_DROPPED)


def action_of(facts: Facts) -> ActionName:
    """What the process did about the call."""
    return _ACTIONS.get(facts.text(names.DECISION) or "", "allow")


def reasons_of(facts: Facts) -> tuple[str, ...]:
    """The coverage code of what the process did not inspect; it tells one at most."""
    reason = facts.text(names.SCAN_SKIPPED_REASON)
    return () if reason is None else (plain(reason),)


def coverage_of(facts: Facts) -> str:
    """How much of the call the process has inspected: scanned, partial or unscanned."""
    reasons = reasons_of(facts)
    if not reasons:
        return "scanned"
    return "unscanned" if reasons == ("no_text",) else "partial"


def findings_of(call: Call, facts: Facts, call_id: str) -> tuple[list[model.Finding], int | None]:
    """The findings that a process told of, and their score."""
    kept, found = [], []
    for at_us, event in _events(call):
        finding = _finding(event)
        found.append(finding)
        kept.append(_identified(keeping.kept(finding, call_id, at_us), event))
        if len(kept) == _LIMIT:
            break
    scores = [score for score in (score_of(found), _told_score(facts)) if score is not None]
    return kept, max(scores, default=None)


def _events(call: Call) -> Iterator[tuple[int, Facts]]:
    for span in (call.span, *call.guards):
        for event in span.events:
            if event.name == names.FINDING_EVENT:
                yield event.time_ns // 1000, Facts(event.attributes)


def _finding(facts: Facts) -> Finding:
    target = facts.text(names.FINDING_TARGET) or ""
    channel, kind = _KINDS.get(target, (_CHANNELS.get(target, "user"), "text"))
    start = facts.count(names.FINDING_SPAN_START) or 0
    return Finding(
        type=facts.text(names.FINDING_TYPE) or "other",
        rule=facts.text(names.RULE_NAME) or "",
        severity=_severity(facts.text(names.FINDING_SEVERITY)),
        confidence=min(facts.amount(names.FINDING_CONFIDENCE) or 0.0, 1.0),
        start=start,
        end=start + (facts.count(names.FINDING_SPAN_LENGTH) or 0),
        pointer=facts.text(names.FINDING_LOCATION) or "",
        channel=channel,
        kind=kind,
        phase="output" if facts.text(names.FINDING_PHASE) == "output" else "input",
        detector=facts.text(names.FINDING_DETECTOR) or "",
        category=facts.text(names.FINDING_CATEGORY) or "",
    )


def _identified(finding: model.Finding, facts: Facts) -> model.Finding:
    """With the id that the process gave it, so that it can be told to be the one of its logs."""
    try:
        return structs.replace(finding, id=str(uuid.UUID(facts.text(names.FINDING_ID) or "")))
    except ValueError:
        return finding


def _told_score(facts: Facts) -> int | None:
    """The score of findings that did not come along: their number and the worst of them are on the call's span."""
    if not facts.count(names.FINDINGS_COUNT):
        return None
    return POINTS[_severity(facts.text(names.FINDINGS_MAX_SEVERITY))]


def _severity(text: str | None) -> Severity:
    """One that nobody knows is taken for the middle one."""
    try:
        return Severity.parse(text or "")
    except ValueError:
        return Severity.MEDIUM
