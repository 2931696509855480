"""The OpenAPI description: the requests as FastAPI knows them, and the answers as they really are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from fastapi.openapi.utils import get_openapi

from llmtrace_relay import wire
from llmtrace_relay.api import _administration, _answers
from llmtrace_sdk import __version__
from llmtrace_sdk.core.enforcement import Scope

if TYPE_CHECKING:
    from fastapi import FastAPI

PATH: Final = "/api-doc/openapi.json"
_VERBS: Final = frozenset({"get", "put", "post", "delete", "patch"})
_FOREIGN: Final = ("HTTPValidationError", "ValidationError")
_DOORS: Final = {
    "key": {"type": "http", "scheme": "bearer", "description": "A key of the relay, or the key of its operator."},
    "token": {"type": "apiKey", "in": "header", "name": "X-LLMTrace-Token", "description": "The token of a tenant."},
}
_ERROR: Final = {
    "description": "What went wrong, and the next step",
    "content": {"application/json": {"schema": {"$ref": wire.REFERENCE.format("Error")}}},
}
_ABOUT: Final = (
    "What the relay keeps of calls, and what can be changed about it. Each caller sees its own tenant; the operator of "
    "the relay sees all. Times are RFC 3339. Errors are `{error: {message, type}}`; a filter that is not known is one."
)


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of an application, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _described(app)
    return app.openapi_schema


def _described(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(title="LLMTrace relay", version=__version__, description=_ABOUT, routes=app.routes)
    for path in found["paths"].values():
        for operation in (path[verb] for verb in _VERBS & path.keys()):
            operation["responses"].pop("422", None)  # what FastAPI says of itself; here it is a 400
            operation["responses"]["default"] = _ERROR
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _never_null(parameter["schema"])
    components = found.setdefault("components", {})
    kept = {name: schema for name, schema in components.get("schemas", {}).items() if name not in _FOREIGN}
    components["schemas"] = kept | _records()
    components["securitySchemes"] = _DOORS
    found["security"] = [{name: []} for name in _DOORS]
    return found


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that may be left out: in a URL there is no null."""
    choices = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return rest | choices[0] if len(choices) == 1 else schema


def _records() -> dict[str, Any]:
    found = wire.schemas(*_answers.ALL, *_administration.ANSWERS)
    span = found["Span"]
    scope = {
        "type": "string",
        "enum": list(get_args(Scope)),
        "description": "Which half of such a call is inspected as the settings are now.",
    }
    found["ScopedSpan"] = {
        **span,
        "title": "ScopedSpan",
        "properties": {**span["properties"], "monitoring_scope": scope},
        "required": [*span["required"], "monitoring_scope"],
    }
    found["ScopedSpanPage"] = wire.page_of("ScopedSpan")
    return found
