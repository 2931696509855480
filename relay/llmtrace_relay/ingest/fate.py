"""How a reported call went: its outcome, its error, its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from msgspec import Struct

from llmtrace_relay.ingest import names
from llmtrace_relay.spans import OPERATIONS
from llmtrace_sdk.core.model import Answer, Outcome, Prompt, Settings, StreamEnd, Usage
from llmtrace_sdk.core.outcome import OTHER_ERROR, outcome
from llmtrace_sdk.core.sentences import plain
from llmtrace_sdk.telemetry import names as ours

if TYPE_CHECKING:
    from llmtrace_relay.ingest.calls import Call
    from llmtrace_relay.ingest.capturing import Capture
    from llmtrace_relay.ingest.facts import Facts
    from llmtrace_sdk.core.effects import Pipeline

ERROR_LIMIT: Final = 1024
_ENDS: Final = frozenset(get_args(StreamEnd))


class Fate(Struct, frozen=True):
    """How a call went. `status` is HTTP's, `error` the error in words."""

    outcome: Outcome
    status: int | None
    error: str | None


def fate_of(call: Call, facts: Facts, capture: Capture) -> Fate:
    """How a call went."""
    status = facts.count(names.HTTP_STATUS)
    if status is not None and not 100 <= status <= 599:
        status = None
    told = None if call.is_guard else facts.text(ours.ERROR_TYPE) or (OTHER_ERROR if call.span.failed else None)
    return Fate(outcome(_end(facts), status, told), status, _error(call, facts, told, capture))


def operation_of(call: Call, facts: Facts) -> str:
    """The operation, named as those of the relay's own calls are; the span's name where none is told."""
    told = facts.text(ours.OPERATION)
    if told is None:
        return call.span.name or "unknown"
    name = OPERATIONS.get(told, told)
    return f"{name}_stream" if facts.says(ours.REQUEST_STREAM) else name


def provider_of(facts: Facts) -> str:
    """The vendor, as the conventions of today call it."""
    name = (facts.text(names.PROVIDER) or "").strip().lower()
    return names.PROVIDERS.get(name, name)


def usage_of(facts: Facts) -> Usage:
    """The tokens of a call, as far as they were told."""
    return Usage(
        facts.count(names.INPUT_TOKENS),
        facts.count(names.OUTPUT_TOKENS),
        facts.count(ours.USAGE_CACHE_READ_TOKENS),
        facts.count(names.CACHE_WRITE_TOKENS),
        facts.count(ours.USAGE_REASONING_TOKENS),
    )


def cost_of(call: Call, facts: Facts, usage: Usage, pipeline: Pipeline) -> float | None:
    """US dollars, as they were told, or else at the pipeline's prices; None where usage or price is unknown."""
    told = facts.amount(ours.COST_USD)
    if told is not None:
        return told
    asked = Prompt(
        model=facts.text(ours.REQUEST_MODEL),
        settings=Settings(service_tier=facts.text(ours.OPENAI_REQUEST_SERVICE_TIER)),
    )
    answer = Answer(model=facts.text(ours.RESPONSE_MODEL), service_tier=facts.text(ours.OPENAI_RESPONSE_SERVICE_TIER))
    return pipeline.bill(provider_of(facts), asked, answer, usage, call.span.start_ns / 1e9).usd


def _end(facts: Facts) -> Any:
    if facts.text(ours.DECISION) == "block":
        return "blocked"
    end = facts.text(ours.STREAM_END)
    return end if end in _ENDS else "complete"


def _error(call: Call, facts: Facts, told: str | None, capture: Capture) -> str | None:
    """The words of an error may quote what was asked for, so they are kept as texts are; its type always is."""
    if facts.text(ours.DECISION) == "block":
        return f"blocked: {plain(facts.text(ours.DECISION_REASON) or '')}"
    if told is None:
        return None
    words = capture.plain(call.span.message, "output", ERROR_LIMIT) if call.span.message else ""
    return words or capture.masked(told, ERROR_LIMIT)
