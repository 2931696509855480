"""Tenants that nobody has added: those that calls name while keys are off, and the one of calls that name none."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from llmtrace_relay.line import Line
from llmtrace_relay.model import AuditEvent, Tenant
from llmtrace_relay.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_relay.store import Metadata

SEEN_LIMIT: Final = 10_000
AGAIN_US: Final = 5_000_000
"""How long the database is left alone after it has not answered."""


class Newcomers:
    """Adds each tenant of a call once, on a thread of its own. `greet` is for any thread and never waits.

    Their names are made of their ids, never of a key. `now_us` gives microseconds since the Unix epoch.
    """

    def __init__(self, store: Metadata, now_us: Callable[[], int]) -> None:
        self._store = store
        self._now_us = now_us
        self._seen: dict[str, None] = {}
        self._line = Line("llmtrace-newcomers", limit=100)
        self._not_before = 0

    def greet(self, tenant_id: str) -> None:
        """There is a call of a tenant."""
        if tenant_id in self._seen or self._now_us() < self._not_before:
            return
        if len(self._seen) >= SEEN_LIMIT:
            self._seen.clear()  # those that come again are looked up once more
        self._seen[tenant_id] = None
        if not self._line.put(lambda: self._add(tenant_id)):
            self._seen.pop(tenant_id, None)

    def close(self, timeout_s: float) -> bool:
        """Wait for those that are being added; False when that takes longer."""
        return self._line.join(timeout_s)

    def _add(self, tenant_id: str) -> None:
        tenant = Tenant(id=tenant_id, name=f"tenant-{tenant_id}", created_at=self._now_us())
        try:
            if self._store.ensure_tenant(tenant):
                self._store.audit(_added(tenant))
        except StoreUnavailable:
            self._not_before = self._now_us() + AGAIN_US
            self._seen.pop(tenant_id, None)


def _added(tenant: Tenant) -> AuditEvent:
    return AuditEvent(
        id=str(uuid.uuid4()),
        tenant_id=tenant.id,
        event_type="tenant_auto_created",
        actor="relay",
        resource=f"tenant:{tenant.id}",
        timestamp=tenant.created_at,
        data={"name": tenant.name, "plan": tenant.plan},
    )
