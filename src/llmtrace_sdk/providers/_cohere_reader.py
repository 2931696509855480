"""Reading answers of Cohere's API version 2, whole or streamed.

Source: https://docs.cohere.com/v2/docs/streaming
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core.model import Delta, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._reading import EMPTY, ReaderState, mapping, require_mapping, sequence, text
from llmtrace_sdk.providers._shared import compact, count, error_code, event_body, joined, short, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TOOL_PLAN_PART = -1
"""The plan before tool calls is reasoning outside of the numbered content parts."""

_NO_TEXT = frozenset({"type", "id"})
_PLAN = "/message/tool_plan"


class ChatReader(ReaderState):
    """The answer of one call of `/v2/chat` or `/v2/embed`."""

    __slots__ = ()

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a whole answer or an error; raises `Unreadable` for anything else."""
        answer = require_mapping(payload)
        self.done = True
        message = answer.get("message")
        if isinstance(message, dict):
            self._end(answer)
            return _read_message(message)
        if "embeddings" in answer:
            self._end(answer)
        elif message is not None or "code" in answer or "error" in answer:
            self.error_type = error_code(answer.get("code"), answer.get("error"))
        else:
            raise Unreadable("unknown_shape")
        return EMPTY

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:  # noqa: ARG002
        """Read one event; its JSON repeats the event's name as `type`."""
        event = event_body(data)
        sort = text(event.get("type")) or ""
        read = _EVENTS.get(sort)
        if read is not None:
            return read(whole(event.get("index")) or 0, mapping(mapping(event.get("delta")).get("message")))
        if sort == "message-start":
            self.response_id = short(event.get("id"))
        elif sort == "message-end":
            self.done = True
            self._end({**mapping(event.get("delta")), "id": event.get("id")})
        elif not sort and "message" in event:
            self.error_type = error_code(event.get("code"), event.get("error"))
        return EMPTY

    def _end(self, answer: dict[str, Any]) -> None:
        self.response_id = short(answer.get("id")) or self.response_id
        reason = short(answer.get("finish_reason"))
        if reason:
            self.finish_reasons = [reason]
        if answer.get("error") or reason == "ERROR":
            self.error_type = error_code(answer.get("error"), reason)
        self.usage = read_usage(mapping(answer.get("usage") or answer.get("meta")))


def read_usage(usage: dict[str, Any]) -> Usage:
    """Tokens as the model saw them; when only billed units are told, those."""
    tokens, billed = mapping(usage.get("tokens")), mapping(usage.get("billed_units"))
    seen = [
        count(tokens.get(field)) if count(tokens.get(field)) is not None else count(billed.get(field))
        for field in ("input_tokens", "output_tokens")
    ]
    return Usage(seen[0], seen[1], count(usage.get("cached_tokens")))


def _read_message(message: dict[str, Any]) -> list[Delta]:
    found = []
    plan = text(message.get("tool_plan"))
    if plan:
        found.append(Delta(plan, "reasoning", 0, TOOL_PLAN_PART, _PLAN))
    for at, part in enumerate(sequence(message.get("content"))):
        found.extend(_read_content(at, {"content": part}))
    for at, call in enumerate(sequence(message.get("tool_calls"))):
        found.extend(_read_call(at, {"tool_calls": call}))
    return found


def _read_content(at: int, message: dict[str, Any]) -> Iterable[Delta]:
    """A content part or an increment of one: `{"text"}` or `{"thinking"}`."""
    content = mapping(message.get("content"))
    said, thought = text(content.get("text")), text(content.get("thinking"))
    if thought:
        reasoning = Delta(thought, "reasoning", 0, at, f"/message/content/{at}/thinking")
        return (reasoning, Delta(said, "text", 0, at, f"/message/content/{at}/text")) if said else (reasoning,)
    if said is None:
        said = text(joined(content, _NO_TEXT))
    return (Delta(said, "text", 0, at, f"/message/content/{at}/text"),) if said else EMPTY


def _read_call(at: int, message: dict[str, Any]) -> Iterable[Delta]:
    """A tool call, its beginning, or an increment of its arguments."""
    function = mapping(mapping(message.get("tool_calls")).get("function"))
    given = compact(function["arguments"]) if function.get("arguments") else ""
    name = short(function.get("name"))
    if not given and name is None:
        return EMPTY
    return (Delta(given, "tool_call", 0, at, f"/message/tool_calls/{at}/function/arguments", name),)


def _read_plan(at: int, message: dict[str, Any]) -> Iterable[Delta]:  # noqa: ARG001
    plan = text(message.get("tool_plan"))
    return (Delta(plan, "reasoning", 0, TOOL_PLAN_PART, _PLAN),) if plan else EMPTY


_EVENTS: dict[str, Callable[[int, dict[str, Any]], Iterable[Delta]]] = {
    "content-start": _read_content,
    "content-delta": _read_content,
    "tool-plan-delta": _read_plan,
    "tool-call-start": _read_call,
    "tool-call-delta": _read_call,
}
