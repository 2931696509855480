"""Answers of OpenAI's Responses API, whole or as typed events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from llmtrace_sdk.core import jsonio
from llmtrace_sdk.core.model import Delta
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._openai_items import item_places, item_tools, opening, tool_name, type_of
from llmtrace_sdk.providers._openai_shapes import error_of, usage_of
from llmtrace_sdk.providers._reading import EMPTY, ReaderState, mapping, sequence, text
from llmtrace_sdk.providers._shared import short, whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_sdk.core.model import Kind

PIECES_LIMIT: Final = 4096
"""How many pieces of an answer are told apart; what comes on top is left out."""


class _Source(NamedTuple):
    """What the `.delta` and `.done` events of one type are about; `{}` in the pointer is the event's inner index."""

    kind: Kind
    pointer: str
    member: str


_SOURCES: Final[dict[str, _Source]] = {
    "response.output_text": _Source("text", "/content/{}/text", "text"),
    "response.refusal": _Source("refusal", "/content/{}/refusal", "refusal"),
    "response.reasoning_summary_text": _Source("reasoning", "/summary/{}/text", "text"),
    "response.reasoning_text": _Source("reasoning", "/content/{}/text", "text"),
    "response.function_call_arguments": _Source("tool_call", "/arguments", "arguments"),
    "response.mcp_call_arguments": _Source("tool_call", "/arguments", "arguments"),
    "response.custom_tool_call_input": _Source("tool_call", "/input", "input"),
    "response.code_interpreter_call_code": _Source("tool_call", "/code", "code"),
    "response.shell_call_command": _Source("tool_call", "/action/commands/{}", "command"),
    "response.audio.transcript": _Source("text", "/content/{}/transcript", "transcript"),
}
_DELTAS = {f"{label}.delta": source for label, source in _SOURCES.items()}
_DONES = {f"{label}.done": source for label, source in _SOURCES.items()}
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_ENDED = frozenset({"completed", "incomplete", "failed", "cancelled"})


class _Event(msgspec.Struct, gc=False):
    """What tells an increment; an event has one of the three inner indices at most."""

    type: str = ""
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    command_index: int = 0
    delta: Any = None


_INDICES = ("output_index", "content_index", "summary_index", "command_index")
_decode = msgspec.json.Decoder(_Event).decode


class ResponsesReader(ReaderState):
    """Reads the answer of /responses. Every text is given once: by its increments, or else by the finished object."""

    __slots__ = ("_filled", "_names", "_parts", "_running")

    def __init__(self) -> None:
        super().__init__()
        self._running: dict[tuple[str, int, int], tuple[Kind, int]] = {}
        self._parts: dict[str, int] = {}
        self._filled: set[str] = set()
        self._names: dict[int, str] = {}

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a whole answer; raises `Unreadable` when it is neither an answer nor an error."""
        body = mapping(payload)
        if isinstance(body.get("output"), list) or body.get("object") == "response":
            return self._read_response(body)
        self.error_type = error_of(payload)
        if self.error_type is None:
            raise Unreadable("unknown_shape")
        return EMPTY

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:
        """Read one streamed event; raises `Unreadable` when it is no JSON object."""
        try:
            event = _decode(data)
        except (ValueError, RecursionError):
            return self._odd_event(name, data)
        label = event.type or name
        source = _DELTAS.get(label)
        if source is not None:
            return self._flow(label, source, event)
        return self._dispatch(label, mapping(jsonio.decode(data)))

    def _odd_event(self, name: str, data: bytes) -> Iterable[Delta]:
        """An event that is no JSON, or JSON with members of unexpected types."""
        stripped = data.strip()
        if stripped.startswith(b"[DONE]"):
            self.done = True
            return EMPTY
        payload = jsonio.decode(stripped) if stripped else {}
        if not isinstance(payload, dict):
            raise Unreadable("unknown_shape")
        event = _event(payload)
        source = _DELTAS.get(event.type or name)
        if source is not None:
            return self._flow(event.type or name, source, event)
        return self._dispatch(event.type or name, payload)

    def _flow(self, label: str, source: _Source, event: _Event) -> Iterable[Delta]:
        """An increment."""
        said = event.delta
        if type(said) is not str or not said:
            return EMPTY
        inner = event.content_index + event.summary_index + event.command_index
        running = self._running.get((label, event.output_index, inner))
        if running is not None:
            return (Delta(said, running[0], 0, running[1]),)
        return self._begin(label, source, event.output_index, inner, said)

    def _begin(self, label: str, source: _Source, output: int, inner: int, said: str) -> Iterable[Delta]:
        pointer = f"/output/{output}{source.pointer.format(inner)}"
        part = self._part(pointer)
        if part is None:
            return EMPTY
        self._filled.add(pointer)
        self._running[label, output, inner] = (source.kind, part)
        name = self._names.get(output) if source.kind == "tool_call" else None
        return (Delta(said, source.kind, 0, part, pointer, name),)

    def _dispatch(self, label: str, payload: dict[str, Any]) -> Iterable[Delta]:
        """Everything that is no increment."""
        response = payload.get("response")
        if isinstance(response, dict):
            deltas = self._read_response(response)
            self.done = self.done or label in _ENDS
            return deltas
        output = whole(payload.get("output_index")) or 0
        if label == "response.output_item.added":
            item = mapping(payload.get("item"))
            return [*self._announce(output, item), *filter(None, self._texts(output, item))]
        if label == "response.output_item.done":
            return self._read_item(output, mapping(payload.get("item")))
        if label in _DONES:
            return self._complete(_DONES[label], output, payload)
        if isinstance(payload.get("output"), list):
            return self._read_response(payload)
        self.error_type = error_of(payload, loose=label == "error") or self.error_type
        return EMPTY

    def _announce(self, output: int, item: dict[str, Any]) -> Iterable[Delta]:
        """A tool call begins: its name comes before its arguments."""
        label = type_of(item)
        name = tool_name(item, label)
        member = opening(label)
        if name is None or not member or len(self._names) >= PIECES_LIMIT:
            return EMPTY
        self._names[output] = name
        pointer = f"/output/{output}{member}"
        part = self._part(pointer)
        return (Delta("", "tool_call", 0, part, pointer, name),) if part is not None else EMPTY

    def _complete(self, source: _Source, output: int, payload: dict[str, Any]) -> Iterable[Delta]:
        """The whole text of a piece, wanted only when its increments did not come."""
        event = _event(payload)
        inner = event.content_index + event.summary_index + event.command_index
        name = self._names.get(output) if source.kind == "tool_call" else None
        said = payload.get(source.member)
        delta = self._once(f"/output/{output}{source.pointer.format(inner)}", said, source.kind, name)
        return (delta,) if delta is not None else EMPTY

    def _read_response(self, body: dict[str, Any]) -> Iterable[Delta]:
        self.response_id = self.response_id or short(body.get("id"))
        self.model = self.model or short(body.get("model"))
        self.service_tier = short(body.get("service_tier")) or self.service_tier
        if isinstance(body.get("usage"), dict):
            self.usage = usage_of(body["usage"])
        self.error_type = error_of(body, loose=False) or self.error_type
        status = text(body.get("status"))
        if status in _ENDED:
            self.finish_reasons = [short(mapping(body.get("incomplete_details")).get("reason")) or status]
        deltas: list[Delta] = []
        for at, item in enumerate(sequence(body.get("output"))):
            deltas += self._read_item(at, mapping(item))
        return deltas or EMPTY

    def _read_item(self, output: int, item: dict[str, Any]) -> Iterable[Delta]:
        """A finished item: whatever of it has not been given yet."""
        found = self._texts(output, item)
        label = type_of(item)
        name = tool_name(item, label)
        if name is not None and label.endswith("call") and not found:
            found.append(self._once(f"/output/{output}{opening(label)}", "", "tool_call", name))
        return [delta for delta in found if delta is not None]

    def _texts(self, output: int, item: dict[str, Any]) -> list[Delta | None]:
        """The texts of an item, None for those that were given before."""
        label = type_of(item)
        name, base = tool_name(item, label), f"/output/{output}"
        found = [
            self._once(base + place.pointer, place.text, place.kind, name if place.kind.startswith("tool") else None)
            for place in item_places(item, label)
        ]
        tools = item_tools(item, label).segments
        return found + [self._once(base + tool.pointer, tool.text, tool.kind, tool.name) for tool in tools]

    def _once(self, pointer: str, said: Any, kind: Kind, name: str | None) -> Delta | None:
        """A whole text, unless it was given before."""
        if pointer in self._filled or not isinstance(said, str):
            return None
        part = self._part(pointer)
        if part is None:
            return None
        self._filled.add(pointer)
        return Delta(said, kind, 0, part, pointer, name)

    def _part(self, pointer: str) -> int | None:
        """The number of a piece, None when there are too many."""
        part = self._parts.get(pointer)
        if part is None and len(self._parts) < PIECES_LIMIT:
            part = self._parts[pointer] = len(self._parts)
        return part


def _event(payload: dict[str, Any]) -> _Event:
    """An event whose members are of unexpected types, with what is usable of it."""
    output, content, summary, command = (whole(payload.get(key)) or 0 for key in _INDICES)
    return _Event(text(payload.get("type")) or "", output, content, summary, command, payload.get("delta"))
