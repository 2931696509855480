"""What the relay keeps, and how it is told: plain records with the field names of LLMTrace's REST API.

Times are microseconds since the Unix epoch in the records and RFC 3339 in UTC in JSON (`wire.py` turns one into the
other). Ids of traces, spans and tenants are UUIDs as text: an OpenTelemetry trace id of 32 digits is one; a span id of
16 digits is one whose first 16 digits are zeros.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct, field

SEVERITIES: Final = ("Info", "Low", "Medium", "High", "Critical")
"""In rising order; the position is what databases sort by."""

Role = Literal["viewer", "operator", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "admin")
"""In rising order: a role may do what those before it may."""

ActionType = Literal["tool_call", "skill_invocation", "command_execution", "web_access", "file_access"]


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """A security finding, without what it matched."""

    id: str
    severity: str
    finding_type: str
    description: str
    detected_at: int
    confidence_score: float
    location: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    requires_alert: bool = False


class SpanEvent(Struct, frozen=True, kw_only=True):
    """Something that happened at a time within a span."""

    id: str
    timestamp: int
    event_type: str
    description: str
    data: dict[str, Any] = field(default_factory=dict)


class AgentAction(Struct, frozen=True, kw_only=True):
    """Something an agent did, or a model asked for."""

    id: str
    action_type: ActionType
    name: str
    timestamp: int
    arguments: str | None = None
    result: str | None = None
    duration_ms: int | None = None
    success: bool = True
    exit_code: int | None = None
    http_method: str | None = None
    http_status: int | None = None
    file_operation: Literal["read", "write", "delete"] | None = None
    metadata: dict[str, str] = field(default_factory=dict)


class Span(Struct, frozen=True, kw_only=True):
    """One call, or one span that another program reported.

    `outcome`, `action`, `reason` and `coverage` are those of the call's record; `agent`, `session`, `user` its labels.
    `source`: `relay`, or `otlp` for what was reported. `call_id` tells the call when the relay and an instrumented
    process both saw it. `estimated_cost_usd` counts once per call: `billed` is false where somebody else's span has it.
    """

    trace_id: str
    span_id: str
    tenant_id: str
    operation_name: str
    start_time: int
    parent_span_id: str | None = None
    end_time: int | None = None
    provider: str = ""
    model_name: str = ""
    prompt: str = ""
    response: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    time_to_first_token_ms: int | None = None
    duration_ms: int | None = None
    status_code: int | None = None
    error_message: str | None = None
    estimated_cost_usd: float | None = None
    security_score: int | None = None
    security_findings: tuple[Finding, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    events: tuple[SpanEvent, ...] = ()
    agent_actions: tuple[AgentAction, ...] = ()
    outcome: str = ""
    action: str = "allow"
    reason: str = ""
    coverage: str = ""
    agent: str | None = None
    session: str | None = None
    user: str | None = None
    source: Literal["relay", "otlp"] = "relay"
    call_id: str | None = None
    billed: bool = True


class Trace(Struct, frozen=True, kw_only=True):
    """All spans of a trace, in the order in which they began."""

    trace_id: str
    tenant_id: str
    spans: tuple[Span, ...]
    created_at: int


class Tenant(Struct, frozen=True, kw_only=True):
    """A customer of the relay. Nothing is kept of its token but a hash, which is no part of this."""

    id: str
    name: str
    plan: str = "default"
    created_at: int
    config: dict[str, Any] = field(default_factory=dict)


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key to the relay. The key itself is told once; what is kept is its hash, which is no part of this.

    `tenant_id` None: a key of the relay's operator, for all tenants (super-admin).
    """

    id: str
    tenant_id: str | None
    name: str
    key_prefix: str
    role: Role
    created_at: int
    expires_at: int | None = None
    last_used_at: int | None = None
    revoked_at: int | None = None


class AuditEvent(Struct, frozen=True, kw_only=True):
    """Who changed what. `tenant_id` None: it concerns the relay as a whole."""

    id: str
    tenant_id: str | None
    event_type: str
    actor: str
    resource: str
    timestamp: int
    data: dict[str, Any] = field(default_factory=dict)


class Report(Struct, frozen=True, kw_only=True):
    """A compliance report, under way or done."""

    id: str
    tenant_id: str
    report_type: Literal["soc2", "gdpr", "hipaa"]
    status: Literal["pending", "completed", "failed"]
    period_start: int
    period_end: int
    created_at: int
    completed_at: int | None = None
    content: dict[str, Any] | None = None
    error: str | None = None
