"""Calls to put into a store."""

from __future__ import annotations

import uuid
from typing import Any

from llmtrace_relay.model import SEVERITIES, AgentAction, Finding, Span, SpanEvent
from tests.relay.api.serving import TENANT_A, TENANT_B

START_US = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
HOUR_US = 3_600_000_000
MARK = {TENANT_A: "marigold", TENANT_B: "bluebell"}
"""A word that only the texts of a tenant have."""


def trace_id(tenant: str, number: int) -> str:
    return str(uuid.uuid5(uuid.UUID(tenant), f"trace {number}"))


def span_id(tenant: str, number: int, part: int = 0) -> str:
    """One whose first 16 digits are zeros, as of OpenTelemetry."""
    digits = uuid.uuid5(uuid.UUID(tenant), f"span {number} {part}").hex[:16]
    return f"00000000-0000-0000-{digits[:4]}-{digits[4:]}"


def finding(tenant: str, number: int, kind: str, severity: str, confidence: float) -> Finding:
    return Finding(
        id=str(uuid.uuid5(uuid.UUID(tenant), f"finding {number} {kind}")),
        severity=severity,
        finding_type=kind,
        description="Somebody tries to change the instructions",
        detected_at=START_US + number * HOUR_US + 5,
        confidence_score=confidence,
        location="/messages/0/content",
        metadata={"rule": "r1"},
        requires_alert=severity in SEVERITIES[3:],
    )


def call(tenant: str, number: int, **values: Any) -> Span:
    """The call with a number: it began so many hours after `START_US`; many of its values follow from its number."""
    risky = number % 3 == 0
    start = START_US + number * HOUR_US
    given: dict[str, Any] = {
        "trace_id": trace_id(tenant, number),
        "span_id": span_id(tenant, number),
        "tenant_id": tenant,
        "operation_name": "chat_completion_stream" if number % 4 == 0 else "chat_completion",
        "start_time": start,
        "end_time": start + 1_500_000,
        "provider": "anthropic" if number % 2 else "openai",
        "model_name": "claude-sonnet-4" if number % 2 else "gpt-4o",
        "prompt": f"user: question {number} about the {MARK.get(tenant, 'tulip')}",
        "response": f"answer {number}",
        "prompt_tokens": 10 + number,
        "completion_tokens": 5,
        "total_tokens": 15 + number,
        "time_to_first_token_ms": 7,
        "duration_ms": 100 + number,
        "status_code": 200,
        "estimated_cost_usd": number / 100,
        "security_score": 40 + number if risky else None,
        "security_findings": _findings(tenant, number) if risky else (),
        "tags": {"env": "test"},
        "events": (
            SpanEvent(
                id=str(uuid.uuid4()), timestamp=start + 1, event_type="retry", description="again", data={"n": 1}
            ),
        ),
        "agent_actions": _actions(start) if number % 5 == 0 else (),
        "outcome": "blocked" if number % 6 == 0 else "complete",
        "action": "block" if number % 6 == 0 else "allow",
        "coverage": "scanned",
        "agent": f"agent-{number % 3}",
        "session": f"session/{number % 4}",
        "user": "ann" if number % 2 else "bob",
        "call_id": f"call-{tenant}-{number}",
    }
    return Span(**given | values)


def _findings(tenant: str, number: int) -> tuple[Finding, ...]:
    found = finding(tenant, number, "prompt_injection", "High", 0.9)
    return (found,) if number % 6 else (found, finding(tenant, number, "pii_detected", "Medium", 0.6))


def _actions(start: int) -> tuple[AgentAction, ...]:
    return (
        AgentAction(id=str(uuid.uuid4()), action_type="tool_call", name="get_weather", timestamp=start + 2),
        AgentAction(id=str(uuid.uuid4()), action_type="web_access", name="example.com", timestamp=start + 3),
    )


def calls(tenant: str, count: int) -> list[Span]:
    return [call(tenant, number) for number in range(count)]
