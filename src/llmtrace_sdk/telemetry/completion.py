"""Completion hooks: content handed to a callable of the user's, as OpenTelemetry's util-genai does it.

The classes have the fields of util-genai's own (`opentelemetry.util.genai.types`), so a hook written for that package
works here whether or not it is installed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry._logs import LogRecord
    from opentelemetry.trace import Span

    from llmtrace_sdk.telemetry.content import Captured, Message


@dataclass(slots=True)
class TextPart:
    """A text or reasoning part (told by `type`); `hashed` says that `content` is a digest of a text of `length`."""

    content: str
    type: str = "text"
    truncated: bool = False
    hashed: bool = False
    length: int | None = None


@dataclass(slots=True)
class ToolCallPart:
    """A call the model asked for."""

    arguments: Any
    name: str
    id: str | None = None
    type: str = "tool_call"
    truncated: bool = False
    hashed: bool = False
    length: int | None = None


@dataclass(slots=True)
class ToolCallResponsePart:
    """The result of a tool call."""

    response: Any
    id: str | None = None
    type: str = "tool_call_response"
    truncated: bool = False
    hashed: bool = False
    length: int | None = None


@dataclass(slots=True)
class ToolDefinition:
    """A tool offered to the model."""

    name: str
    description: str | None = None
    parameters: Any = None
    type: str = "function"
    truncated: bool = False
    hashed: bool = False
    length: int | None = None


Part = TextPart | ToolCallPart | ToolCallResponsePart
_CLASSES: dict[str, type[Part]] = {"tool_call": ToolCallPart, "tool_call_response": ToolCallResponsePart}


@dataclass(slots=True)
class ChatMessage:
    """One message of the conversation, or one choice of the answer."""

    role: str
    parts: list[Part] = field(default_factory=list)
    name: str | None = None
    finish_reason: str | None = None


class CompletionHook(Protocol):
    """Receives the content of each captured call, on the worker thread, in the form the options ask for.

    It may take its time only as far as the worker's queue is long. What it raises is counted and logged.
    """

    def on_completion(
        self,
        *,
        inputs: list[Any],
        outputs: list[Any],
        system_instruction: list[Any],
        tool_definitions: list[Any] | None = None,
        span: Span | None = None,
        log_record: LogRecord | None = None,
    ) -> None:
        """Take the content of one call."""


def call(hook: CompletionHook, captured: Captured, span: Span | None) -> None:
    """Hand the content to a hook; raises whatever the hook raises."""
    hook.on_completion(
        inputs=_messages(captured.inputs),
        outputs=_messages(captured.outputs),
        system_instruction=_parts(captured.system),
        tool_definitions=[ToolDefinition(**tool) for tool in captured.tools] or None,
        span=span,
    )


def _messages(messages: Iterable[Message]) -> list[ChatMessage]:
    return [ChatMessage(message["role"], _parts(message["parts"])) for message in messages]


def _parts(parts: Iterable[Message]) -> list[Part]:
    return [_CLASSES.get(part["type"], TextPart)(**part) for part in parts]
