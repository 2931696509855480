"""Spans and the like for the tests of the store."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

from llmtrace_relay.model import AgentAction, ApiKey, AuditEvent, Finding, Report, Span, Tenant

TENANT = str(uuid.UUID(int=1))
OTHER = str(uuid.UUID(int=2))
BEGIN = 1_750_000_000_000_000
SECOND = 1_000_000

_numbers = itertools.count(1)


def identity() -> str:
    return str(uuid.UUID(int=next(_numbers) << 64))


def span(**given: Any) -> Span:
    """A span, one second later than the one before unless it says when."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "trace_id": identity(),
        "span_id": str(uuid.UUID(int=number)),
        "tenant_id": TENANT,
        "operation_name": "chat_completion",
        "start_time": BEGIN + number * SECOND,
        "outcome": "complete",
        "coverage": "scanned",
    }
    return Span(**(values | given))


def finding(**given: Any) -> Finding:
    values: dict[str, Any] = {
        "id": identity(),
        "severity": "High",
        "finding_type": "prompt_injection",
        "description": "Instructions that are not the user's",
        "detected_at": BEGIN + next(_numbers) * SECOND,
        "confidence_score": 0.9,
    }
    return Finding(**(values | given))


def action(**given: Any) -> AgentAction:
    values: dict[str, Any] = {
        "id": identity(),
        "action_type": "tool_call",
        "name": "look_up",
        "timestamp": BEGIN + next(_numbers) * SECOND,
    }
    return AgentAction(**(values | given))


def tenant(**given: Any) -> Tenant:
    values: dict[str, Any] = {"id": identity(), "name": "Somebody", "created_at": BEGIN + next(_numbers)}
    return Tenant(**(values | given))


def api_key(**given: Any) -> ApiKey:
    values: dict[str, Any] = {
        "id": identity(),
        "tenant_id": TENANT,
        "name": "key",
        "key_prefix": "llmt_0123456",
        "role": "viewer",
        "created_at": BEGIN + next(_numbers),
    }
    return ApiKey(**(values | given))


def audit_event(**given: Any) -> AuditEvent:
    values: dict[str, Any] = {
        "id": identity(),
        "tenant_id": TENANT,
        "event_type": "tenant_created",
        "actor": "api",
        "resource": "tenant:1",
        "timestamp": BEGIN + next(_numbers),
    }
    return AuditEvent(**(values | given))


def report(**given: Any) -> Report:
    values: dict[str, Any] = {
        "id": identity(),
        "tenant_id": TENANT,
        "report_type": "soc2",
        "status": "pending",
        "period_start": BEGIN,
        "period_end": BEGIN + 1,
        "created_at": BEGIN + next(_numbers),
    }
    return Report(**(values | given))
