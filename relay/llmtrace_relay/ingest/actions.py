"""The tools that a model asked for, and those that were used, as actions of an agent."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from llmtrace_relay.model import AgentAction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmtrace_relay.ingest.calls import Call
    from llmtrace_relay.ingest.capturing import Capture
    from llmtrace_relay.ingest.hiding import Hidden
    from llmtrace_relay.ingest.messages import Texts
    from llmtrace_relay.ingest.moments import Times
    from llmtrace_sdk.core.model import Phase

ACTIONS_LIMIT: Final = 64
ARGUMENTS_LIMIT: Final = 4096
"""Bytes, as in LLMTrace's proxy."""

_SPACE: Final = uuid.UUID("0f7f3e52-9d0c-5b7e-8a53-5f6ad1f0c3c2")


def actions_of(
    call: Call, texts: Texts, times: Times, capture: Capture, hidden: Mapping[Phase, Hidden], *, used: bool
) -> tuple[AgentAction, ...]:
    """At most `ACTIONS_LIMIT`, with the same ids each time. `used`: the span is the use of a tool."""
    place = f"{call.span.trace_id}{call.span.span_id}"
    result = _result(texts, capture, hidden["input"]) if used else None
    return tuple(
        AgentAction(
            id=str(uuid.uuid5(_SPACE, f"{place} {index}")),
            action_type="tool_call",
            name=asked.name,
            timestamp=times.start if used else times.last,
            arguments=capture.joined((("", asked.segment),), "output", hidden["output"], ARGUMENTS_LIMIT) or None,
            result=result,
            duration_ms=times.duration_ms if used else None,
            success=not (used and call.span.failed),
            metadata={"tool_call_id": asked.id} if asked.id else {},
        )
        for index, asked in enumerate(texts.output.calls[:ACTIONS_LIMIT])
    )


def _result(texts: Texts, capture: Capture, hidden: Hidden) -> str | None:
    told = [("", segment) for segment in texts.input.segments if segment.kind == "tool_result"]
    return capture.joined(told, "input", hidden, ARGUMENTS_LIMIT) or None
