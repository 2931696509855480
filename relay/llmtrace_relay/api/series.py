"""Sums over time."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BeforeValidator, Field, WithJsonSchema

from llmtrace_relay import wire
from llmtrace_relay.api._context import Here, Viewer
from llmtrace_relay.api._filters import Filter
from llmtrace_relay.api._reply import Wire, told

router = APIRouter(prefix="/api/v1/series", tags=["series"])

MOST_BUCKETS = 10_000
"""As many as the store gives; the latest are given."""
LONGEST_S = 366 * 86_400
UNITS = {"minute": 60, "hour": 3_600, "day": 86_400}


def _seconds(value: Any) -> int:
    known = UNITS.get(str(value))
    if known is not None:
        return known
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= LONGEST_S):
        raise ValueError(f"must be {', '.join(UNITS)}, or seconds between 1 and {LONGEST_S}")
    return int(text)


_EVERY = {"anyOf": [{"enum": list(UNITS)}, {"type": "integer", "minimum": 1, "maximum": LONGEST_S}], "default": "hour"}
Every = Annotated[int, BeforeValidator(_seconds), WithJsonSchema(_EVERY)]


class Series(Filter):
    """Which calls, over which pieces of time, in which groups."""

    every: Every = Field(3_600, description="How long a piece of time is. They begin at multiples of it since 1970.")
    by: Literal["model", "provider", "agent", "outcome"] | None = None


@router.get("", **told("Series", "Sums by time and group"))
def series(ask: Annotated[Series, Query()], who: Viewer, here: Here) -> Wire:
    """Calls, tokens, cost, time and findings over time; times without calls are left out."""
    buckets = here.fresh.series(ask.query(who), ask.every * 1_000_000, ask.by or "")
    many = len(buckets) >= MOST_BUCKETS
    return Wire(wire.encoded(wire.plain(wire.Series(data=buckets, every_seconds=ask.every, by=ask.by, truncated=many))))
