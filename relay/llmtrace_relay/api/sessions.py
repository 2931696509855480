"""Calls by the session that they belong to."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from msgspec import structs

from llmtrace_relay import wire
from llmtrace_relay.api._context import Here, Viewer
from llmtrace_relay.api._errors import ApiError
from llmtrace_relay.api._filters import Listing, PagedFilter
from llmtrace_relay.api._params import MAX_TEXT
from llmtrace_relay.api._reply import Wire, told

router = APIRouter(prefix="/api/v1/sessions", tags=["sessions"])
Name = Annotated[str, Path(min_length=1, max_length=MAX_TEXT)]


@router.get("", **told("SessionPage", "Sessions with a call that matches, the latest first"))
def sessions(ask: Annotated[PagedFilter, Query()], who: Viewer, here: Here) -> Wire:
    """Sessions with a call that matches, the latest first."""
    return Wire(wire.page(here.fresh.sessions(ask.query(who))))


@router.get("/{session:path}", **told("SpanPage", "Calls of the session"))
def session(session: Name, ask: Annotated[Listing, Query()], who: Viewer, here: Here) -> Wire:
    """The calls of a session; 404 where none matches."""
    if ask.session is not None:
        raise ApiError(400, "session: is told by the path already")
    found = here.fresh.spans(structs.replace(ask.query(who), session=session))
    if not found.total:
        raise ApiError(404, "there is no call of such a session")
    return Wire(wire.page(found))
