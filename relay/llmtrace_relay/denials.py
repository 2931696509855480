"""Refused attempts to get in, kept in the audit: summed up, so that a flood of them is one event a minute."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from llmtrace_relay.model import AuditEvent
from llmtrace_relay.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_relay.store import Metadata

SUM_S: Final = 60.0
KINDS_LIMIT: Final = 1_024
EVENT_TYPE: Final = "access_denied"

Reason = Literal["missing", "unknown", "revoked", "expired"]

_log = logging.getLogger("llmtrace.relay")


class Denial(NamedTuple):
    """What attempts have in common. `tenant_id` and `key_id` are those of a key that is no longer good."""

    reason: Reason
    tenant_id: str | None = None
    key_id: str | None = None


class Denials:
    """Counts attempts on the event loop, and writes the sums off it. While there is no database they are kept.

    Of at most `KINDS_LIMIT` keys in `every_s` seconds; what comes from more keys is counted without its key.
    """

    def __init__(self, store: Metadata, now_us: Callable[[], int], every_s: float = SUM_S) -> None:
        self._store = store
        self._now_us = now_us
        self._every_s = every_s
        self._counts: Counter[Denial] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Future[Counter[Denial]]] = set()

    def note(self, denial: Denial, attempts: int = 1) -> None:
        """Count attempts. Never waits."""
        if denial not in self._counts and len(self._counts) >= KINDS_LIMIT:
            denial = Denial(denial.reason)
        self._counts[denial] += attempts
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._every_s, self._due)

    async def close(self) -> None:
        """Write what was counted, and try once more what the database did not take before."""
        for _ in range(2):
            self._due()
            while self._writing:
                await asyncio.wait(self._writing)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counts, self._counts = self._counts, Counter()
        if counts:
            written = asyncio.get_running_loop().run_in_executor(None, self._write, counts)
            self._writing.add(written)
            written.add_done_callback(self._written)

    def _written(self, written: asyncio.Future[Counter[Denial]]) -> None:
        self._writing.discard(written)
        for denial, count in written.result().items():
            self.note(denial, count)

    def _write(self, counts: Counter[Denial]) -> Counter[Denial]:
        """Give back what could not be written."""
        for denial, count in list(counts.items()):
            try:
                self._store.audit(self._event(denial, count))
            except StoreUnavailable:
                _log.warning("llmtrace relay: %d refused attempts wait for the database", counts.total())
                break
            del counts[denial]
        return counts

    def _event(self, denial: Denial, count: int) -> AuditEvent:
        key = denial.key_id
        return AuditEvent(
            id=str(uuid.uuid4()),
            tenant_id=denial.tenant_id,
            event_type=EVENT_TYPE,
            actor=f"key:{key}" if key else "anonymous",
            resource=f"api_key:{key}" if key else "relay",
            timestamp=self._now_us(),
            data={"reason": denial.reason, "count": count},
        )
