"""Which of the reported spans are calls, and which tell of a call that another span is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from llmtrace_relay.ingest import names
from llmtrace_relay.ingest.facts import Facts
from llmtrace_relay.ingest.reported import Reported
from llmtrace_sdk.telemetry import names as ours

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_relay.ingest.reported import Attributes

_OF_A_PHASE: Final = "llmtrace.guard."


class Call(Struct):
    """A call as it was reported: its span, and the spans that tell how it was inspected, where those came along.

    `paid`: what it cost is counted here, not at a span within it.
    """

    span: Reported
    guards: list[Reported] = field(default_factory=list)
    paid: bool = True

    @property
    def is_guard(self) -> bool:
        """Whether all that came is how the call was inspected."""
        return ours.GUARD_PHASE in self.span.attributes

    @property
    def facts(self) -> Facts:
        """The attributes of all its spans, of its event of details, and of the program. The span's own count first."""
        found: Attributes = dict(self.span.resource)
        for guard in self.guards:
            found.update((name, value) for name, value in guard.attributes.items() if not _is_of_a_phase(name))
        for event in self.span.events:
            if event.name == ours.DETAILS_EVENT:
                found.update(event.attributes)
        return Facts({**found, **self.span.attributes})


def calls_of(spans: Iterable[Reported]) -> list[Call]:
    """The calls among the spans, each with the guard spans that are its children."""
    kept = [span for span in spans if _tells_of_a_call(span)]
    calls = [Call(span) for span in kept]
    by_id = {(call.span.trace_id, call.span.span_id): call for call in calls if not call.is_guard}
    alone = []
    for call in calls:
        parent = by_id.get((call.span.trace_id, call.span.parent_id))
        if parent is None or parent is call:
            alone.append(call)
        elif call.is_guard:
            parent.guards.append(call.span)
        else:
            alone.append(call)
            if _is_inference(call):
                parent.paid = False
    for call in alone:
        call.paid = call.paid and _is_inference(call)
    return alone


def _tells_of_a_call(span: Reported) -> bool:
    if any(name.startswith(names.PREFIXES) for name in span.attributes):
        return True
    return any(event.name.startswith(names.PREFIXES) for event in span.events)


def _is_inference(call: Call) -> bool:
    operation = call.span.attributes.get(ours.OPERATION, "")
    return not isinstance(operation, str) or operation in names.INFERENCE


def _is_of_a_phase(name: str) -> bool:
    return name.startswith(_OF_A_PHASE) or not name.startswith(names.PREFIXES)
