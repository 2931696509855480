"""What was found in calls."""

from typing import Annotated

from fastapi import APIRouter, Query

from llmtrace_relay import wire
from llmtrace_relay.api._context import Here, Viewer
from llmtrace_relay.api._filters import FindingFilter
from llmtrace_relay.api._reply import Wire, told

router = APIRouter(prefix="/api/v1/findings", tags=["findings"])


@router.get("", **told("FoundFindingPage", "Findings that match, the newest first"))
def findings(ask: Annotated[FindingFilter, Query()], who: Viewer, here: Here) -> Wire:
    """Findings that match, the newest first, each with the call that it is about."""
    return Wire(wire.page(here.fresh.findings(ask.query(who))))
