"""Who asks."""

from typing import Annotated

from fastapi import APIRouter, Query

from llmtrace_relay import wire
from llmtrace_relay.api._answers import Me
from llmtrace_relay.api._context import Viewer
from llmtrace_relay.api._params import Asked
from llmtrace_relay.api._reply import Wire, told

router = APIRouter(prefix="/api/v1/me", tags=["access"])


@router.get("", **told("Me", "The caller"))
def me(_: Annotated[Asked, Query()], who: Viewer) -> Wire:
    """Who the key belongs to, and what it may do. `everywhere`: it sees all tenants."""
    return Wire(wire.encoded(Me(who.tenant_id, who.role, who.actor, who.key_id, who.everywhere)))
