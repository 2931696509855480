"""Calls, one by one, with what was found in them."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query

from llmtrace_relay import wire
from llmtrace_relay.api._context import Here, Viewer, tenant_of
from llmtrace_relay.api._filters import Listing
from llmtrace_relay.api._lookup import found
from llmtrace_relay.api._params import OfTenant, Paged, SpanId
from llmtrace_relay.api._reply import Wire, told
from llmtrace_relay.model import Span
from llmtrace_relay.store import SpanQuery
from llmtrace_sdk.core.policy import Policy

router = APIRouter(prefix="/api/v1", tags=["spans"])

Told = Callable[[Span], dict[str, Any]]


@router.get("/spans", **told("ScopedSpanPage", "Calls that match"))
def spans(ask: Annotated[Listing, Query()], who: Viewer, here: Here) -> Wire:
    """Calls that match."""
    return Wire(wire.page(here.fresh.spans(ask.query(who)), scoped(here)))


@router.get("/spans/{span_id}", **told("ScopedSpan", "The call"))
def span(span_id: SpanId, ask: Annotated[OfTenant, Query()], who: Viewer, here: Here) -> Wire:
    """One call. One that was recorded a moment ago is there already."""
    tenant = tenant_of(who, ask.tenant_id)
    return Wire(wire.encoded(scoped(here)(found(here, "span", lambda: here.store.span(tenant, span_id)))))


@router.get("/security/findings", **told("ScopedSpanPage", "Calls with a score of 1 or more"))
def risky(ask: Annotated[Paged, Query()], who: Viewer, here: Here) -> Wire:
    """Calls with findings, the newest first. See `/api/v1/findings` for the findings themselves."""
    query = SpanQuery(tenant_id=tenant_of(who, ask.tenant_id), min_security_score=1, limit=ask.limit, offset=ask.offset)
    return Wire(wire.page(here.fresh.spans(query), scoped(here)))


def scoped(here: Here) -> Told:
    """What tells a span, with `monitoring_scope`: which half of such a call is inspected as the settings are now."""
    policy = Policy(here.policies.settings.enforcement)

    def tell(span: Span) -> dict[str, Any]:
        of_call = policy.for_call(
            tenant=span.tenant_id, agent=span.agent, model=span.model_name, user=span.user, provider=span.provider
        )
        return wire.plain(span) | {"monitoring_scope": of_call.options.monitoring_scope}

    return tell
