"""The tables. What a call was is in four: its trace, its span in narrow rows that sums and filters run over, its texts
beside that, and its findings and actions. A trace takes all of them with it when it is deleted.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    func,
    literal_column,
    text,
)

from llmtrace_relay.store.sql.types import Count, Json, Moment, Real, Word, Words

metadata: Final = MetaData()

Id: Final = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows by itself only where it says INTEGER


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _given(name: str, column: str, *more: str, unique: bool = False) -> Index:
    """An index of the spans of a tenant that have something, which most do not."""
    there = text(f"{column} IS NOT NULL")
    return Index(name, "tenant_id", column, *more, unique=unique, sqlite_where=there, postgresql_where=there)


traces: Final = Table(
    "traces",
    metadata,
    Column("id", Id, primary_key=True),
    _required("tenant_id", Word),
    _required("trace_id", Word),
    _required("started", Moment),  # the earliest beginning of its spans
    Index("traces_by_id", "trace_id", "tenant_id", unique=True),
    Index("traces_by_tenant", "tenant_id", "started"),
    Index("traces_by_time", "started"),
)

spans: Final = Table(
    "spans",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trace", Id, ForeignKey("traces.id", ondelete="CASCADE"), nullable=False),
    _required("tenant_id", Word),  # as in its trace, for the indexes
    _required("span_id", Word),
    Column("parent_span_id", Word),
    _required("operation_name", Word),
    _required("start_time", Moment),
    Column("end_time", Moment),
    _required("provider", Word),
    _required("model_name", Word),
    Column("prompt_tokens", Count),
    Column("completion_tokens", Count),
    Column("total_tokens", Count),
    Column("time_to_first_token_ms", Count),
    Column("duration_ms", Count),
    Column("status_code", Count),
    Column("estimated_cost_usd", Real),
    Column("security_score", Count),
    _required("finding_count", Integer),
    _required("outcome", Word),
    _required("action", Word),
    _required("coverage", Word),
    Column("agent", Word),
    Column("session", Word),
    Column("user_name", Word),
    _required("source", Word),
    Column("call_id", Word),
    _required("billed", Boolean),
    Column("bill", Word),  # the call that this span alone is billed for
    _required("size", Count),  # bytes that the span takes, about
    Index("spans_by_trace", "trace", "span_id", unique=True),
    Index("spans_by_id", "span_id", "tenant_id"),
    Index("spans_by_time", "start_time"),
    Index("spans_by_tenant", "tenant_id", "start_time"),
    Index("spans_by_model", "tenant_id", "model_name", "start_time"),
    _given("spans_by_agent", "agent", "start_time"),
    _given("spans_by_session", "session", "start_time"),
    _given("spans_by_user", "user_name", "start_time"),
    _given("spans_by_bill", "bill", unique=True),
)
# as the order of `filters.ranked` says it, or no database would use it
Index(
    "spans_by_score", spans.c.tenant_id, func.coalesce(spans.c.security_score, literal_column("-1")), spans.c.start_time
)

texts: Final = Table(
    "span_texts",
    metadata,
    Column("span", Id, ForeignKey("spans.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    _required("prompt", Words),
    Column("response", Words),
    Column("error_message", Words),
    _required("reason", Words),
    Column("tags", Json),
    Column("events", Json),
)

findings: Final = Table(
    "findings",
    metadata,
    Column("id", Id, primary_key=True),
    Column("span", Id, ForeignKey("spans.id", ondelete="CASCADE"), nullable=False),
    _required("tenant_id", Word),
    _required("finding_id", Word),
    _required("severity", SmallInteger),
    _required("finding_type", Word),
    _required("description", Words),
    _required("detected_at", Moment),
    _required("confidence_score", Real),
    Column("location", Words),
    Column("metadata", Json),
    _required("requires_alert", Boolean),
    Index("findings_by_span", "span"),
    Index("findings_by_time", "detected_at"),
    Index("findings_by_tenant", "tenant_id", "detected_at"),
    Index("findings_by_type", "tenant_id", "finding_type", "detected_at"),
    Index("findings_by_severity", "tenant_id", "severity", "detected_at"),
)

actions: Final = Table(
    "agent_actions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("span", Id, ForeignKey("spans.id", ondelete="CASCADE"), nullable=False),
    _required("added", Boolean),  # by `add_action`: stays when the span is put again
    _required("action_id", Word),
    _required("action_type", Word),
    _required("name", Word),
    _required("timestamp", Moment),
    Column("arguments", Words),
    Column("result", Words),
    Column("duration_ms", Count),
    _required("success", Boolean),
    Column("exit_code", Count),
    Column("http_method", Word),
    Column("http_status", Count),
    Column("file_operation", Word),
    Column("metadata", Json),
    Index("agent_actions_by_span", "span"),
)

tenants: Final = Table(
    "tenants",
    metadata,
    Column("id", Word, primary_key=True),
    _required("name", Words),
    _required("plan", Words),
    _required("created_at", Moment),
    _required("config", Json),
    Column("token_hash", Word),
    Index("tenants_by_token", "token_hash", unique=True),
    Index("tenants_by_age", "created_at", "id"),
)

keys: Final = Table(
    "api_keys",
    metadata,
    Column("id", Word, primary_key=True),
    Column("tenant_id", Word),
    _required("name", Words),
    _required("key_prefix", Words),
    _required("key_hash", Word),
    _required("role", Word),
    _required("created_at", Moment),
    Column("expires_at", Moment),
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
    Index("api_keys_by_hash", "key_hash", unique=True),
    Index("api_keys_by_tenant", "tenant_id", "created_at"),
)

audit_events: Final = Table(
    "audit_events",
    metadata,
    Column("id", Word, primary_key=True),
    Column("tenant_id", Word),
    _required("event_type", Word),
    _required("actor", Words),
    _required("resource", Words),
    _required("timestamp", Moment),
    _required("data", Json),
    Index("audit_events_by_time", "timestamp"),
    Index("audit_events_by_tenant", "tenant_id", "timestamp"),
)

reports: Final = Table(
    "reports",
    metadata,
    Column("id", Word, primary_key=True),
    _required("tenant_id", Word),
    _required("report_type", Word),
    _required("status", Word),
    _required("period_start", Moment),
    _required("period_end", Moment),
    _required("created_at", Moment),
    Column("completed_at", Moment),
    Column("content", Json),
    Column("error", Words),
    Index("reports_by_tenant", "tenant_id", "created_at"),
)

flags: Final = Table("flags", metadata, Column("name", Word, primary_key=True), _required("value", Json))

leases: Final = Table(
    "leases",
    metadata,
    Column("name", Word, primary_key=True),
    _required("holder", Word),
    _required("until", Moment),
)
