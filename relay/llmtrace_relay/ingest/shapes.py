"""Messages in the shapes that instrumentations give them -> segments.

Read are the messages of the GenAI conventions (`parts`), those of the OpenAI and Anthropic APIs (`content`,
`tool_calls`), which many instrumentations pass on as they are, and plain text. What is in no known shape is a text too:
nothing that came along goes uninspected for its shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct, field

from llmtrace_sdk.core.masking import encodable
from llmtrace_sdk.core.model import Segment

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Channel, Kind

SEGMENTS_LIMIT: Final = 1024
"""In one direction of one call."""

TEXT_LIMIT: Final = "text_limit"
"""The coverage code of texts that are not all there."""

NAME_LIMIT: Final = 256
_MEMBERS: Final = ("parts", "reasoning_content", "content", "refusal", "tool_calls", "function_call")
_DEPTH_LIMIT: Final = 8
_CHANNELS: Final[dict[str, Channel]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "tool": "tool",
    "function": "tool",
}
_SAID: Final[dict[str, Kind]] = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "reasoning": "reasoning",
    "thinking": "reasoning",
    "refusal": "refusal",
}
_CALLS: Final = frozenset({"tool_call", "tool_use", "function", "function_call", "server_tool_call"})
_RESULTS: Final = frozenset({"tool_call_response", "tool_result", "function_call_output", "server_tool_call_response"})
_BLOBS: Final = frozenset(
    {"blob", "file", "uri", "image", "image_url", "input_image", "input_audio", "audio", "document"}
)


class ToolCall(Struct, frozen=True):
    """A tool that a model asked for, or that was used. `segment` has its arguments."""

    name: str
    id: str
    segment: Segment


class Reading(Struct):
    """What has been read of one direction of a call. `notes` are coverage codes for what was not.

    `room` is how many characters more there may be: what is not inspected is not kept.
    """

    room: int
    segments: list[Segment] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, code: str) -> None:
        """Something was not read."""
        if code not in self.notes:
            self.notes.append(code)

    def messages(self, value: Any, channel: Channel, pointer: str) -> None:
        """A list of messages, one message, or a text. `channel` is whose they are where they do not say."""
        if not isinstance(value, list):
            self.message(value, channel, pointer)
            return
        for index, each in enumerate(value):
            self.message(each, channel, f"{pointer}/{index}")

    def message(self, value: Any, channel: Channel, pointer: str, depth: int = 0) -> None:
        """One message; that of a choice is within it."""
        if not isinstance(value, dict):
            self.content(value, channel, pointer)
            return
        inner = value.get("message")
        if isinstance(inner, dict) and depth < _DEPTH_LIMIT:
            self.message(inner, channel, f"{pointer}/message", depth + 1)
            return
        if "role" not in value and value.get("type", "message") != "message":
            self.part(value, channel, pointer)
            return
        channel = _channel(value.get("role"), channel)
        named = [name for name in _MEMBERS if value.get(name)]
        if not named:
            self.part(value, channel, pointer)
        for name in named:
            self.content(value[name], channel, f"{pointer}/{name}")

    def content(self, value: Any, channel: Channel, pointer: str, depth: int = 0) -> None:
        """The content of a message: a text, a part, or a list of them."""
        if depth > _DEPTH_LIMIT:
            self._odd(value, channel, pointer)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                self.content(each, channel, f"{pointer}/{index}", depth + 1)
        elif isinstance(value, dict):
            self.part(value, channel, pointer)
        elif isinstance(value, str):
            self.add(value, channel, pointer)
        elif value is not None:
            self._odd(value, channel, pointer)

    def part(self, part: dict[str, Any], channel: Channel, pointer: str) -> None:
        """A part of a message."""
        kind = part.get("type")
        kind = kind if isinstance(kind, str) else ""
        if kind in _CALLS or "function" in part or ("arguments" in part and "name" in part):
            self.tool_call(part, pointer)
        elif kind in _RESULTS:
            self._result(part, pointer)
        elif kind in _BLOBS:
            self.note("binary_part")
        else:
            self._said(part, kind, channel, pointer)

    def tool_call(self, part: dict[str, Any], pointer: str) -> None:
        """A call of a tool; its arguments are JSON, as text or as they are."""
        function = part.get("function")
        told = function if isinstance(function, dict) else part
        arguments = told.get("arguments", told.get("input"))
        name = _name(told.get("name")) or "unknown"
        segment = self.add(as_text(arguments), "assistant", pointer, "tool_call", name)
        if segment is not None:
            self.calls.append(ToolCall(name, _name(part.get("id")), segment))

    def definitions(self, value: Any, pointer: str) -> None:
        """The tools that were offered to a model."""
        for index, each in enumerate(value if isinstance(value, list) else [value]):
            self.add(as_text(each), "system", f"{pointer}/{index}", "tool_definition")

    def add(
        self, text: str, channel: Channel, pointer: str, kind: Kind = "text", name: str | None = None
    ) -> Segment | None:
        """One more text, which is not kept if it is empty; None where there is no room for it."""
        if len(self.segments) >= SEGMENTS_LIMIT:
            self.note("segments_limit")
            return None
        if len(text) > self.room:
            self.note(TEXT_LIMIT)
            text = text[: self.room]
        self.room -= len(text)
        clean = encodable(text.replace("\0", "\ufffd")) if not text.isascii() or "\0" in text else text
        segment = Segment(clean, channel, pointer, kind, name)
        if clean:
            self.segments.append(segment)
        return segment

    def _said(self, part: dict[str, Any], kind: str, channel: Channel, pointer: str) -> None:
        for name in ("content", "text", kind):
            value = part.get(name) if name else None
            if isinstance(value, str):
                self.add(value, channel, f"{pointer}/{name}", _SAID.get(kind, "text"))
                return
        if len(part) > 1 or not kind:
            self._odd(part, channel, pointer)

    def _result(self, part: dict[str, Any], pointer: str) -> None:
        for name in ("response", "result", "content", "output"):
            if part.get(name) is not None:
                self.add(
                    as_text(part[name]), "tool", f"{pointer}/{name}", "tool_result", _name(part.get("name")) or None
                )
                return

    def _odd(self, value: Any, channel: Channel, pointer: str) -> None:
        if value not in ({}, []):
            self.add(as_text(value), channel, pointer)


def as_text(value: Any) -> str:
    """A text as it is; anything else as JSON, nothing as nothing."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return msgspec.json.encode(value).decode("utf-8", "replace")
    except (ValueError, TypeError, OverflowError, RecursionError):
        return ""


def _channel(role: Any, otherwise: Channel) -> Channel:
    return _CHANNELS.get(role.lower(), otherwise) if isinstance(role, str) else otherwise


def _name(value: Any) -> str:
    return encodable(value.replace("\0", "\ufffd"))[:NAME_LIMIT] if isinstance(value, str) else ""
