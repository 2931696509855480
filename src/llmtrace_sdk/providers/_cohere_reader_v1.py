"""Reading answers of Cohere's chat version 1, whole or streamed a line each, also inside Bedrock.

Source: https://docs.cohere.com/v1/reference/chat-stream
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core.model import Delta
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._cohere_reader import read_usage
from llmtrace_sdk.providers._reading import EMPTY, ReaderState, mapping, require_mapping, sequence, text
from llmtrace_sdk.providers._shared import compact, error_code, event_body, short, whole

if TYPE_CHECKING:
    from collections.abc import Iterable


class ChatReaderV1(ReaderState):
    """The answer of one call of `/v1/chat` or `/v1/embed`."""

    __slots__ = ("_called", "_said")

    def __init__(self) -> None:
        super().__init__()
        self._said = False
        self._called = False

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a whole answer or an error; raises `Unreadable` for anything else."""
        answer = require_mapping(payload)
        self.done = True
        if "text" in answer or "tool_calls" in answer:
            return self._answer(answer)
        if "embeddings" in answer:
            self.usage = read_usage(mapping(answer.get("meta")))
        elif "message" in answer:
            self.error_type = error_code(answer.get("code"))
        else:
            raise Unreadable("unknown_shape")
        return EMPTY

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:  # noqa: ARG002
        """Read one line."""
        event = event_body(data)
        sort = event.get("event_type")
        if sort == "text-generation":
            return self._text(event)
        if sort == "tool-calls-chunk":
            return self._call_chunk(mapping(event.get("tool_call_delta")))
        if sort == "tool-calls-generation":
            return self._calls(event)
        if sort == "stream-start":
            self.response_id = short(event.get("generation_id"))
        elif sort == "stream-end":
            self.done = True
            return self._answer({"finish_reason": event.get("finish_reason"), **mapping(event.get("response"))})
        elif sort is None and event:
            return self.body(event)
        return EMPTY

    def _text(self, answer: dict[str, Any]) -> Iterable[Delta]:
        said = text(answer.get("text"))
        self._said = self._said or said is not None
        return (Delta(said, "text", 0, 0, "/text"),) if said else EMPTY

    def _call_chunk(self, chunk: dict[str, Any]) -> Iterable[Delta]:
        at = whole(chunk.get("index")) or 0
        name, given = short(chunk.get("name")), text(chunk.get("parameters")) or ""
        if not given and name is None:
            return EMPTY
        self._called = True
        return (Delta(given, "tool_call", 0, at, f"/tool_calls/{at}/parameters", name),)

    def _answer(self, answer: dict[str, Any]) -> Iterable[Delta]:
        """A whole answer; the end of a stream repeats all that was said, which is then not read again."""
        self.response_id = short(answer.get("generation_id")) or self.response_id
        reason = short(answer.get("finish_reason"))
        if reason:
            self.finish_reasons = [reason]
        self.usage = read_usage(mapping(answer.get("meta")))
        said = EMPTY if self._said else self._text(answer)
        return [*said, *self._calls(answer)]

    def _calls(self, answer: dict[str, Any]) -> Iterable[Delta]:
        """Calls given whole, unless they came in chunks before."""
        if self._called:
            return EMPTY
        found = []
        for at, item in enumerate(sequence(answer.get("tool_calls"))):
            call = mapping(item)
            given = compact(call["parameters"]) if call.get("parameters") else ""
            found.append(Delta(given, "tool_call", 0, at, f"/tool_calls/{at}/parameters", short(call.get("name"))))
        self._called = bool(found)
        return found
