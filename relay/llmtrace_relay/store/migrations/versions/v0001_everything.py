"""All tables, as the first version has them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TEXT = sa.Text()
BIG = sa.BigInteger()
REAL: Any = sa.Double()
FLAG = sa.Boolean()
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make them."""
    _traces()
    _spans()
    _texts()
    _findings()
    _actions()
    _tenants_and_keys()
    _audit_and_reports()
    _flags_and_leases()


def _traces() -> None:
    op.create_table("traces", _key("id", ID), _must("tenant_id"), _must("trace_id"), _must("started", BIG))
    op.create_index("traces_by_id", "traces", ["trace_id", "tenant_id"], unique=True)
    op.create_index("traces_by_tenant", "traces", ["tenant_id", "started"])
    op.create_index("traces_by_time", "traces", ["started"])


def _spans() -> None:
    counts = "prompt_tokens completion_tokens total_tokens time_to_first_token_ms duration_ms status_code".split()
    op.create_table(
        "spans",
        _key("id", ID),
        _must("trace", ID),
        *(_must(name) for name in "tenant_id span_id operation_name provider model_name".split()),
        *(_must(name) for name in "outcome action coverage source".split()),
        *(_may(name) for name in "parent_span_id agent session user_name call_id bill".split()),
        _must("start_time", BIG),
        _may("end_time", BIG),
        *(_may(name, BIG) for name in counts),
        _may("estimated_cost_usd", REAL),
        _may("security_score", BIG),
        _must("finding_count", sa.Integer()),
        _must("billed", FLAG),
        _must("size", BIG),
        sa.ForeignKeyConstraint(["trace"], ["traces.id"], ondelete="CASCADE"),
    )
    op.create_index("spans_by_trace", "spans", ["trace", "span_id"], unique=True)
    op.create_index("spans_by_id", "spans", ["span_id", "tenant_id"])
    op.create_index("spans_by_time", "spans", ["start_time"])
    op.create_index("spans_by_tenant", "spans", ["tenant_id", "start_time"])
    op.create_index("spans_by_model", "spans", ["tenant_id", "model_name", "start_time"])
    for name, column in (("agent", "agent"), ("session", "session"), ("user", "user_name")):
        _index_given(f"spans_by_{name}", [column, "start_time"])
    _index_given("spans_by_bill", ["bill"], unique=True)
    op.create_index("spans_by_score", "spans", ["tenant_id", sa.text("coalesce(security_score, -1)"), "start_time"])


def _texts() -> None:
    op.create_table(
        "span_texts",
        _key("span", ID, autoincrement=False),
        _must("prompt"),
        _must("reason"),
        *(_may(name) for name in "response error_message tags events".split()),
        sa.ForeignKeyConstraint(["span"], ["spans.id"], ondelete="CASCADE"),
    )


def _findings() -> None:
    op.create_table(
        "findings",
        _key("id", ID),
        _must("span", ID),
        *(_must(name) for name in "tenant_id finding_id finding_type description".split()),
        _must("severity", sa.SmallInteger()),
        _must("detected_at", BIG),
        _must("confidence_score", REAL),
        _may("location"),
        _may("metadata"),
        _must("requires_alert", FLAG),
        sa.ForeignKeyConstraint(["span"], ["spans.id"], ondelete="CASCADE"),
    )
    op.create_index("findings_by_span", "findings", ["span"])
    op.create_index("findings_by_time", "findings", ["detected_at"])
    op.create_index("findings_by_tenant", "findings", ["tenant_id", "detected_at"])
    op.create_index("findings_by_type", "findings", ["tenant_id", "finding_type", "detected_at"])
    op.create_index("findings_by_severity", "findings", ["tenant_id", "severity", "detected_at"])


def _actions() -> None:
    op.create_table(
        "agent_actions",
        _key("id", ID),
        _must("span", ID),
        _must("added", FLAG),
        *(_must(name) for name in "action_id action_type name".split()),
        _must("timestamp", BIG),
        _must("success", FLAG),
        *(_may(name) for name in "arguments result http_method file_operation metadata".split()),
        *(_may(name, BIG) for name in "duration_ms exit_code http_status".split()),
        sa.ForeignKeyConstraint(["span"], ["spans.id"], ondelete="CASCADE"),
    )
    op.create_index("agent_actions_by_span", "agent_actions", ["span"])


def _tenants_and_keys() -> None:
    words = (_must(name) for name in "name plan config".split())
    op.create_table("tenants", _key("id"), *words, _must("created_at", BIG), _may("token_hash"))
    op.create_index("tenants_by_token", "tenants", ["token_hash"], unique=True)
    op.create_index("tenants_by_age", "tenants", ["created_at", "id"])
    op.create_table(
        "api_keys",
        _key("id"),
        _may("tenant_id"),
        *(_must(name) for name in "name key_prefix key_hash role".split()),
        _must("created_at", BIG),
        *(_may(name, BIG) for name in "expires_at last_used_at revoked_at".split()),
    )
    op.create_index("api_keys_by_hash", "api_keys", ["key_hash"], unique=True)
    op.create_index("api_keys_by_tenant", "api_keys", ["tenant_id", "created_at"])


def _audit_and_reports() -> None:
    words = (_must(name) for name in "event_type actor resource data".split())
    op.create_table("audit_events", _key("id"), _may("tenant_id"), *words, _must("timestamp", BIG))
    op.create_index("audit_events_by_time", "audit_events", ["timestamp"])
    op.create_index("audit_events_by_tenant", "audit_events", ["tenant_id", "timestamp"])
    op.create_table(
        "reports",
        _key("id"),
        *(_must(name) for name in "tenant_id report_type status".split()),
        *(_must(name, BIG) for name in "period_start period_end created_at".split()),
        _may("completed_at", BIG),
        _may("content"),
        _may("error"),
    )
    op.create_index("reports_by_tenant", "reports", ["tenant_id", "created_at"])


def _flags_and_leases() -> None:
    op.create_table("flags", _key("name"), _must("value"))
    op.create_table("leases", _key("name"), _must("holder"), _must("until", BIG))


def _key(name: str, kind: Any = TEXT, *, autoincrement: Any = "auto") -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, nullable=False, autoincrement=autoincrement)


def _must(name: str, kind: Any = TEXT) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _may(name: str, kind: Any = TEXT) -> sa.Column[Any]:
    return sa.Column(name, kind)


def _index_given(name: str, columns: list[str], *, unique: bool = False) -> None:
    there = sa.text(f"{columns[0]} IS NOT NULL")
    op.create_index(name, "spans", ["tenant_id", *columns], unique=unique, sqlite_where=there, postgresql_where=there)
