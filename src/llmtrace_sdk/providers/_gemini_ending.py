"""The end of a stopped stream of the Gemini API: a response without content, as its own filters give it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.providers._endings import latest, lines, mark, objects
from llmtrace_sdk.providers._reading import mapping, sequence
from llmtrace_sdk.providers._shared import blocked_message, whole

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Decision
    from llmtrace_sdk.typing import Told


def ending(decision: Decision, told: Told) -> bytes:
    """One response that ends every candidate which was seen and has not ended; nothing if all have."""
    events = objects(told.events)
    candidates = _open(events)
    if not candidates:
        return b""
    ended = {"finishReason": "SAFETY", "finishMessage": blocked_message(decision)}
    response: dict[str, Any] = {
        "candidates": [{"index": at, **ended} for at in candidates],
        "modelVersion": latest(events, "modelVersion") or told.model,
        "responseId": latest(events, "responseId") or decision.id,
        "llmtrace": mark(decision),
    }
    return lines(told.framing, [response])


def _open(events: list[dict[str, Any]]) -> list[int]:
    begun: dict[int, bool] = {}
    for event in events:
        for position, item in enumerate(sequence(event.get("candidates"))):
            candidate = mapping(item)
            index = whole(candidate.get("index"))
            at = position if index is None else index
            begun[at] = begun.get(at, True) and not candidate.get("finishReason")
    return [at for at, is_open in sorted(begun.items()) if is_open] if begun else [0]
