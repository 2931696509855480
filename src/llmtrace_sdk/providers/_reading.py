"""What the wire formats share when they read JSON: careful accessors, the reader's state, pointers."""

from __future__ import annotations

from typing import Any

import msgspec

from llmtrace_sdk.core.model import Delta, Usage
from llmtrace_sdk.errors import Unreadable

EMPTY: tuple[Delta, ...] = ()


class ReaderState:
    """The facts every reader collects (the attributes of `typing.ResponseReader`)."""

    __slots__ = ("done", "error_type", "finish_reasons", "model", "response_id", "service_tier", "usage")

    def __init__(self) -> None:
        self.model: str | None = None
        self.response_id: str | None = None
        self.finish_reasons: list[str] = []
        self.usage = Usage()
        self.done = False
        self.error_type: str | None = None
        self.service_tier: str | None = None


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """The value if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """The value if it is a non-empty string."""
    return value if isinstance(value, str) and value else None


def integer(value: Any) -> int | None:
    """The value if it is a whole number (JSON true and false are not numbers)."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: Any) -> float | None:
    """The value as a float if it is a number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number beyond any float
        return None


def json_text(value: Any) -> str:
    """A value as compact JSON text; a string stays itself."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def require_mapping(payload: Any) -> dict[str, Any]:
    """The body as a JSON object; raises `Unreadable` when it is something else."""
    if not isinstance(payload, dict):
        raise Unreadable("unknown_shape")
    return payload
