"""Where the API meets the server: what is no request to it is turned away, and whatever goes wrong is answered."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from llmtrace_relay import wire
from llmtrace_relay.api._errors import ApiError
from llmtrace_relay.api._reply import Wire
from llmtrace_relay.store import StoreUnavailable
from llmtrace_sdk.errors import StateUnavailable

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_LIMIT: Final = 1 << 20
"""Bytes; the largest that anybody sends is the configuration of a tenant."""
BODY_S: Final = 60.0
"""How long all of a body may take to come."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_TELLING: Final = frozenset({b"sec-fetch-site", b"content-type"})
_log = logging.getLogger("llmtrace.relay.api")


class Edges:
    """An ASGI application around another: an answer of ours for whatever it raises, and for bodies over `limit`."""

    def __init__(self, app: ASGIApp, limit: int = BODY_LIMIT) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        turned_away = _turned_away(scope)
        if turned_away is not None:
            await refusal(turned_away)(scope, receive, send)
            return
        started = False

        async def begin(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, _limited(receive, self._limit), begin)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - nothing about it may reach the caller or, with its values, the log
            _tell(error)
            if not started:  # else the server closes the connection, so that nobody takes a part for the whole
                await answer_to(error)(scope, receive, send)


def answer_to(error: Exception) -> Wire:
    """The answer to a request that something went wrong with."""
    if isinstance(error, StoreUnavailable):
        return refusal(ApiError(503, "the database does not answer; try again"), {"retry-after": "1"})
    if isinstance(error, StateUnavailable):
        return refusal(ApiError(503, "the store of shared limits does not answer; try again"), {"retry-after": "1"})
    return refusal(ApiError(500, "something went wrong within the relay; its log has more"))


def refusal(error: ApiError, headers: dict[str, str] | None = None) -> Wire:
    """An error as it is told."""
    return Wire(wire.encoded(error.body()), error.status, headers)


def _turned_away(scope: Scope) -> ApiError | None:
    """Why a change is not even looked at. Where no keys are asked for, any web page could else make a browser ask."""
    if scope["method"] in _SAFE:
        return None
    headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in _TELLING}
    if headers.get(b"sec-fetch-site", "none") not in ("none", "same-origin"):
        return ApiError(403, "a page of another site may not change anything here", "auth_error")
    kind = headers.get(b"content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        return ApiError(415, "the body must be JSON; send content-type: application/json")
    return None


def _limited(receive: Receive, limit: int) -> Receive:
    clock = asyncio.get_running_loop().time
    taken, until, more = 0, clock() + BODY_S, True

    async def next_message() -> Message:
        nonlocal taken, more
        try:
            async with asyncio.timeout_at(until if more else None):  # what comes then is the end of the connection
                message: dict[str, Any] = dict(await receive())
        except TimeoutError:
            raise HTTPException(408, f"the body did not come within {BODY_S:g} s") from None
        more = bool(message.get("more_body"))
        taken += len(message.get("body", b""))
        if taken > limit:
            raise HTTPException(413, f"the body has more than {limit} bytes")
        return message

    return next_message


def _tell(error: Exception) -> None:
    """The kind of an error and where it was raised, without its text: that may have values of a request."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f"{last[0].filename}:{last[0].lineno}" if last else "nowhere"
    if isinstance(error, StoreUnavailable | StateUnavailable):
        _log.warning("%s at %s", type(error).__name__, place)
    else:
        _log.error("%s at %s; please report it", type(error).__name__, place)
