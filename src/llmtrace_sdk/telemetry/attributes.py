"""A finished record -> the attributes of its spans. Facts only: which span gets them is decided elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.telemetry import names
from llmtrace_sdk.telemetry.bounds import ITEMS_LIMIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.model import ActionName, CallRecord, Coverage, Decision, Finding, Phase

Facts = dict[str, Any]
"""Attribute names and values, not bounded yet; None stands for "not known"."""

# The enumerations of semantic-conventions-genai #427, so that a later mapping is a renaming.
_DECISIONS: Final[dict[ActionName, str]] = {"allow": "allow", "log": "audit", "flag": "warn", "redact": "modify"}
_VERDICTS: Final[dict[ActionName, str]] = {"allow": "allow", "log": "allow", "flag": "warn", "redact": "modify"}
_OPENAI: Final = frozenset({"openai", "azure.ai.openai"})
_OPENAI_APIS: Final = frozenset({"chat_completions", "responses"})
_CUT_SHORT: Final = frozenset({"closed", "abandoned", "cancelled", "error"})
_TAGS_LIMIT: Final = 16
_TAG_NAME_LIMIT: Final = 64


def decision_name(action: ActionName) -> str:
    """What was enforced: allow, audit, warn, modify or block."""
    return _DECISIONS.get(action, "block")


def verdict_name(action: ActionName) -> str:
    """What the policy asked for: allow, warn, modify or deny."""
    return _VERDICTS.get(action, "deny")


def of_request(record: CallRecord) -> Facts:
    """The `gen_ai.*` facts of the request beyond those given at the span's start."""
    settings, openai = record.prompt.settings, record.provider in _OPENAI
    embeddings = record.operation == "embeddings"
    return {
        names.REQUEST_STREAM: True if record.streamed or record.prompt.stream else None,
        names.OUTPUT_TYPE: settings.output_type,
        names.REQUEST_MAX_TOKENS: settings.max_tokens,
        names.REQUEST_TEMPERATURE: settings.temperature,
        names.REQUEST_TOP_P: settings.top_p,
        names.REQUEST_TOP_K: settings.top_k,
        names.REQUEST_FREQUENCY_PENALTY: settings.frequency_penalty,
        names.REQUEST_PRESENCE_PENALTY: settings.presence_penalty,
        names.REQUEST_SEED: settings.seed,
        names.REQUEST_STOP_SEQUENCES: settings.stop_sequences,
        names.REQUEST_CHOICE_COUNT: settings.choice_count if settings.choice_count != 1 else None,
        names.REQUEST_REASONING_LEVEL: settings.reasoning_level,
        names.REQUEST_PREVIOUS_RESPONSE_ID: settings.previous_response_id,
        names.CONVERSATION_ID: settings.conversation_id,
        names.REQUEST_ENCODING_FORMATS: settings.encoding_formats,
        names.EMBEDDINGS_DIMENSION_COUNT: settings.dimensions if embeddings else None,
        names.OPENAI_API_TYPE: record.api if openai and record.api in _OPENAI_APIS else None,
        names.OPENAI_REQUEST_SERVICE_TIER: settings.service_tier if openai else None,
        names.AGENT_NAME: record.labels.agent,
    }


def of_response(record: CallRecord) -> Facts:
    """The `gen_ai.*`, HTTP and error facts of the answer."""
    answer, usage = record.answer, record.answer.usage
    return {
        names.RESPONSE_ID: answer.response_id,
        names.RESPONSE_MODEL: answer.model,
        names.RESPONSE_FINISH_REASONS: finish_reasons(record),
        names.RESPONSE_TIME_TO_FIRST_CHUNK: time_to_first_chunk(record),
        names.USAGE_INPUT_TOKENS: usage.input_tokens,
        names.USAGE_OUTPUT_TOKENS: usage.output_tokens,
        names.USAGE_CACHE_READ_TOKENS: usage.cache_read_tokens,
        names.USAGE_CACHE_WRITE_TOKENS: usage.cache_write_tokens,
        names.USAGE_REASONING_TOKENS: usage.reasoning_tokens,
        names.OPENAI_RESPONSE_SERVICE_TIER: answer.service_tier if record.provider in _OPENAI else None,
        names.HTTP_STATUS: record.status,
        names.HTTP_RESEND_COUNT: record.attempt or None,
        names.ERROR_TYPE: error_type(record),
    }


def of_decision(decision: Decision, coverage: Coverage) -> Facts:
    """What was decided and how much was looked at: what the host's own thread knows before the call has ended."""
    acted = decision.action not in ("allow", "log")
    partial = coverage.state != "scanned"
    return {
        names.RECORD_ID: decision.id,
        names.DECISION: decision_name(decision.action),
        names.VERDICT: verdict_name(decision.verdict) if decision.verdict != decision.action else None,
        names.DECISION_PHASE: decision.phase if acted else None,
        names.DECISION_REASON: decision.reason if acted else None,
        names.SHADOWED: verdict_name(decision.shadowed) if decision.shadowed != "allow" else None,
        names.CONTENT_MODIFIED: True if decision.action == "redact" else None,
        names.GUARD_DEGRADED: True if decision.degraded else None,
        names.SCAN_SKIPPED_REASON: coverage.reasons[0] if partial and coverage.reasons else None,
        names.SCAN_TRUNCATED: True if any(r.endswith("_limit") for r in coverage.reasons) else None,
        names.COVERAGE_ROW: coverage.row or None,
    }


def of_findings(findings: Sequence[Finding], dropped: int = 0) -> Facts:
    """The sum of the findings; empty without any. `dropped` is how many of them get no event."""
    if not findings:
        return {}
    return {
        names.FINDINGS_COUNT: len(findings),
        names.FINDINGS_MAX_SEVERITY: max(f.severity for f in findings).label,
        names.FINDINGS_CATEGORIES: sorted({f.category or f.type for f in findings})[:ITEMS_LIMIT],
        names.FINDINGS_DROPPED: dropped or None,
    }


def of_call(record: CallRecord) -> Facts:
    """The `llmtrace.*` facts that only the finished record holds, and what the application said about the call."""
    labels = record.labels
    facts: Facts = {
        names.UPSTREAM_CALLED: None if record.upstream_called else False,
        names.STREAM_END: record.stream_end if record.streamed else None,
        names.STREAM_CHUNKS: record.chunks if record.streamed else None,
        names.GUARD_DURATION: record.timings.added / 1e9,
        names.PROMPT_BLOBS: record.prompt.blobs or None,
        names.REDACTIONS_COUNT: record.changes or None,
        names.COST_USD: record.cost_usd,
        names.COST_SOURCE: record.cost_source or None,
        names.USAGE_ESTIMATED: True if record.usage_estimated else None,
        names.BUDGET_WARNINGS: [f"{each.scope}.{each.window}" for each in record.warnings][:ITEMS_LIMIT] or None,
        names.ACTIONS: [f"{each.name}:{each.status}" for each in record.actions][:ITEMS_LIMIT] or None,
        names.TENANT_ID: labels.tenant,
        names.ENDUSER_ID: labels.user,
        names.SESSION_ID: labels.session,
    }
    for key, value in labels.tags[:_TAGS_LIMIT]:
        facts[names.TAG_PREFIX + key[:_TAG_NAME_LIMIT]] = value
    return facts


def of_guard(record: CallRecord, phase: Phase) -> Facts:
    """What one phase's guard span says about that phase."""
    decided = record.decision.phase == phase
    return {
        names.GUARD_PHASE: phase,
        names.GUARD_DETECTORS: record.detectors,
        names.GUARD_VERDICT: verdict_name(record.decision.verdict) if decided else "allow",
        names.GUARD_DEGRADED: True if record.decision.degraded else None,
    }


def error_type(record: CallRecord) -> str | None:
    """The value of `error.type`; None for a call that did not fail."""
    if record.error_type:
        return record.error_type
    return "_OTHER" if record.outcome in ("upstream_error", "client_error") else None


def finish_reasons(record: CallRecord) -> tuple[str, ...]:
    """One per choice; `error` stands for a choice whose end never came, `content_filter` for one that we refused."""
    reasons = record.answer.finish_reasons
    if record.operation == "embeddings":
        return ()
    if record.outcome == "blocked":
        return reasons if error_type(record) else ("content_filter",)
    answered = record.status is not None and record.status < 400
    if record.stream_end not in _CUT_SHORT or not answered:
        return reasons
    missing = min(record.prompt.settings.choice_count or 1, ITEMS_LIMIT) - len(reasons)
    return reasons + ("error",) * missing


def time_to_first_chunk(record: CallRecord) -> float | None:
    """In seconds; None for answers that were not streamed."""
    if not record.streamed or record.first_chunk_ns is None:
        return None
    return max(record.first_chunk_ns - record.started_ns, 0) / 1e9
