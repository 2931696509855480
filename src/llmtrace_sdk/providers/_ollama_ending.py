"""The end of a stopped stream of Ollama's own API: a last line without text, and without counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from llmtrace_sdk.providers._endings import latest, lines, mark, objects

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Decision
    from llmtrace_sdk.typing import Told


def ending(decision: Decision, told: Told, *, chat: bool) -> bytes:
    """One line that is `done`; nothing if the client has seen one."""
    events = objects(told.events)
    if any(event.get("done") is True for event in events):
        return b""
    nothing: dict[str, Any] = {"message": {"role": "assistant", "content": ""}} if chat else {"response": ""}
    line = {
        "model": latest(events, "model") or told.model,
        "created_at": latest(events, "created_at") or datetime.fromtimestamp(told.began, UTC).isoformat(),
        **nothing,
        "done": True,
        "done_reason": "content_filter",
        "llmtrace": mark(decision),
    }
    return lines(told.framing, [line])
