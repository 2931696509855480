"""What is reported -> spans as the relay keeps them."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from llmtrace_relay import model
from llmtrace_relay.ingest import names
from llmtrace_relay.ingest.actions import actions_of
from llmtrace_relay.ingest.calls import calls_of
from llmtrace_relay.ingest.capturing import Capture
from llmtrace_relay.ingest.facts import COUNT_LIMIT
from llmtrace_relay.ingest.fate import cost_of, fate_of, operation_of, provider_of, usage_of
from llmtrace_relay.ingest.judging import Judge, hidden_of
from llmtrace_relay.ingest.messages import texts_of
from llmtrace_relay.ingest.moments import events_of, times_of
from llmtrace_relay.ingest.tags import tags_of
from llmtrace_relay.ingest.telling import prompt_of, response_of
from llmtrace_sdk.telemetry import names as ours

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llmtrace_relay.ingest.calls import Call
    from llmtrace_relay.ingest.facts import Facts
    from llmtrace_relay.ingest.reported import Reported, Request
    from llmtrace_sdk.config import Settings
    from llmtrace_sdk.core.effects import Pipeline

FUTURE_LIMIT_US: Final = 86_400_000_000


class Taken(NamedTuple):
    """The spans of a request, how many of its spans could not be taken, and why, each reason with its count."""

    spans: list[model.Span]
    rejected: int
    reasons: Mapping[str, int]


def spans_of(request: Request, tenant_id: str, now_us: int, pipeline: Pipeline, settings: Settings) -> Taken:
    """The calls among the reported spans: inspected, priced, and in the form in which they may be kept.

    `now_us` is the time in microseconds since the Unix epoch. Spans that tell of no call are left out; that is no
    error, and they are not counted.
    """
    refused: Counter[str] = Counter()
    builder = Builder(tenant_id, now_us, pipeline, settings)
    spans = []
    for call in calls_of(_timely(request, now_us, refused)):
        try:
            spans.append(builder.span(call))
        except Exception as error:  # noqa: BLE001 - a fault of ours costs one span, not the others of the request
            pipeline.on_fault("ingest", error)
            refused["the relay failed to read it"] += 1
    return Taken(spans, sum(refused.values()), refused)


def _timely(request: Request, now_us: int, refused: Counter[str]) -> Iterator[Reported]:
    """A span of the future would be the newest for ever, and never old enough to be deleted."""
    for span in request.spans(refused):
        if span.start_ns // 1000 > now_us + FUTURE_LIMIT_US:
            refused["it begins more than a day from now"] += 1
        else:
            yield span


class Builder:
    """Makes spans of the calls of one tenant."""

    def __init__(self, tenant_id: str, now_us: int, pipeline: Pipeline, settings: Settings) -> None:
        storage = settings.storage
        self._tenant_id = tenant_id
        self._now_us = now_us
        self._pipeline = pipeline
        self._judge = Judge(pipeline, tenant_id)
        self._text_limit = settings.security_analysis.max_analysis_text_bytes
        self._capture = Capture(storage.capture, storage.max_text_bytes)

    def span(self, call: Call) -> model.Span:
        """One call as the relay keeps it."""
        facts, capture = call.facts, self._capture
        texts = texts_of(call, facts, self._text_limit)
        times, usage, fate = times_of(call, self._now_us), usage_of(facts), fate_of(call, facts, capture)
        span_id, call_id = _span_id(call.span.span_id), facts.text(ours.RECORD_ID)
        judged = self._judge.judge(call, facts, texts, call_id or call.span.trace_id + span_id, times.last)
        cost = cost_of(call, facts, usage, self._pipeline)
        hidden = hidden_of(judged, texts)
        used = facts.text(ours.OPERATION) == names.TOOL_USE
        return model.Span(
            trace_id=str(uuid.UUID(call.span.trace_id)),
            span_id=span_id,
            parent_span_id=_span_id(call.span.parent_id) if call.span.parent_id else None,
            tenant_id=self._tenant_id,
            operation_name=operation_of(call, facts),
            start_time=times.start,
            end_time=times.end,
            duration_ms=times.duration_ms,
            time_to_first_token_ms=_first_token(facts),
            provider=provider_of(facts),
            model_name=facts.text(names.REQUEST_MODEL) or "",
            prompt=prompt_of(texts.input, capture, hidden["input"]),
            response=response_of(texts.output, capture, hidden["output"]),
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=_sum(usage.input_tokens, usage.output_tokens),
            status_code=fate.status,
            error_message=fate.error,
            outcome=fate.outcome,
            estimated_cost_usd=cost,
            billed=call.paid and not (call.is_guard and cost is None),
            security_score=judged.score,
            security_findings=judged.findings,
            action=judged.action,
            reason=judged.reason,
            coverage=judged.coverage,
            tags=tags_of(call, facts, capture, judged.reasons),
            events=events_of(call, capture),
            agent_actions=actions_of(call, texts, times, capture, hidden, used=used),
            agent=facts.text(names.AGENT),
            session=facts.text(names.SESSION),
            user=facts.text(names.USER),
            source="otlp",
            call_id=call_id,
        )


def _span_id(digits: str) -> str:
    """16 digits as the UUID that has 16 zeros before them."""
    return str(uuid.UUID(f"{digits:0>32}"))


def _sum(taken: int | None, given: int | None) -> int | None:
    if taken is None and given is None:
        return None
    return min((taken or 0) + (given or 0), COUNT_LIMIT)


def _first_token(facts: Facts) -> int | None:
    seconds = facts.amount(ours.RESPONSE_TIME_TO_FIRST_CHUNK)
    return None if seconds is None else min(round(seconds * 1000), COUNT_LIMIT)
