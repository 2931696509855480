"""What every vendor file gives to the routes: how it spells an error and where a request names its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .call import Call
from .reply import Reply

if TYPE_CHECKING:
    from .http1 import Request

Endpoint = Callable[[Call], Reply]


def model_in_body(_request: Request, data: dict[str, Any]) -> str:
    """The body's `model`, else ''."""
    model = data.get("model")
    return model if isinstance(model, str) else ""


@dataclass(frozen=True, slots=True)
class Vendor:
    """`error(status, message)` gives an error reply in the vendor's shape."""

    name: str
    error: Callable[[int, str], Reply]
    model: Callable[[Request, dict[str, Any]], str] = model_in_body


def segment_after(path: str, name: str) -> str:
    """The path segment that follows the segment `name`; '' when there is none."""
    _, found, rest = path.partition(f"/{name}/")
    return rest.partition("/")[0] if found else ""


def vector(index: int, size: int) -> list[float]:
    """An embedding that differs from index to index and is the same in every run."""
    return [((index + 1) * (place + 3) % 97 - 48) / 64 for place in range(size)]


def count_inputs(value: Any) -> int:
    """How many embeddings an `input` asks for: one for each string, or for each list of token numbers."""
    if not isinstance(value, list) or not value:
        return 1
    return 1 if isinstance(value[0], int) else len(value)
