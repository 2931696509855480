"""The end of a stopped stream of Anthropic's Messages API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.providers._endings import mark
from llmtrace_sdk.providers._reading import mapping
from llmtrace_sdk.providers._shared import blocked_message, count, whole

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Decision

_Event = dict[str, Any]


def events(decision: Decision, told: list[_Event], model: str) -> list[_Event]:
    """The blocks that are open are closed, and the message ends with a refusal; nothing if it has ended."""
    sorts = {event.get("type") for event in told}
    if "message_stop" in sorts:
        return []
    first = [] if told else [_start(decision, model)]
    closing = [{"type": "content_block_stop", "index": at} for at in _open(told)]
    refused = [] if "message_delta" in sorts else [_refused(decision, told)]
    return [*first, *closing, *refused, {"type": "message_stop"}]


def _start(decision: Decision, model: str) -> _Event:
    message: _Event = {
        "id": f"msg_{decision.id}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }
    return {"type": "message_start", "message": message}


def _refused(decision: Decision, told: list[_Event]) -> _Event:
    """The count of tokens must be there: it is the one that was told last."""
    details = {"type": "refusal", "category": None, "explanation": blocked_message(decision)}
    delta = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    counts = [count(mapping(mapping(event.get("message")).get("usage")).get("output_tokens")) for event in told]
    known = next((value for value in counts if value is not None), 0)
    return {"type": "message_delta", "delta": delta, "usage": {"output_tokens": known}, "llmtrace": mark(decision)}


def _open(told: list[_Event]) -> list[int]:
    begun: dict[int, bool] = {}
    for event in told:
        at = whole(event.get("index"))
        if at is None:
            continue
        if event.get("type") == "content_block_stop":
            begun[at] = False
        else:
            begun.setdefault(at, True)
    return [at for at, is_open in begun.items() if is_open]
