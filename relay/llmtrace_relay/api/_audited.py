"""What was changed, kept in the audit with who did it."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

from llmtrace_relay.model import AuditEvent
from llmtrace_relay.store import StoreUnavailable

if TYPE_CHECKING:
    from llmtrace_relay.api._context import Context
    from llmtrace_relay.store import Identity

_log = logging.getLogger("llmtrace.relay.api")


def audited(here: Context, who: Identity, event_type: str, resource: str, tenant_id: str | None, **data: Any) -> None:
    """Keep a change that was made. Where the database went away in between, the log has it, and the caller is told."""
    event = AuditEvent(
        id=str(uuid.uuid4()),
        tenant_id=tenant_id,
        event_type=event_type,
        actor=who.actor,
        resource=resource,
        timestamp=here.now_us(),
        data=data,
    )
    try:
        here.store.audit(event)
    except StoreUnavailable:
        _log.error("done, but not in the audit: %s of %s by %s", event_type, resource, who.actor)
        raise
