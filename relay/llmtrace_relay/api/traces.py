"""Traces: reading and deleting them, and adding what an agent did."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from llmtrace_relay import wire
from llmtrace_relay.api._actions import NewAction
from llmtrace_relay.api._answers import ActionAdded, Deleted
from llmtrace_relay.api._audited import audited
from llmtrace_relay.api._context import Admin, Here, Operator, Viewer, tenant_of
from llmtrace_relay.api._errors import ApiError
from llmtrace_relay.api._filters import Filter, Listing
from llmtrace_relay.api._lookup import FLUSH_S, found
from llmtrace_relay.api._params import OfTenant, TraceId
from llmtrace_relay.api._reply import Wire, told
from llmtrace_relay.store import SpanQuery

router = APIRouter(prefix="/api/v1/traces", tags=["traces"])


@router.get("", **told("TracePage", "Traces with a call that matches, whole"))
def traces(ask: Annotated[Listing, Query()], who: Viewer, here: Here) -> Wire:
    """Traces with at least one call that matches."""
    return Wire(wire.page(here.fresh.traces(ask.query(who))))


@router.get("/{trace_id}", **told("Trace", "The trace"))
def trace(trace_id: TraceId, ask: Annotated[OfTenant, Query()], who: Viewer, here: Here) -> Wire:
    """One trace. One that was recorded a moment ago is there already."""
    tenant = tenant_of(who, ask.tenant_id)
    return Wire(wire.encoded(wire.plain(found(here, "trace", lambda: here.store.trace(tenant, trace_id)))))


@router.delete("/{trace_id}", status_code=204, response_class=Response)
def delete_trace(trace_id: TraceId, ask: Annotated[OfTenant, Query()], who: Admin, here: Here) -> Response:
    """Delete one trace."""
    query = SpanQuery(tenant_id=tenant_of(who, ask.tenant_id), trace_id=trace_id)
    deleted = found(here, "trace", lambda: here.store.delete(query))
    audited(here, who, "traces_deleted", f"trace:{trace_id}", query.tenant_id, deleted=deleted)
    return Response(status_code=204)


@router.delete("", **told("Deleted", "How many traces were deleted"))
def delete_traces(ask: Annotated[Filter, Query()], who: Admin, here: Here) -> Wire:
    """Delete the traces with at least one call that matches. At least one filter must be given."""
    query = ask.query(who)
    if not ask.model_fields_set:
        raise ApiError(400, "give at least one filter; start_time=1970-01-01T00:00:00Z matches every call")
    here.flush(FLUSH_S)
    deleted = here.store.delete(query)
    names = sorted(ask.model_fields_set)  # without what was looked for: that may be the text of a prompt
    audited(here, who, "traces_deleted", "traces", query.tenant_id, deleted=deleted, filters=names)
    return Wire(wire.encoded(Deleted(deleted)))


@router.post("/{trace_id}/actions", **told("ActionAdded", "It was added"))
def add_action(
    trace_id: TraceId, action: NewAction, ask: Annotated[OfTenant, Query()], who: Operator, here: Here
) -> Wire:
    """Add what an agent did to the first call of a trace. It is not inspected."""
    tenant = tenant_of(who, ask.tenant_id)
    made = action.made(here)
    found(here, "trace", lambda: here.store.add_action(tenant, trace_id, made))
    return Wire(wire.encoded(ActionAdded(made.id, trace_id)))
