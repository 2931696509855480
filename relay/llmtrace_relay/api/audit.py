"""Who changed what, and who was not let in."""

from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import Field, model_validator

from llmtrace_relay import wire
from llmtrace_relay.api._context import Admin, Here, tenant_of
from llmtrace_relay.api._filters import BEFORE, FROM
from llmtrace_relay.api._params import Limit, Offset, OfTenant, Text, Time
from llmtrace_relay.api._reply import Wire, told

router = APIRouter(prefix="/api/v1/audit", tags=["access"])

DEFAULT_LIMIT = 100


class AuditFilter(OfTenant):
    """Which events."""

    event_type: Text | None = None
    start_time: Time | None = Field(None, description=FROM)
    end_time: Time | None = Field(None, description=BEFORE)
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start_time is not None and self.end_time is not None and self.start_time >= self.end_time:
            raise ValueError("end_time must be after start_time")
        return self


@router.get("", **told("AuditEventPage", "Events, the newest first"))
def every(ask: Annotated[AuditFilter, Query()], who: Admin, here: Here) -> Wire:
    """What was changed in the caller's tenant; for the operator of the relay, everywhere."""
    found = here.store.audits(
        tenant_of(who, ask.tenant_id),
        event_type=ask.event_type,
        start_time=ask.start_time,
        end_time=ask.end_time,
        limit=ask.limit,
        offset=ask.offset,
    )
    return Wire(wire.page(found))
