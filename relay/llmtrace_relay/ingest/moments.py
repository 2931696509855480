"""When a reported call began and ended, and what happened within it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from llmtrace_relay.ingest import names
from llmtrace_relay.ingest.facts import COUNT_LIMIT
from llmtrace_relay.ingest.tags import bounded
from llmtrace_relay.model import SpanEvent

if TYPE_CHECKING:
    from llmtrace_relay.ingest.calls import Call
    from llmtrace_relay.ingest.capturing import Capture

EVENTS_LIMIT: Final = 32
_NAME_LIMIT: Final = 128
_SPACE: Final = uuid.UUID("5b3a6c3f-7f0e-5c39-9d0e-2b8b1f6f7a90")


class Times(Struct, frozen=True):
    """Microseconds since the Unix epoch; `end` is None for a span that was not told to have ended."""

    start: int
    end: int | None
    duration_ms: int | None

    @property
    def last(self) -> int:
        """The end, or the start where there is none."""
        return self.start if self.end is None else self.end


def times_of(call: Call, now_us: int) -> Times:
    """The times of a call. A span that does not say when it began did so when it ended, or now."""
    began, ended = call.span.start_ns, call.span.end_ns
    start = (began or ended) // 1000 or now_us
    if not ended:
        return Times(start, None, None)
    taken_ns = max(ended - began, 0) if began else 0
    return Times(start, max(ended // 1000, start), min(taken_ns // 1_000_000, COUNT_LIMIT))


def events_of(call: Call, capture: Capture) -> tuple[SpanEvent, ...]:
    """At most `EVENTS_LIMIT` events of the span. Those that hold texts or findings are told elsewhere."""
    told = [event for event in call.span.events if not event.name.startswith(names.PREFIXES)]
    place = f"{call.span.trace_id}{call.span.span_id}"
    return tuple(
        SpanEvent(
            id=str(uuid.uuid5(_SPACE, f"{place} {index}")),
            timestamp=event.time_ns // 1000,
            event_type=event.name[:_NAME_LIMIT] or "event",
            description="",
            data=dict(bounded(event.attributes, capture)),
        )
        for index, event in enumerate(told[:EVENTS_LIMIT])
    )
