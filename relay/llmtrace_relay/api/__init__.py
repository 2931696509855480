"""The REST API of the relay: what was called, and what may be changed. Not on the way of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from llmtrace_relay.api import (
    _description,
    audit,
    costs,
    export,
    features,
    findings,
    keys,
    live,
    me,
    policy,
    reports,
    series,
    sessions,
    spans,
    stats,
    tenants,
    traces,
)
from llmtrace_relay.api._context import Context
from llmtrace_relay.api._edges import Edges, refusal
from llmtrace_relay.api._errors import ApiError
from llmtrace_relay.api._problems import in_words

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["Context", "build"]

_ROUTES: Final = (
    traces, spans, findings, sessions, series, stats, export, costs, live, policy, features, tenants, keys, audit,
    reports, me,
)  # fmt: skip
_WORDS: Final = {
    404: "there is no such path; /api-doc/openapi.json has those that there are",
    405: "the path does not take this method; /api-doc/openapi.json has those that it takes",
}


def build(context: Context) -> FastAPI:
    """The application. Whoever calls it has put an `Identity` into the scope (`_context.SCOPE_KEY`)."""
    app = FastAPI(openapi_url=_description.PATH, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.context = context
    for module in _ROUTES:
        app.include_router(module.router)
    app.add_middleware(Edges)
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _not_found)
    app.openapi = lambda: _description.describe(app)  # type: ignore[method-assign]
    return app


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return refusal(error)


async def _not_valid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return refusal(ApiError(400, in_words(error.errors())))


async def _not_found(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = _WORDS.get(error.status_code) or str(error.detail)
    return refusal(ApiError(error.status_code, message), dict(error.headers or {}))
