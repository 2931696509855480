"""The end of a stopped stream of `choices`: chat completions and legacy completions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.providers._endings import DONE, is_done, lines, mark, objects
from llmtrace_sdk.providers._reading import mapping, sequence
from llmtrace_sdk.providers._shared import whole

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Decision
    from llmtrace_sdk.typing import Told

_FILTERED: Final = "content_filter"
_REPEATED: Final = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
"""What every chunk of a stream says again."""


def ending(decision: Decision, told: Told, *, chat: bool) -> bytes:
    """A last chunk for every choice that was seen and has not ended, and the end mark."""
    if is_done(told.events):
        return b""
    return lines("sse", chunks(decision, objects(told.events), told, chat=chat)) + DONE


def chunks(decision: Decision, events: list[dict[str, Any]], told: Told, *, chat: bool) -> list[dict[str, Any]]:
    """The last chunks behind these events; without any choice before, one begins first."""
    base, open_choices = _base(decision, events, told, chat=chat), _open(events)
    first = []
    if open_choices is None:
        open_choices = [0]
        opening = {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
        first = [base | {"choices": [opening]}] if chat else []
    said: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
    choices = [{"index": at, **said, "logprobs": None, "finish_reason": _FILTERED} for at in open_choices]
    return [*first, base | {"choices": choices, "llmtrace": mark(decision)}]


def _base(decision: Decision, events: list[dict[str, Any]], told: Told, *, chat: bool) -> dict[str, Any]:
    prefix, sort = ("chatcmpl-", "chat.completion.chunk") if chat else ("cmpl-", "text_completion")
    base = {"id": prefix + decision.id, "object": sort, "created": told.began, "model": told.model}
    for event in reversed(events):
        base |= {member: event[member] for member in _REPEATED if event.get(member)}
    return base


def _open(events: list[dict[str, Any]]) -> list[int] | None:
    """The choices that have begun and not ended; None when none has begun."""
    begun: set[int] = set()
    ended: set[int] = set()
    for event in events:
        for position, item in enumerate(sequence(event.get("choices"))):
            choice = mapping(item)
            index = whole(choice.get("index"))
            index = position if index is None else index
            begun.add(index)
            if choice.get("finish_reason"):
                ended.add(index)
    return sorted(begun - ended) if begun else None
