"""The end of a stopped stream of Cohere's chat, version 2 and version 1 (also inside Bedrock)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.providers._endings import DONE, is_done, latest, lines, mark, objects, sse
from llmtrace_sdk.providers._shared import blocked_message, whole

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Decision
    from llmtrace_sdk.typing import Told

_Event = dict[str, Any]
_TOXIC = "ERROR_TOXIC"


def ending(decision: Decision, told: Told) -> bytes:
    """Version 2: the content part that is open ends, and the message with an error. A tool call stays half."""
    events = objects(told.events)
    if is_done(told.events):
        return b""
    if any(event.get("type") == "message-end" for event in events):
        return DONE
    made = [] if events else [_start(decision)]
    made += [{"type": "content-end", "index": at} for at in _open(events)]
    end = {"finish_reason": "ERROR", "error": blocked_message(decision)}
    made.append({"type": "message-end", "delta": end, "llmtrace": mark(decision)})
    return b"".join(sse(event, event["type"]) for event in made) + DONE


def _start(decision: Decision) -> _Event:
    message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    return {"type": "message-start", "id": decision.id, "delta": {"message": message}}


def _open(events: list[_Event]) -> list[int]:
    parts: dict[int, bool] = {}
    for event in events:
        sort, at = event.get("type"), whole(event.get("index")) or 0
        if sort in ("content-start", "content-delta"):
            parts.setdefault(at, True)
        elif sort == "content-end":
            parts[at] = False
    return [at for at, is_open in parts.items() if is_open]


def ending_v1(decision: Decision, told: Told) -> bytes:
    """Version 1: the last event, which has the whole text."""
    return lines(told.framing, events_v1(decision, objects(told.events), told))


def events_v1(decision: Decision, events: list[_Event], told: Told) -> list[_Event]:
    """The last events behind these; nothing if the stream has ended."""
    if any(event.get("event_type") == "stream-end" for event in events):
        return []
    label = latest(events, "generation_id") or decision.id
    first = {"is_finished": False, "event_type": "stream-start", "generation_id": label}
    said = "".join(segment.text for segment in told.said or () if segment.pointer == "/text")
    response = {"text": said, "generation_id": label, "finish_reason": _TOXIC}
    last = {"is_finished": True, "event_type": "stream-end", "finish_reason": _TOXIC, "response": response}
    return [*([] if events else [first]), last | {"llmtrace": mark(decision)}]
