"""The record of a call -> the span that is kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmtrace_relay.callers import UNKNOWN_TENANT, uuid_of
from llmtrace_relay.findings import kept
from llmtrace_relay.metric_labels import status_told
from llmtrace_relay.model import AgentAction, Span
from llmtrace_relay.texts import Texts
from llmtrace_sdk.core.score import score_of

if TYPE_CHECKING:
    from llmtrace_sdk.config.relay import StorageOptions
    from llmtrace_sdk.core.model import CallRecord, Segment

OPERATIONS: Final = {"chat": "chat_completion", "generate_content": "chat_completion", "text_completion": "completion"}
_ARGUMENTS_BYTES: Final = 4_096
_TAGS_LIMIT: Final = 32
_NAME_LIMIT: Final = 256


def span_of(record: CallRecord, options: StorageOptions) -> Span:
    """The span of a call, with its texts in the form that the options ask for."""
    labels, usage = record.labels, record.answer.usage
    texts = Texts(record, options.capture, options.max_text_bytes)
    total = None if usage.input_tokens is None and usage.output_tokens is None else _sum(usage)
    started, ended = record.started_ns // 1000, record.ended_ns // 1000
    return Span(
        trace_id=uuid_of(labels.trace) if labels.trace else record.id,
        span_id=record.id,
        tenant_id=labels.tenant or UNKNOWN_TENANT,
        parent_span_id=uuid_of(labels.parent) if labels.parent else None,
        operation_name=_operation(record),
        start_time=started,
        end_time=ended,
        provider=record.provider,
        model_name=_clean(record.prompt.model or record.answer.model or ""),
        prompt=texts.prompt(),
        response=texts.response(),
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=total,
        time_to_first_token_ms=_first_token_ms(record),
        duration_ms=max(ended - started, 0) // 1000,
        status_code=status_told(record),
        error_message=_error(record),
        estimated_cost_usd=record.cost_usd,
        security_score=score_of(record.findings),
        security_findings=tuple(kept(finding, record.id, ended) for finding in record.findings),
        tags=_tags(record),
        agent_actions=_actions(record, texts, ended),
        outcome=record.outcome,
        action=record.decision.action,
        reason=record.decision.reason,
        coverage=record.coverage.state,
        agent=labels.agent,
        session=labels.session,
        user=labels.user,
        call_id=labels.call or record.id,
    )


def _operation(record: CallRecord) -> str:
    """As LLMTrace's proxy names them; streams have a name of their own."""
    name = OPERATIONS.get(record.operation, record.operation or "unknown")
    return f"{name}_stream" if record.streamed or record.prompt.stream else name


def _sum(usage: object) -> int:
    return (getattr(usage, "input_tokens") or 0) + (getattr(usage, "output_tokens") or 0)  # noqa: B009


def _first_token_ms(record: CallRecord) -> int | None:
    if not record.streamed or record.first_chunk_ns is None:
        return None
    return max(record.first_chunk_ns - record.started_ns, 0) // 1_000_000


def _error(record: CallRecord) -> str | None:
    if record.outcome == "blocked":
        return f"blocked: {record.decision.reason}"
    if record.outcome in ("upstream_error", "client_error"):
        return _clean(record.error_type or record.outcome)
    return None


def _tags(record: CallRecord) -> dict[str, str]:
    own = {
        "api": record.api,
        "host": record.address,
        "path": record.path,
        "coverage": ",".join(record.coverage.reasons),
        "finish_reason": ",".join(record.answer.finish_reasons),
        "warnings": ",".join(f"{warning.scope}.{warning.window}" for warning in record.warnings),
        "actions": ",".join(f"{action.name}:{action.status}" for action in record.actions),
        "cost_source": record.cost_source,
        "usage": "estimated" if record.usage_estimated else "",
        "attempt": str(record.attempt) if record.attempt else "",
    }
    given = {_clean(key): _clean(value) for key, value in record.labels.tags[:_TAGS_LIMIT]}
    return given | {key: _clean(value) for key, value in own.items() if value}


def _actions(record: CallRecord, texts: Texts, at_us: int) -> tuple[AgentAction, ...]:
    """The tools that the model asked for."""
    if record.content is None:
        return ()
    calls = [segment for segment in record.content.output if segment.kind == "tool_call"]
    return tuple(_action(record, texts, segment, number, at_us) for number, segment in enumerate(calls[:128]))


def _action(record: CallRecord, texts: Texts, segment: Segment, number: int, at_us: int) -> AgentAction:
    arguments = texts.shown(segment, "output")
    return AgentAction(
        id=f"{record.id[:-4]}{number:04x}",
        action_type="tool_call",
        name=_clean(segment.name or "unknown"),
        timestamp=at_us,
        arguments=arguments.encode()[:_ARGUMENTS_BYTES].decode("utf-8", "ignore") if arguments is not None else None,
    )


def _clean(text: str) -> str:
    return text[:_NAME_LIMIT].encode("utf-8", "replace").decode().replace("\0", "")
