"""What the relay knows about a tenant in a period: counted by the database, with the settings as they are now."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from llmtrace_relay.denials import EVENT_TYPE as DENIED
from llmtrace_relay.store import FindingQuery, SpanQuery
from llmtrace_sdk.config import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmtrace_relay.model import ApiKey, AuditEvent
    from llmtrace_relay.store import FindingColumn, Page, SpanColumn, Store

DAY_US: Final = 86_400_000_000
IDLE_DAYS: Final = 90
PAGE: Final = 1_000
ROWS_LIMIT: Final = 100_000
REFUSALS: Final = ("401", "403")


class Calls(Struct, frozen=True, kw_only=True):
    """The calls that began in the period, and what was found in them. `refused` by the vendor, for the caller's key or
    its rights; `blocked` by the relay's policy. What is not known is counted under an empty name.
    """

    spans: int
    traces: int
    by_provider: dict[str, int]
    by_model: dict[str, int]
    by_operation: dict[str, int]
    by_coverage: dict[str, int]
    refused: int
    blocked: int
    findings_by_type: dict[str, int]
    findings_by_severity: dict[str, int]

    @property
    def findings(self) -> int:
        """All findings."""
        return sum(self.findings_by_severity.values())

    def findings_about(self, *words: str) -> int:
        """The findings with one of some words in their type."""
        return matching(self.findings_by_type, words)


class Audit(Struct, frozen=True, kw_only=True):
    """The audit of the period. `denied`: attempts to get in, by the reason why they were refused. `flag_changes`: those
    of the relay as a whole. `whole`: nothing was left out because there was too much.
    """

    events: int
    by_type: dict[str, int]
    actors: int
    denied: dict[str, int]
    flag_changes: int
    whole: bool

    def about(self, *words: str) -> int:
        """The events with one of some words in their type."""
        return matching(self.by_type, words)


class Keys(Struct, frozen=True, kw_only=True):
    """The keys as they are now, but for `created` and `revoked`, which are about the period."""

    good: int
    by_role: dict[str, int]
    endless: int
    idle: int
    created: int
    revoked: int


class Kept(Struct, frozen=True, kw_only=True):
    """What is stored of calls now. `overdue`: traces that are older than anything should be."""

    oldest: int | None
    newest: int | None
    bytes: int
    overdue: int


class Evidence(Struct, frozen=True, kw_only=True):
    """All of it. Times are microseconds since the Unix epoch."""

    tenant_id: str
    start: int
    end: int
    now: int
    settings: Settings
    calls: Calls
    audit: Audit
    keys: Keys
    kept: Kept


def gather(store: Store, settings: Settings, tenant_id: str, start: int, end: int, now: int) -> Evidence:
    """Ask the store. Raises `StoreUnavailable`."""
    return Evidence(
        tenant_id=tenant_id,
        start=start,
        end=end,
        now=now,
        settings=settings,
        calls=_calls(store, tenant_id, start, end),
        audit=_audit(store, tenant_id, start, end),
        keys=_keys(_all_keys(store, tenant_id), start, end, now),
        kept=_kept(store, tenant_id, settings.storage.retention_days, now),
    )


def matching(counts: dict[str, int], words: Iterable[str]) -> int:
    """How much is counted under names that have one of some words in them."""
    wanted = tuple(words)
    return sum(count for name, count in counts.items() if any(word in name for word in wanted))


def _calls(store: Store, tenant_id: str, start: int, end: int) -> Calls:
    spans = SpanQuery(tenant_id=tenant_id, start_time=start, end_time=end, limit=1)
    found = FindingQuery(tenant_id=tenant_id, start_time=start, end_time=end)

    def by(column: SpanColumn) -> dict[str, int]:
        return {key: count for (key,), count in store.count_spans(spans, (column,)).items()}

    def findings_by(column: FindingColumn) -> dict[str, int]:
        return {key: count for (key,), count in store.count_findings(found, (column,)).items()}

    ends = store.count_spans(spans, ("status_code", "action"))
    return Calls(
        spans=sum(ends.values()),
        traces=store.traces(spans).total,
        by_provider=by("provider"),
        by_model=by("model_name"),
        by_operation=by("operation_name"),
        by_coverage=by("coverage"),
        refused=sum(count for (status, action), count in ends.items() if status in REFUSALS and action != "block"),
        blocked=sum(count for (_, action), count in ends.items() if action == "block"),
        findings_by_type=findings_by("finding_type"),
        findings_by_severity=findings_by("severity"),
    )


def _audit(store: Store, tenant_id: str, start: int, end: int) -> Audit:
    types: Counter[str] = Counter()
    actors: set[str] = set()
    denied: Counter[str] = Counter()
    total = 0
    for page in _audit_pages(store, tenant_id, start, end):
        total = page.total
        for event in page.data:
            types[event.event_type] += 1
            if event.event_type == DENIED:
                denied[str(event.data.get("reason", ""))] += int(event.data.get("count", 1))
            else:
                actors.add(event.actor)
    flags = store.audits(None, event_type="feature_flag_changed", start_time=start, end_time=end, limit=1)
    return Audit(
        events=total,
        by_type=dict(types),
        actors=len(actors),
        denied=dict(denied),
        flag_changes=flags.total,
        whole=types.total() >= total,
    )


def _audit_pages(store: Store, tenant_id: str, start: int, end: int) -> Iterator[Page[AuditEvent]]:
    for offset in range(0, ROWS_LIMIT, PAGE):
        page = store.audits(tenant_id, start_time=start, end_time=end, limit=PAGE, offset=offset)
        yield page
        if len(page.data) < PAGE:
            return


def _all_keys(store: Store, tenant_id: str) -> Iterator[ApiKey]:
    for offset in range(0, ROWS_LIMIT, PAGE):
        page = store.keys(tenant_id, PAGE, offset)
        yield from page.data
        if len(page.data) < PAGE:
            return


def _keys(every: Iterator[ApiKey], start: int, end: int, now: int) -> Keys:
    roles: Counter[str] = Counter()
    endless = idle = created = revoked = 0
    for key in every:
        created += start <= key.created_at < end
        revoked += key.revoked_at is not None and start <= key.revoked_at < end
        if key.revoked_at is None and (key.expires_at is None or key.expires_at > now):
            roles[key.role] += 1
            endless += key.expires_at is None
            idle += (key.last_used_at or key.created_at) < now - IDLE_DAYS * DAY_US
    return Keys(good=roles.total(), by_role=dict(roles), endless=endless, idle=idle, created=created, revoked=revoked)


def _kept(store: Store, tenant_id: str, retention_days: float | None, now: int) -> Kept:
    stats = store.stats(tenant_id)
    overdue = 0
    if retention_days is not None:
        # the day after, because nothing is deleted to the second
        too_old = now - int((retention_days + 1) * DAY_US)
        overdue = store.traces(SpanQuery(tenant_id=tenant_id, end_time=too_old, limit=1)).total
    return Kept(oldest=stats.oldest_trace, newest=stats.newest_trace, bytes=stats.storage_size_bytes, overdue=overdue)
