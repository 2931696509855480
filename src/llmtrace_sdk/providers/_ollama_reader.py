"""Reading answers of Ollama's own API: one JSON object, or one a line until `"done": true`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from llmtrace_sdk.core.model import Delta, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._reading import EMPTY, ReaderState, mapping, require_mapping, sequence
from llmtrace_sdk.providers._shared import compact, count, error_code, event_body, short

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_sdk.core.model import Kind


class _Message(Struct):
    content: str
    thinking: str | None = None
    tool_calls: list[Any] | None = None


class _Chunk(Struct):
    """An ordinary chunk of a chat or a completion; an error has no `done`."""

    done: bool
    message: _Message | None = None
    response: str | None = None
    thinking: str | None = None


_DECODE = msgspec.json.Decoder(_Chunk).decode
_Fields = tuple[tuple[str, "Kind", str], ...]
_TEXTS: _Fields = (("response", "text", "/response"), ("thinking", "reasoning", "/thinking"))
_MESSAGE_TEXTS: _Fields = (("content", "text", "/message/content"), ("thinking", "reasoning", "/message/thinking"))
_ANSWERS = ("message", "response", "thinking", "embeddings", "embedding", "done")


class OllamaReader(ReaderState):
    """The answer of one call."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a whole answer or an error; raises `Unreadable` for anything else."""
        answer = require_mapping(payload)
        if "error" not in answer and not any(key in answer for key in _ANSWERS):
            raise Unreadable("unknown_shape")
        self.done = True
        return self._answer(answer)

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:  # noqa: ARG002
        """Read one line."""
        try:
            chunk = _DECODE(data)
        except (ValueError, RecursionError):
            return self._answer(event_body(data))
        message = chunk.message
        if chunk.done or chunk.thinking or self.model is None or (message is not None and chunk.response):
            return self._answer(event_body(data))
        if message is None:
            return (Delta(chunk.response, "text", 0, 0, "/response"),) if chunk.response else EMPTY
        if message.thinking or message.tool_calls:
            return self._answer(event_body(data))
        return (Delta(message.content, "text", 0, 0, "/message/content"),) if message.content else EMPTY

    def _answer(self, answer: dict[str, Any]) -> Iterable[Delta]:
        if answer.get("error"):
            error = answer["error"]
            self.error_type = error_code(mapping(error).get("code"), mapping(error).get("type"), answer.get("code"))
            return EMPTY
        self.model = short(answer.get("model")) or self.model
        if answer.get("done") is True or "prompt_eval_count" in answer:
            self._last(answer)
        message = mapping(answer.get("message"))
        found = [
            Delta(given, kind, 0, 0, pointer)
            for source, fields in ((answer, _TEXTS), (message, _MESSAGE_TEXTS))
            for key, kind, pointer in fields
            if isinstance(given := source.get(key), str) and given
        ]
        return found + [self._call(mapping(call)) for call in sequence(message.get("tool_calls"))]

    def _last(self, answer: dict[str, Any]) -> None:
        self.done = answer.get("done") is True or self.done
        reason = short(answer.get("done_reason"))
        if reason:
            self.finish_reasons = [reason]
        self.usage = Usage(count(answer.get("prompt_eval_count")), count(answer.get("eval_count")))

    def _call(self, call: dict[str, Any]) -> Delta:
        """Calls come whole, several of them over several lines."""
        at, function = self._calls, mapping(call.get("function"))
        self._calls += 1
        given = compact(function["arguments"]) if function.get("arguments") else ""
        pointer = f"/message/tool_calls/{at}/function/arguments"
        return Delta(given, "tool_call", 0, at, pointer, short(function.get("name")))
