"""The end of a stopped stream of the Responses API: what is open is closed, and the response is incomplete.

A tool call that was cut off is neither closed nor part of the response: nobody should carry out half of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.providers._endings import is_done, mark, objects, sse
from llmtrace_sdk.providers._reading import mapping, sequence, text
from llmtrace_sdk.providers._shared import whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.model import Decision
    from llmtrace_sdk.typing import Told

_Event = dict[str, Any]
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_TEXTS: Final = {"output_text": "text", "refusal": "refusal"}
"""The sorts of parts of a message, and the member that has their text."""


def ending(decision: Decision, told: Told) -> bytes:
    """What is open is closed as far as it can be, then `response.incomplete`."""
    events = objects(told.events)
    if is_done(told.events) or any(event.get("type") in _ENDS for event in events):
        return b""
    first = 1 + max((whole(event.get("sequence_number")) or 0 for event in events), default=-1)
    made = _Stream(events, told).ending(decision)
    return b"".join(sse(event | {"sequence_number": at}, event["type"]) for at, event in enumerate(made, first))


class _Stream:
    """What was told of a response: itself, its items, their parts."""

    def __init__(self, events: list[_Event], told: Told) -> None:
        self._told = told
        self._begun = bool(events)
        self._response: _Event = {}
        self._items: dict[int, _Event] = {}
        self._finished: dict[int, _Event] = {}
        self._parts: dict[tuple[int, int], _Event] = {}
        self._closed: set[tuple[int, int, str]] = set()
        for event in events:
            self._read(text(event.get("type")) or "", event)
        self._texts = {segment.pointer: segment.text for segment in told.said or ()}

    def _read(self, label: str, event: _Event) -> None:
        output, inner = whole(event.get("output_index")) or 0, whole(event.get("content_index")) or 0
        if isinstance(event.get("response"), dict):
            self._response = event["response"]
            for at, item in enumerate(sequence(self._response.get("output"))):
                self._finished[at] = mapping(item)
        elif label == "response.output_item.added":
            self._items[output] = mapping(event.get("item"))
        elif label == "response.output_item.done":
            self._finished[output] = mapping(event.get("item"))
        elif label == "response.content_part.added":
            self._parts[output, inner] = mapping(event.get("part"))
        elif label.endswith(".done"):
            self._closed.add((output, inner, label))

    def ending(self, decision: Decision) -> Iterator[_Event]:
        """The last events."""
        if not self._begun:
            yield {"type": "response.created", "response": self._as(decision, "in_progress")}
        for at, item in sorted(self._items.items()):
            if at not in self._finished and item.get("type") == "message":
                yield from self._close(at, item)
        last = self._as(decision, "incomplete") | {"incomplete_details": {"reason": "content_filter"}}
        last["output"] = [self._finished[at] for at in sorted(self._finished)]
        yield {"type": "response.incomplete", "response": last, "llmtrace": mark(decision)}

    def _as(self, decision: Decision, status: str) -> _Event:
        made: _Event = {
            "id": f"resp_{decision.id}",
            "object": "response",
            "created_at": self._told.began,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": self._told.model,
            "output": [],
            "parallel_tool_calls": True,
            "temperature": None,
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
        }
        return made | self._response | {"status": status}

    def _close(self, output: int, item: _Event) -> Iterator[_Event]:
        """A message that is open; it stays open where its text is not known any more."""
        parts = self._whole_parts(output, item)
        if parts is None:
            return
        for (_, inner), part in zip(self._open_parts(output), parts, strict=True):
            where = {"item_id": item.get("id"), "output_index": output, "content_index": inner}
            sort = part["type"]
            if self._is_new(output, inner, f"response.{sort}.done") and self._is_plain():
                yield {"type": f"response.{sort}.done", **where, **_said(part)}
            if self._is_new(output, inner, "response.content_part.done"):
                yield {"type": "response.content_part.done", **where, "part": part}
        self._finished[output] = item | {"status": "incomplete", "content": parts}
        yield {"type": "response.output_item.done", "output_index": output, "item": self._finished[output]}

    def _open_parts(self, output: int) -> list[tuple[int, int]]:
        return sorted(key for key in self._parts if key[0] == output)

    def _whole_parts(self, output: int, item: _Event) -> list[_Event] | None:
        """The parts of a message with their texts, None where those are not known."""
        keys = self._open_parts(output)
        known = self._told.said is not None and all(self._parts[key].get("type") in _TEXTS for key in keys)
        return [self._whole_part(*key) for key in keys] if known and _named(item) else None

    def _whole_part(self, output: int, inner: int) -> _Event:
        part = self._parts[output, inner]
        member = _TEXTS[part["type"]]
        said = self._texts.get(f"/output/{output}/content/{inner}/{member}", "")
        return part | {member: said}

    def _is_new(self, output: int, inner: int, label: str) -> bool:
        return (output, inner, label) not in self._closed

    def _is_plain(self) -> bool:
        """Whether the text is not JSON by a schema: SDKs parse that as soon as it is done, and half of it is none."""
        sort = mapping(mapping(self._response.get("text")).get("format")).get("type")
        return sort in (None, "text")


def _named(item: _Event) -> bool:
    return isinstance(item.get("id"), str)


def _said(part: _Event) -> _Event:
    member = _TEXTS[part["type"]]
    return {member: part[member]} | ({"logprobs": []} if member == "text" else {})
