"""Reading answers of Amazon Bedrock's Converse API, whole or streamed.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from llmtrace_sdk.core.model import Delta, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._bedrock_converse import BLOBS
from llmtrace_sdk.providers._reading import EMPTY, ReaderState, mapping, require_mapping, sequence, text
from llmtrace_sdk.providers._shared import compact, count, error_code, escape, event_body, joined, short, total, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmtrace_sdk.core.model import Kind

_CONTENT = "/output/message/content"


class _Text(Struct, forbid_unknown_fields=True):
    text: str


class _TextDelta(Struct):
    """An ordinary increment of a text."""

    contentBlockIndex: int  # noqa: N815
    delta: _Text


_DECODE = msgspec.json.Decoder(_TextDelta).decode


class ConverseReader(ReaderState):
    """The answer of one call."""

    __slots__ = ()

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a whole answer or an error; raises `Unreadable` for anything else."""
        answer = require_mapping(payload)
        self.done = True
        output = answer.get("output")
        if not isinstance(output, dict):
            self.error_type = read_error(answer)
            return EMPTY
        self._stopped(answer)
        self._count(answer)
        blocks = sequence(mapping(output.get("message")).get("content"))
        return [delta for at, block in enumerate(blocks) for delta in _read_block(mapping(block), at)]

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:
        """Read one event; without a name the JSON is `{name: event}`."""
        if name == "contentBlockDelta":
            try:
                step = _DECODE(data)
            except (ValueError, RecursionError):
                return self.read(name, event_body(data))
            at, said = step.contentBlockIndex, step.delta.text
            return (Delta(said, "text", 0, at, f"{_CONTENT}/{at}/text"),) if said else EMPTY
        body = event_body(data)
        if name:
            return self.read(name, body)
        return [delta for key, value in body.items() for delta in self.read(key, mapping(value))]

    def read(self, name: str, event: dict[str, Any]) -> Iterable[Delta]:
        """Read one decoded event."""
        at = whole(event.get("contentBlockIndex")) or 0
        if name == "contentBlockDelta":
            return list(_read_delta(mapping(event.get("delta")), at))
        if name == "contentBlockStart":
            return _read_start(mapping(event.get("start")), at)
        if name == "messageStop":
            self.done = True
            self._stopped(event)
        elif name == "metadata":
            self._count(event)
        elif name.endswith("Exception"):
            self.error_type = error_code(name)
        return EMPTY

    def _stopped(self, answer: dict[str, Any]) -> None:
        reason = short(answer.get("stopReason"))
        if reason:
            self.finish_reasons = [reason]

    def _count(self, answer: dict[str, Any]) -> None:
        """Cached tokens are not part of `inputTokens`."""
        self.service_tier = short(mapping(answer.get("serviceTier")).get("type")) or self.service_tier
        usage = answer.get("usage")
        if not isinstance(usage, dict):
            return
        read = count(usage.get("cacheReadInputTokens", usage.get("cacheReadInputTokenCount")))
        written = count(usage.get("cacheWriteInputTokens", usage.get("cacheWriteInputTokenCount")))
        taken = total(count(usage.get("inputTokens")), read, written)
        self.usage = Usage(taken, count(usage.get("outputTokens")), read, written)


def read_error(answer: dict[str, Any]) -> str:
    """The code of an error body; raises `Unreadable` when it is none. The name after `#` is the error's."""
    if not any(key in answer for key in ("message", "Message", "__type")):
        raise Unreadable("unknown_shape")
    return error_code((text(answer.get("__type")) or " ").rpartition("#")[2])


def _read_block(block: dict[str, Any], at: int) -> Iterator[Delta]:
    """One block of a whole answer."""
    base = f"{_CONTENT}/{at}"
    for sort, value in block.items():
        inner = mapping(value)
        if sort == "text":
            yield from _piece(value, "text", at, f"{base}/text")
        elif sort == "toolUse":
            given = compact(inner["input"]) if inner.get("input") else ""
            yield Delta(given, "tool_call", 0, at, f"{base}/toolUse/input", short(inner.get("name")))
        elif sort == "reasoningContent":
            said = mapping(inner.get("reasoningText")).get("text")
            yield from _piece(said, "reasoning", at, f"{base}/reasoningContent/reasoningText/text")
        elif sort == "citationsContent":
            for part in sequence(inner.get("content")):
                yield from _piece(mapping(part).get("text"), "text", at, f"{base}/citationsContent/content")
        elif sort == "toolResult":
            yield from _piece(joined(inner.get("content")), "tool_result", at, f"{base}/toolResult/content")
        elif sort not in BLOBS:
            yield from _piece(joined(value), "text", at, f"{base}/{escape(sort)}")


def _read_start(start: dict[str, Any], at: int) -> Iterable[Delta]:
    tool = mapping(start.get("toolUse"))
    if not tool:
        return EMPTY
    return (Delta("", "tool_call", 0, at, f"{_CONTENT}/{at}/toolUse/input", short(tool.get("name"))),)


def _read_delta(delta: dict[str, Any], at: int) -> Iterator[Delta]:
    base = f"{_CONTENT}/{at}"
    for sort, value in delta.items():
        if sort == "text":
            yield from _piece(value, "text", at, f"{base}/text")
        elif sort == "toolUse":
            yield from _piece(mapping(value).get("input"), "tool_call", at, f"{base}/toolUse/input")
        elif sort == "reasoningContent":
            said = mapping(value).get("text")
            yield from _piece(said, "reasoning", at, f"{base}/reasoningContent/reasoningText/text")
        elif sort == "toolResult":
            yield from _piece(joined(value), "tool_result", at, f"{base}/toolResult/content")


def _piece(value: Any, kind: Kind, at: int, pointer: str) -> Iterable[Delta]:
    return (Delta(value, kind, 0, at, pointer),) if isinstance(value, str) and value else EMPTY
