"""Answers as JSON that is ready to send, and how they are described."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse

PRIVATE: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""Headers of every answer: what is told of calls is nobody's to keep, and JSON."""


class Wire(JSONResponse):
    """JSON, encoded already (`wire.encoded`, `wire.page`)."""

    def __init__(self, content: bytes, status_code: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(content, status_code, PRIVATE | (headers or {}))

    def render(self, content: bytes) -> bytes:
        """The same."""
        return content


def told(name: str, description: str, status: int = 200) -> dict[str, Any]:
    """The keywords of a route that answers with JSON whose schema has a name (`wire.schemas`)."""
    schema = {"$ref": f"#/components/schemas/{name}"}
    answer = {"description": description, "content": {"application/json": {"schema": schema}}}
    return {"response_class": Wire, "status_code": status, "responses": {status: answer}}
