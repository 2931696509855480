"""Answers that are no records of the store."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from llmtrace_relay.model import ActionType, Role


class Me(Struct, frozen=True):
    """Who asks. `everywhere`: all tenants are the caller's to see; `key_id` None: it came without a key of its own."""

    tenant_id: str | None
    role: Role
    actor: str
    key_id: str | None
    everywhere: bool


class Deleted(Struct, frozen=True):
    """How many traces were deleted."""

    deleted: int


class ActionAdded(Struct, frozen=True):
    """What an agent did was added to a trace."""

    action_id: str
    trace_id: str
    status: Literal["ok"] = "ok"


class TopAction(Struct, frozen=True):
    """How often agents did something."""

    name: str
    action_type: ActionType
    count: int


class ActionSummary(Struct, frozen=True):
    """What agents did, by type and by name."""

    total_spans: int
    spans_with_tool_calls: int
    spans_with_web_access: int
    spans_with_commands: int
    action_counts: dict[str, int]
    top_actions: list[TopAction]


class SpendWindow(Struct, frozen=True, kw_only=True):
    """One budget in the period under way. `scope`: whose sum it is (tenant, agent, model, user, session).

    What is None is not limited, or not counted: `current_tokens` where only dollars are limited, and the other way.
    """

    window: str
    scope: str
    current_spend_usd: float | None = None
    hard_limit_usd: float | None = None
    soft_limit_usd: float | None = None
    utilization_pct: float | None = None
    current_tokens: int | None = None
    hard_limit_tokens: int | None = None
    soft_limit_tokens: int | None = None
    utilization_tokens_pct: float | None = None
    resets_in_secs: int


class SpendSnapshot(Struct, frozen=True):
    """What is spent and reserved. `agent_id` is `_default` where none was asked for."""

    tenant_id: str
    agent_id: str
    windows: list[SpendWindow]


class LiveConfig(Struct, frozen=True):
    """The settings in force, without secrets, and the hash of the policy among them."""

    config: dict[str, Any]
    policy: str


class Policy(Struct, frozen=True):
    """What decides about calls, for processes that follow it; `version` changes with it. `state_url`: their state."""

    version: int
    policy: dict[str, Any]
    state_url: str | None


class ErrorBody(Struct, frozen=True):
    """What went wrong, and the next step."""

    message: str
    type: Literal["api_error", "auth_error", "proxy_error"]


class Error(Struct, frozen=True):
    """The answer where something went wrong."""

    error: ErrorBody


ALL: tuple[type[Struct], ...] = (Me, Deleted, ActionAdded, ActionSummary, SpendSnapshot, LiveConfig, Policy, Error)
