"""Finding what was written a moment ago."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from llmtrace_relay.api._errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_relay.api._context import Context

T = TypeVar("T")

FLUSH_S: Final = 1.0
"""How long a request waits for the records of calls that have ended to be written."""


def found(here: Context, what: str, look: Callable[[], T | None]) -> T:
    """What `look` gives; where that is nothing, after waiting records have been written. 404 without."""
    thing = look()
    if not thing:
        here.flush(FLUSH_S)
        thing = look()
    if not thing:
        raise ApiError(404, f"there is no such {what}")
    return thing
