"""Where the relay keeps calls, tenants, keys, audit and reports: SQLite or PostgreSQL, behind these contracts.

All operations are synchronous and safe from any thread; whoever has an event loop runs them off it. Each raises
`StoreUnavailable` where the database does not answer, and nothing else that the database says. Filters, order and
pages are the database's work: nothing is loaded to be thrown away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from msgspec import Struct

from llmtrace_relay.model import Finding, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmtrace_relay.model import AgentAction, ApiKey, AuditEvent, Report, Span, Tenant, Trace

T = TypeVar("T")

SpanColumn = Literal["provider", "model_name", "operation_name", "status_code", "outcome", "action", "coverage"]
FindingColumn = Literal["finding_type", "severity"]


class StoreUnavailable(Exception):
    """The database did not answer; the message has no secrets of its URL. `refused`: it did, and will refuse the same
    values again.
    """

    def __init__(self, message: str = "the database does not answer", *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class Page(Struct, Generic[T], frozen=True):
    """Some of the rows that match, and how many match."""

    data: tuple[T, ...]
    total: int
    limit: int
    offset: int


class SpanQuery(Struct, frozen=True, kw_only=True):
    """Which spans, or traces with at least one such span. `tenant_id` None is all tenants; texts are matched exactly.

    Times are microseconds since the Unix epoch: from `start_time` on, before `end_time`. A span without a score
    matches no bound of scores. `search` is looked for in prompts and answers, in any letter case.
    """

    tenant_id: str | None
    start_time: int | None = None
    end_time: int | None = None
    trace_id: str | None = None
    provider: str | None = None
    model_name: str | None = None
    operation_name: str | None = None
    outcome: str | None = None
    agent: str | None = None
    session: str | None = None
    user: str | None = None
    min_security_score: int | None = None
    max_security_score: int | None = None
    min_cost_usd: float | None = None
    finding_type: str | None = None
    search: str | None = None
    order: Literal["newest", "oldest", "slowest", "dearest", "riskiest"] = "newest"
    limit: int = 50
    offset: int = 0


class FindingQuery(Struct, frozen=True, kw_only=True):
    """Which findings. `min_severity` is a position in `model.SEVERITIES`."""

    tenant_id: str | None
    start_time: int | None = None
    end_time: int | None = None
    finding_type: str | None = None
    min_severity: int | None = None
    min_confidence: float | None = None
    trace_id: str | None = None
    model_name: str | None = None
    agent: str | None = None
    limit: int = 50
    offset: int = 0


class FoundFinding(Struct, frozen=True):
    """A finding with the span that it is about."""

    finding: Finding
    tenant_id: str
    trace_id: str
    span_id: str
    model_name: str
    provider: str
    action: str


class Stats(Struct, frozen=True, kw_only=True):
    """How much is kept."""

    total_traces: int
    total_spans: int
    storage_size_bytes: int
    oldest_trace: int | None
    newest_trace: int | None


class Bucket(Struct, frozen=True, kw_only=True):
    """What happened in one piece of time, to one group."""

    start: int
    group: str
    spans: int
    errors: int
    blocked: int
    flagged: int
    findings: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    duration_ms_sum: int
    duration_ms_max: int


class Session(Struct, frozen=True, kw_only=True):
    """The calls of one session."""

    session: str
    tenant_id: str
    first: int
    last: int
    spans: int
    cost_usd: float
    total_tokens: int
    max_security_score: int | None


class Spans(Protocol):
    """What was called."""

    def put(self, spans: Sequence[Span], /) -> None:
        """Keep spans; one with the same tenant, trace and span id as an earlier one takes its place, and its
        `agent_actions` that were added by `add_action` stay. All or none of them.
        """

    def traces(self, query: SpanQuery, /) -> Page[Trace]:
        """Whole traces with a span that matches."""

    def trace(self, tenant_id: str | None, trace_id: str, /) -> Trace | None:
        """One trace."""

    def spans(self, query: SpanQuery, /) -> Page[Span]:
        """Spans that match."""

    def span(self, tenant_id: str | None, span_id: str, /) -> Span | None:
        """One span."""

    def each(self, query: SpanQuery, /) -> Iterator[Span]:
        """All spans that match, for an export, a batch at a time; `limit` and `offset` do not count."""

    def findings(self, query: FindingQuery, /) -> Page[FoundFinding]:
        """Findings that match, the newest first."""

    def series(
        self, query: SpanQuery, every_us: int, by: Literal["", "model", "provider", "agent", "outcome"], /
    ) -> list[Bucket]:
        """Sums over pieces of time of `every_us` microseconds, by group; at most 10,000, the latest."""

    def sessions(self, query: SpanQuery, /) -> Page[Session]:
        """Sessions with a span that matches, the latest first."""

    def add_action(self, tenant_id: str | None, trace_id: str, action: AgentAction, /) -> bool:
        """Add what an agent did to the first span of a trace; False where there is no such trace."""

    def actions(self, query: SpanQuery, /) -> dict[str, Any]:
        """`total_spans`, `spans_with_tool_calls`, `spans_with_web_access`, `spans_with_commands`, `action_counts`
        (by type) and `top_actions` (at most 20 of `name`, `action_type`, `count`).
        """

    def count_spans(self, query: SpanQuery, by: Sequence[SpanColumn], /) -> dict[tuple[str, ...], int]:
        """How many spans match, by the values of some columns as text, in their order; what is not known is empty. At
        most 1,000 combinations, those with the most; `limit` and `offset` do not count.
        """

    def count_findings(self, query: FindingQuery, by: Sequence[FindingColumn], /) -> dict[tuple[str, ...], int]:
        """The same of findings; severities by their names."""

    def stats(self, tenant_id: str | None, /) -> Stats:
        """How much is kept of a tenant, or of all."""

    def delete(self, query: SpanQuery, /) -> int:
        """Delete the traces that have a span that matches; gives how many."""

    def purge(self, before: int | None, max_bytes: int | None, /) -> int:
        """Delete traces that began before a time, and the oldest until at most `max_bytes` are taken; gives how many
        spans. In batches, so that nobody waits long.
        """


class Metadata(Protocol):
    """Tenants, keys, audit, reports and flags. Hashes are SHA-256 in hexadecimal digits."""

    def tenants(self, limit: int, offset: int, /) -> Page[Tenant]:
        """All tenants, the oldest first."""

    def tenant(self, tenant_id: str, /) -> Tenant | None:
        """One tenant."""

    def put_tenant(self, tenant: Tenant, /) -> None:
        """Add a tenant, or change it."""

    def ensure_tenant(self, tenant: Tenant, /) -> bool:
        """Add a tenant unless there is one of its id; whether it was added."""

    def delete_tenant(self, tenant_id: str, /) -> bool:
        """Delete a tenant with its keys and spans; its audit stays. False where there is none."""

    def set_token(self, tenant_id: str, token_hash: str, /) -> bool:
        """Give a tenant another token; False where there is no such tenant."""

    def tenant_by_token(self, token_hash: str, /) -> Tenant | None:
        """Whose token it is."""

    def add_key(self, key: ApiKey, key_hash: str, /) -> None:
        """Add a key."""

    def keys(self, tenant_id: str | None, limit: int, offset: int, /) -> Page[ApiKey]:
        """The keys of a tenant, or all; the newest first."""

    def key(self, tenant_id: str | None, key_id: str, /) -> ApiKey | None:
        """One key of a tenant (None: of any), revoked or expired or not."""

    def key_by_hash(self, key_hash: str, /) -> ApiKey | None:
        """The key, revoked or expired or not."""

    def revoke_key(self, tenant_id: str | None, key_id: str, at: int, /) -> bool:
        """Revoke a key of a tenant (None: of any); False where there is none that is not revoked."""

    def key_used(self, key_id: str, at: int, /) -> None:
        """Remember when a key was last used."""

    def audit(self, event: AuditEvent, /) -> None:
        """Keep an event."""

    def audits(
        self,
        tenant_id: str | None,
        /,
        *,
        event_type: str | None = None,
        start_time: int | None = None,
        end_time: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> Page[AuditEvent]:
        """Events of a tenant (None: all), the newest first."""

    def put_report(self, report: Report, /) -> None:
        """Add a report, or change it."""

    def report(self, tenant_id: str | None, report_id: str, /) -> Report | None:
        """One report."""

    def reports(self, tenant_id: str | None, limit: int, offset: int, /) -> Page[Report]:
        """Reports of a tenant, or all; the newest first."""

    def flags(self) -> dict[str, Any]:
        """What was set at run time, by name."""

    def set_flags(self, flags: dict[str, Any], /) -> None:
        """Set flags; one that is None is forgotten. All or none."""

    def lease(self, name: str, holder: str, now: int, until: int, /) -> bool:
        """Take or renew the right to be the only one who does something, until a time; False where another holder has
        it beyond `now`. Microseconds since the Unix epoch.
        """


class Store(Spans, Metadata, Protocol):
    """Everything that is kept."""

    def healthy(self) -> bool:
        """Whether the database answers. Never raises."""

    def close(self) -> None:
        """Let go of connections."""


class Identity(Struct, frozen=True):
    """Who asks. `tenant_id` None together with `role` admin: the operator of the relay, who sees all tenants."""

    tenant_id: str | None
    role: Role
    actor: str = "anonymous"
    key_id: str | None = None

    @property
    def everywhere(self) -> bool:
        """Whether all tenants are this one's."""
        return self.tenant_id is None and self.role == "admin"
