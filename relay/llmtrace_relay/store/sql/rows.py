"""Spans <-> rows of the tables."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmtrace_relay.model import SEVERITIES, AgentAction, Finding, Span, SpanEvent
from llmtrace_relay.store.sql.types import to_json, word

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Row

Key = tuple[str, str, str]
"""Tenant, trace and span id, as they are kept."""

ROW_SIZE: Final = 1_000
"""Bytes that a span takes in the tables and their indexes without its texts, about."""
FINDING_SIZE: Final = 500
ACTION_SIZE: Final = 200

_NAMES: Final = {name.lower(): name for name in SEVERITIES}
_TAGS: Final = msgspec.json.Decoder(dict[str, str], strict=False)
_EVENTS: Final = msgspec.json.Decoder(tuple[SpanEvent, ...], strict=False)

# what has the same name and meaning in a span and in its row
SAME: Final = tuple(
    """
    parent_span_id operation_name start_time end_time provider model_name prompt_tokens completion_tokens total_tokens
    time_to_first_token_ms duration_ms status_code estimated_cost_usd security_score outcome action coverage agent
    session source call_id
    """.split()
)

SPAN_COLUMNS: Final = (*"id trace tenant_id span_id user_name finding_count billed bill size".split(), *SAME)
TEXT_COLUMNS: Final = tuple("span prompt response error_message reason tags events".split())
FINDING_COLUMNS: Final = tuple(
    """
    span tenant_id finding_id severity finding_type description detected_at confidence_score location metadata
    requires_alert
    """.split()
)
SAME_ACTION: Final = tuple(name for name in AgentAction.__struct_fields__ if name not in ("id", "metadata"))
ACTION_COLUMNS: Final = ("span", "added", "action_id", "metadata", *SAME_ACTION)

_same: Final = attrgetter(*SAME)
_same_action: Final = attrgetter(*SAME_ACTION)


def key_of(span: Span) -> Key:
    """What tells a span from all others."""
    return word(span.tenant_id), word(span.trace_id), word(span.span_id)


def span_row(span: Span, key: Key, trace: int, number: int, billed: bool) -> list[Any]:
    """A row of `spans`: its `SPAN_COLUMNS`."""
    bill = span.call_id if billed else None
    findings = len(span.security_findings)
    return [number, trace, key[0], key[2], span.user, findings, billed, bill, size_of(span), *_same(span)]


def text_row(span: Span, number: int) -> list[Any]:
    """A row of `span_texts`: its `TEXT_COLUMNS`."""
    tags, events = span.tags or None, span.events or None
    return [number, span.prompt, span.response, span.error_message, span.reason, tags, events]


def finding_rows(span: Span, key: Key, number: int) -> Iterable[list[Any]]:
    """Rows of `findings`: their `FINDING_COLUMNS`."""
    for finding in span.security_findings:
        confidence = finding.confidence_score
        yield [
            number,
            key[0],
            finding.id,
            severity_rank(finding.severity),
            finding.finding_type,
            finding.description,
            finding.detected_at,
            0.0 if math.isnan(confidence) else confidence,
            finding.location,
            finding.metadata or None,
            finding.requires_alert,
        ]


def action_row(action: AgentAction, number: int, *, added: bool) -> list[Any]:
    """A row of `agent_actions`: its `ACTION_COLUMNS`."""
    return [number, added, action.id, action.metadata or None, *_same_action(action)]


def size_of(span: Span) -> int:
    """The bytes that a span takes, about."""
    texts = (span.prompt, span.response or "", span.error_message or "", span.reason)
    size = ROW_SIZE + sum(_bytes(text) for text in texts)
    for more in (span.tags, span.events):
        size += len(to_json(more)) if more else 0
    for action in span.agent_actions:
        size += ACTION_SIZE + _bytes(action.arguments or "") + _bytes(action.result or "")
    return size + FINDING_SIZE * len(span.security_findings)


def severity_rank(severity: str) -> int:
    """The position of a severity; of one that is not known, that of the least."""
    return SEVERITIES.index(_NAMES.get(severity.lower(), SEVERITIES[0]))


def span_of(row: Row[Any], findings: Sequence[Finding], actions: Sequence[AgentAction]) -> Span:
    """A span of a row of `spans`, `traces` and `span_texts` together."""
    values = {name: getattr(row, name) for name in SAME}
    return Span(
        **values,
        tenant_id=row.tenant_id,
        trace_id=row.trace_id,
        span_id=row.span_id,
        user=row.user_name,
        billed=row.billed,
        prompt=row.prompt or "",
        response=row.response,
        error_message=row.error_message,
        reason=row.reason or "",
        tags=_TAGS.decode(row.tags) if row.tags else {},
        events=_EVENTS.decode(row.events) if row.events else (),
        security_findings=tuple(findings),
        agent_actions=tuple(actions),
    )


def finding_of(row: Row[Any]) -> Finding:
    """A finding of a row of `findings`."""
    return Finding(
        id=row.finding_id,
        severity=SEVERITIES[row.severity],
        finding_type=row.finding_type,
        description=row.description,
        detected_at=row.detected_at,
        confidence_score=row.confidence_score,
        location=row.location,
        metadata=_TAGS.decode(row.metadata) if row.metadata else {},
        requires_alert=row.requires_alert,
    )


def action_of(row: Row[Any]) -> AgentAction:
    """An action of a row of `agent_actions`."""
    values = {name: getattr(row, name) for name in SAME_ACTION}
    return AgentAction(id=row.action_id, metadata=_TAGS.decode(row.metadata) if row.metadata else {}, **values)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
