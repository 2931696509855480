"""The texts of a call as GenAI messages: JSON strings for spans, structures for events and completion hooks.

Schema: semantic-conventions-genai, gen-ai-input-messages.json and gen-ai-output-messages.json. Hashed and truncated
parts say so in additional properties, which the schema allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmtrace_sdk.telemetry import names
from llmtrace_sdk.telemetry.redaction import TextForm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.model import CallRecord, Channel, Content, Phase, Segment
    from llmtrace_sdk.telemetry.options import ContentForm

ATTRIBUTE_LIMIT_BYTES: Final = 64 * 1024
# What a part costs beyond its own JSON: brackets, role and name of the message it may open.
_PART_OVERHEAD: Final = 96
_ROLES: Final[dict[Channel, str]] = {"system": "system", "assistant": "assistant", "tool": "tool"}
_CONVERSATIONS: Final = ("/messages", "/input", "/contents", "/chat_history")
_CHOICES: Final = frozenset({"choices", "candidates"})

Message = dict[str, Any]


class Captured(msgspec.Struct, frozen=True):
    """The content of one call in its final form."""

    system: list[Message]
    inputs: list[Message]
    outputs: list[Message]
    tools: list[Message]

    def structured(self) -> dict[str, list[Message]]:
        """By attribute name, for events; what is empty is left out."""
        named = {
            names.SYSTEM_INSTRUCTIONS: self.system,
            names.INPUT_MESSAGES: self.inputs,
            names.OUTPUT_MESSAGES: self.outputs,
            names.TOOL_DEFINITIONS: self.tools,
        }
        return {name: value for name, value in named.items() if value}

    def serialised(self) -> dict[str, str]:
        """By attribute name, for spans: backends show JSON text better than nested values."""
        return {name: msgspec.json.encode(value).decode() for name, value in self.structured().items()}


def capture(content: Content, record: CallRecord, form: ContentForm, key: bytes) -> Captured:
    """The texts of a call in the given form; each of the four lists at most `ATTRIBUTE_LIMIT_BYTES` of JSON.

    Where a list is too long, the latest input and the earliest output stay.
    """
    shape = TextForm(form, record, key)
    system, tools, conversation = _sorted(content.input)
    return Captured(
        system=[part for _, part in _parts(system, shape, "input")],
        inputs=_messages(_parts(reversed(conversation), shape, "input")[::-1], _input_key),
        outputs=_messages(_parts(content.output, shape, "output"), _output_key),
        tools=[part for _, part in _parts(tools, shape, "input")],
    )


def _sorted(segments: Sequence[Segment]) -> tuple[list[Segment], list[Segment], list[Segment]]:
    """System instructions of a field of their own, tool definitions, and the conversation."""
    system, tools, conversation = [], [], []
    for segment in segments:
        if segment.kind == "tool_definition":
            tools.append(segment)
        elif segment.channel == "system" and not segment.pointer.startswith(_CONVERSATIONS):
            system.append(segment)
        else:
            conversation.append(segment)
    return system, tools, conversation


def _parts(segments: Iterable[Segment], shape: TextForm, phase: Phase) -> list[tuple[Segment, Message]]:
    """The segments as parts, until the attribute is full."""
    parts: list[tuple[Segment, Message]] = []
    room = ATTRIBUTE_LIMIT_BYTES
    for segment in segments:
        part = _part(segment, shape, phase)
        room -= len(msgspec.json.encode(part)) + _PART_OVERHEAD
        if room < 0:
            break
        parts.append((segment, part))
    return parts


def _part(segment: Segment, shape: TextForm, phase: Phase) -> Message:
    text, notes = shape.apply(segment, phase)
    name = segment.name[:256].encode("utf-8", "replace").decode() if segment.name else ""
    if segment.kind == "tool_definition":
        return {"type": "function", "name": name, "description": text, **notes}
    if segment.kind == "tool_call":
        return {"type": "tool_call", "id": None, "name": name, "arguments": text, **notes}
    if segment.kind == "tool_result":
        return {"type": "tool_call_response", "id": None, "response": text, **notes}
    kind = "reasoning" if segment.kind == "reasoning" else "text"
    return {"type": kind, "content": text, **notes}


def _messages(parts: Iterable[tuple[Segment, Message]], key_of: Any) -> list[Message]:
    """Neighbouring parts of the same message put together."""
    messages: list[Message] = []
    last = None
    for segment, part in parts:
        key = key_of(segment)
        if key != last:
            messages.append({"role": key[0], "parts": []})
            last = key
        messages[-1]["parts"].append(part)
    return messages


def _input_key(segment: Segment) -> tuple[str, str]:
    """Role and place of the message that an input segment belongs to: `/messages/3` of `/messages/3/content/0`."""
    return _ROLES.get(segment.channel, "user"), "/".join(segment.pointer.split("/", 3)[:3])


def _output_key(segment: Segment) -> tuple[str, str]:
    """Role and choice of an output segment; providers without choices give one message."""
    head = segment.pointer.split("/", 3)[:3]
    return "assistant", "/".join(head) if len(head) > 1 and head[1] in _CHOICES else ""
