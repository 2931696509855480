"""Compliance reports about a tenant."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query
from msgspec import structs

from llmtrace_relay import reports, wire
from llmtrace_relay.api._administration import NewReport
from llmtrace_relay.api._audited import audited
from llmtrace_relay.api._context import Here, Operator, Viewer, tenant_of
from llmtrace_relay.api._errors import ApiError
from llmtrace_relay.api._params import Asked, Paged, TenantId
from llmtrace_relay.api._reply import Wire, told
from llmtrace_relay.model import Report

router = APIRouter(prefix="/api/v1/reports", tags=["reports"])


@router.post("/generate", **told("ReportBegun", "The report is under way", 202))
def generate(new: NewReport, who: Operator, here: Here) -> Wire:
    """Begin a report. It is made in the background; ask for it by its id until it is completed or failed."""
    if new.period_end <= new.period_start:
        raise ApiError(400, "period_end: must be after period_start")
    tenant_id = tenant_of(who, new.tenant_id)
    if tenant_id is None:
        raise ApiError(
            400, "tenant_id: is missing; a report is about one tenant, GET /api/v1/tenants has those there are"
        )
    if here.store.tenant(tenant_id) is None:
        raise ApiError(404, "there is no such tenant; GET /api/v1/tenants has those there are")
    report = Report(
        id=str(uuid.uuid4()),
        tenant_id=tenant_id,
        report_type=new.report_type,
        status="pending",
        period_start=new.period_start,
        period_end=new.period_end,
        created_at=here.now_us(),
    )
    here.store.put_report(report)
    audited(here, who, "report_requested", f"report:{report.id}", tenant_id, report_type=new.report_type)
    if not reports.begin(report, here.store, here.policies.settings, here.now_us):
        busy = "too many reports are under way; ask again in a minute"
        here.store.put_report(structs.replace(report, status="failed", error=busy, completed_at=here.now_us()))
        raise ApiError(503, busy)
    return Wire(wire.encoded({"id": report.id, "status": report.status}), 202)


@router.get("", **told("ReportPage", "Reports, the newest first"))
def every(ask: Annotated[Paged, Query()], who: Viewer, here: Here) -> Wire:
    """The reports about the caller's tenant; for the operator of the relay, all."""
    found, now = here.store.reports(tenant_of(who, ask.tenant_id), ask.limit, ask.offset), here.now_us()
    return Wire(wire.page(found, lambda report: wire.plain(reports.told(report, now))))


@router.get("/{report_id}", **told("Report", "The report"))
def one(report_id: TenantId, _: Annotated[Asked, Query()], who: Viewer, here: Here) -> Wire:
    """One report."""
    found = here.store.report(tenant_of(who, None), report_id)
    if found is None:
        raise ApiError(404, "there is no such report; GET /api/v1/reports has yours")
    return Wire(wire.encoded(wire.plain(reports.told(found, here.now_us()))))
