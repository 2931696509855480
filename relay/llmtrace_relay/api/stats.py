"""How much is kept, and what agents did."""

from typing import Annotated

from fastapi import APIRouter, Query

from llmtrace_relay import wire
from llmtrace_relay.api._context import Admin, Here, Viewer, tenant_of
from llmtrace_relay.api._errors import ApiError
from llmtrace_relay.api._filters import Filter
from llmtrace_relay.api._params import Asked, OfTenant
from llmtrace_relay.api._reply import Wire, told

router = APIRouter(prefix="/api/v1", tags=["stats"])


@router.get("/stats", **told("Stats", "How much is kept of the tenant"))
def stats(ask: Annotated[OfTenant, Query()], who: Viewer, here: Here) -> Wire:
    """How much is kept of the caller's tenant; for the operator of the relay, of all."""
    return Wire(wire.encoded(wire.plain(here.fresh.stats(tenant_of(who, ask.tenant_id)))))


@router.get("/stats/global", **told("Stats", "How much is kept"))
def global_stats(_: Annotated[Asked, Query()], who: Admin, here: Here) -> Wire:
    """How much is kept of all tenants, for the operator of the relay."""
    if not who.everywhere:
        raise ApiError(403, "only the operator of the relay may see all tenants; /api/v1/stats has yours", "auth_error")
    return Wire(wire.encoded(wire.plain(here.fresh.stats(None))))


@router.get("/actions/summary", **told("ActionSummary", "What agents did"))
def actions(ask: Annotated[Filter, Query()], who: Viewer, here: Here) -> Wire:
    """What agents did in the calls that match, counted."""
    return Wire(wire.encoded(here.store.actions(ask.query(who))))
