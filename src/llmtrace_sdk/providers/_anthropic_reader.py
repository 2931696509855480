"""Reading answers of Anthropic's Messages API, whole or streamed (also inside Bedrock and Vertex AI bodies).

Source: https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from llmtrace_sdk.core.model import Delta, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._anthropic_request import OPAQUE, SILENT, TOOL_CALLS
from llmtrace_sdk.providers._reading import EMPTY, ReaderState, mapping, require_mapping, text
from llmtrace_sdk.providers._shared import (
    UNKNOWN_PART,
    compact,
    count,
    error_code,
    event_body,
    joined,
    short,
    total,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmtrace_sdk.core.model import Kind


class _Increment(Struct):
    type: str
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    content: str | None = None


class _BlockDelta(Struct):
    type: str
    index: int
    delta: _Increment


_DECODE = msgspec.json.Decoder(_BlockDelta).decode
_SILENT_DELTAS = frozenset({"citations_delta", "signature_delta"})
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class MessagesReader(ReaderState):
    """The answer of one call."""

    __slots__ = ("_counts", "_open")

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, int] = {}
        self._open: int | None = None

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a whole message or an error body; raises `Unreadable` for anything else."""
        message = require_mapping(payload)
        self.done = True
        if message.get("error"):
            return self._failed(message)
        content = message.get("content")
        if not isinstance(content, list):
            raise Unreadable("unknown_shape")
        self._opened(message)
        self._stopped(message)
        return [delta for at, block in enumerate(content) for delta in _block(mapping(block), at)]

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:
        """Read one event; `data` alone decides what it is when `name` is empty."""
        if name == "content_block_delta" or not name:
            try:
                step = _DECODE(data)
            except (ValueError, RecursionError):
                return self._event(data)
            if step.type == "content_block_delta":
                return self._increment(step.index, step.delta)
        return self._event(data)

    def _increment(self, at: int, step: _Increment) -> Iterable[Delta]:
        """The hot path: one call per token. The pointer was given when the block was opened."""
        if step.type == "text_delta":
            if not step.text:
                return EMPTY
            return (Delta(step.text, "text", 0, at, "" if at == self._open else f"/content/{at}/text"),)
        if step.type == "input_json_delta":
            return self._piece(at, step.partial_json, "tool_call", "input")
        if step.type == "thinking_delta":
            return self._piece(at, step.thinking, "reasoning", "thinking")
        if step.type == "compaction_delta":
            return self._piece(at, step.content, "text", "content")
        if step.type in _SILENT_DELTAS:
            return EMPTY
        raise Unreadable(UNKNOWN_PART)

    def _piece(self, at: int, value: str | None, kind: Kind, field: str) -> Iterable[Delta]:
        if not value:
            return EMPTY
        return (Delta(value, kind, 0, at, "" if at == self._open else f"/content/{at}/{field}"),)

    def _event(self, data: bytes) -> Iterable[Delta]:
        event = event_body(data)
        sort = event.get("type")
        if sort == "content_block_start":
            return self._start(event)
        if sort == "content_block_delta":
            return self._odd_increment(event)
        if sort == "message_start":
            self._opened(mapping(event.get("message")))
        elif sort == "message_delta":
            self._stopped({**mapping(event.get("delta")), "usage": event.get("usage")})
        elif sort == "message_stop":
            self.done = True
        elif sort == "error" or event.get("error"):
            return self._failed(event)
        return EMPTY

    def _start(self, event: dict[str, Any]) -> Iterable[Delta]:
        at = whole(event.get("index")) or 0
        self._open = at
        return list(_block(mapping(event.get("content_block")), at))

    def _odd_increment(self, event: dict[str, Any]) -> Iterable[Delta]:
        step, at = mapping(event.get("delta")), whole(event.get("index")) or 0
        known = (text(step.get(field)) for field in _Increment.__struct_fields__[1:])
        return self._increment(at, _Increment(text(step.get("type")) or "", *known))

    def _opened(self, message: dict[str, Any]) -> None:
        self.model = short(message.get("model")) or self.model
        self.response_id = short(message.get("id")) or self.response_id
        self._count(message.get("usage"))

    def _stopped(self, message: dict[str, Any]) -> None:
        reason = short(message.get("stop_reason"))
        if reason:
            self.finish_reasons = [reason]
        self._count(message.get("usage"))

    def _count(self, usage: Any) -> None:
        """Take over counts; those of a later event are cumulative and replace the earlier ones."""
        if not isinstance(usage, dict):
            return
        known = self._counts
        for field in _COUNTS:
            value = count(usage.get(field))
            if value is not None:
                known[field] = value
        lasting = count(mapping(usage.get("cache_creation")).get("ephemeral_1h_input_tokens"))
        if lasting is not None:
            known["cache_write_1h"] = lasting
        thought = count(mapping(usage.get("output_tokens_details")).get("thinking_tokens"))
        if thought is not None:
            known["thinking_tokens"] = thought
        self.service_tier = short(usage.get("service_tier")) or self.service_tier
        read, written = known.get("cache_read_input_tokens"), known.get("cache_creation_input_tokens")
        self.usage = Usage(
            input_tokens=total(known.get("input_tokens"), read, written),
            output_tokens=known.get("output_tokens"),
            cache_read_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=known.get("thinking_tokens"),
            cache_write_1h_tokens=known.get("cache_write_1h"),
        )

    def _failed(self, message: dict[str, Any]) -> Iterable[Delta]:
        error = message.get("error")
        self.error_type = error_code(mapping(error).get("type"), mapping(error).get("code"), error)
        return EMPTY


def _block(block: dict[str, Any], at: int) -> Iterator[Delta]:
    """A content block, complete or just opened: then mostly empty, but it gives pointer and tool name."""
    sort, base = text(block.get("type")) or "", f"/content/{at}"
    if sort == "text":
        yield Delta(text(block.get("text")) or "", "text", 0, at, f"{base}/text")
    elif sort == "thinking":
        yield Delta(text(block.get("thinking")) or "", "reasoning", 0, at, f"{base}/thinking")
    elif sort in TOOL_CALLS:
        given = compact(block["input"]) if block.get("input") else ""
        yield Delta(given, "tool_call", 0, at, f"{base}/input", short(block.get("name")))
    elif sort.endswith("_tool_result"):
        yield Delta(joined(block.get("content"), OPAQUE), "tool_result", 0, at, f"{base}/content")
    elif sort == "compaction":
        yield Delta(text(block.get("content")) or "", "text", 0, at, f"{base}/content")
    elif sort not in SILENT and (said := joined(block, OPAQUE)):
        yield Delta(said, "text", 0, at, base)
