"""The parts of OpenAI-shaped requests: messages, content parts, tools, tool calls.

Facts from the OpenAI API reference and from the deviations of the vendors that copy it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.providers._reading import mapping, sequence, text
from llmtrace_sdk.providers._shared import joined, short, texts, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmtrace_sdk.core.model import Channel, Kind
    from llmtrace_sdk.providers._shared import Draft

CHANNELS: Final[dict[Any, Channel]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "ipython": "tool",
}

_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "summary_text", "reasoning_text"})
_BLOB_PARTS = frozenset(
    {
        "audio",
        "audio_url",
        "computer_screenshot",
        "document_url",
        "file",
        "file_url",
        "image",
        "image_file",
        "image_url",
        "input_audio",
        "input_file",
        "input_image",
        "input_video",
        "video",
        "video_url",
    }
)
_EMPTY_PARTS = frozenset({"reference", "tool_reference"})
_SCHEMA_KEYS = ("parameters", "input_schema", "output_schema", "format", "server_url", "connector_id", "allowed_tools")
_LABELS = frozenset({"type", "id", "signature"})
_REASONING_MEMBERS = ("reasoning_content", "reasoning")


def read_messages(draft: Draft, messages: list[Any], pointer: str) -> None:
    """A conversation; a tool's result is named after the call it answers."""
    names: dict[str, str] = {}
    for at, message in enumerate(messages):
        if isinstance(message, dict):
            _read_message(draft, message, f"{pointer}/{at}", names)
        else:
            draft.note()
            draft.add_texts(message, "user", f"{pointer}/{at}")


def _read_message(draft: Draft, message: dict[str, Any], pointer: str, names: dict[str, str]) -> None:
    channel = channel_of(draft, message.get("role"))
    content, place = message.get("content"), f"{pointer}/content"
    if channel == "tool":
        name = names.get(text(message.get("tool_call_id")) or "") or short(message.get("name"))
        read_content(draft, content, channel, place, "tool_result", name)
        return
    if channel == "assistant":
        for member in _REASONING_MEMBERS:
            draft.add(_plain(message.get(member)), channel, f"{pointer}/{member}", "reasoning")
    read_content(draft, content, channel, place)
    if channel == "assistant":
        _read_said(draft, message, channel, pointer, names)


def _plain(value: Any) -> str | None:
    """A text, or the texts inside something else."""
    return value if value is None or isinstance(value, str) else joined(value)


def _read_said(draft: Draft, message: dict[str, Any], channel: Channel, pointer: str, names: dict[str, str]) -> None:
    """What only the model's own messages hold: refusals, tool calls, references to earlier audio."""
    draft.add(message.get("refusal"), channel, f"{pointer}/refusal", "refusal")
    if message.get("audio"):
        draft.blobs += 1
    function = message.get("function_call")
    if isinstance(function, dict):
        draft.add_json(function.get("arguments"), f"{pointer}/function_call/arguments", short(function.get("name")))
    for at, call in enumerate(sequence(message.get("tool_calls"))):
        name, member, value = call_of(mapping(call))
        label = text(mapping(call).get("id"))
        if label and name:
            names[label] = name
        if member:
            draft.add_json(value, f"{pointer}/tool_calls/{at}{member}", name)
        else:
            draft.note()
            _read_strings(draft, call, channel, f"{pointer}/tool_calls/{at}", "tool_call", name)


def channel_of(draft: Draft, role: Any) -> Channel:
    """Who speaks in a role; an unknown role is not trusted more than the user, and noted."""
    channel = CHANNELS.get(role) if isinstance(role, str) else None
    if channel is None:
        draft.note("unknown_role")
        return "user"
    return channel


def read_content(
    draft: Draft, content: Any, channel: Channel, pointer: str, kind: Kind = "text", name: str | None = None
) -> None:
    """A message's content: a string, a list of parts, one part, or nothing."""
    if isinstance(content, list):
        for at, part in enumerate(content):
            _read_part(draft, part, channel, f"{pointer}/{at}", kind, name)
    else:
        _read_part(draft, content, channel, pointer, kind, name)


def _read_part(draft: Draft, part: Any, channel: Channel, pointer: str, kind: Kind, name: str | None) -> None:
    if not isinstance(part, dict):
        draft.add(part, channel, pointer, kind, name)
        return
    label = part.get("type")
    if label in ("refusal", "thinking"):
        said: Kind = "refusal" if label == "refusal" else "reasoning"
        _read_strings(draft, part.get(label), channel, f"{pointer}/{label}", said, name)
    elif isinstance(label, str) and label in _BLOB_PARTS:
        draft.blobs += 1
    elif isinstance(part.get("text"), str) and (label is None or (isinstance(label, str) and label in _TEXT_PARTS)):
        draft.add(part["text"], channel, f"{pointer}/text", kind, name)
    elif not isinstance(label, str) or label not in _EMPTY_PARTS:
        draft.note()
        _read_strings(draft, part, channel, pointer, kind, name)


def _read_strings(draft: Draft, value: Any, channel: Channel, pointer: str, kind: Kind, name: str | None) -> None:
    """Every string inside, save for labels."""
    found = texts(value, pointer, _LABELS)
    draft.segments.extend(Segment(said, channel, place, kind, name) for place, said in found)


def read_tools(draft: Draft, tools: Any, pointer: str) -> None:
    """The tools offered to the model: nested in `function` or `custom`, flat, hosted, MCP servers, namespaces."""
    for at, tool in enumerate(sequence(tools)):
        place = f"{pointer}/{at}"
        _read_tool(draft, tool, place)
        if mapping(tool).get("type") == "namespace":
            for nested, member in enumerate(sequence(tool.get("tools"))):
                _read_tool(draft, member, f"{place}/tools/{nested}")


def _read_tool(draft: Draft, tool: Any, pointer: str) -> None:
    body = mapping(tool)
    label = body.get("type")
    if label in ("function", "custom") and isinstance(body.get(label), dict):
        body = body[label]
    name = short(body.get("name")) or short(body.get("server_label")) or short(label)
    if name is None:
        draft.note()
        draft.add_texts(tool, "system", pointer, "tool_definition")
        return
    schema = {key: body[key] for key in _SCHEMA_KEYS if body.get(key)}
    told = schema["parameters"] if schema.keys() == {"parameters"} else schema
    draft.add_tool(name, body.get("description") or body.get("server_description"), told, pointer)


def call_of(call: Mapping[str, Any]) -> tuple[str | None, str, Any]:
    """A tool call's tool, the pointer of its arguments inside the call, and the arguments."""
    for wrapper, member in (("function", "arguments"), ("custom", "input")):
        inner = call.get(wrapper)
        if isinstance(inner, dict):
            return short(inner.get("name")), f"/{wrapper}/{member}", inner.get(member)
    return short(call.get("name")), "", None


def read_texts(draft: Draft, value: Any, pointer: str) -> None:
    """Prompts or texts to embed: a string, a list of strings, token ids, or parts with text or image."""
    if not isinstance(value, list):
        read_content(draft, value, "user", pointer)
    elif _is_tokens(value):
        _read_tokens(draft)
    else:
        for at, item in enumerate(value):
            if _is_tokens(item):
                _read_tokens(draft)
            else:
                _read_text(draft, item, f"{pointer}/{at}")


def _read_text(draft: Draft, item: Any, pointer: str) -> None:
    """One text; vendors of multimodal embeddings write `{"text": ...}`, `{"image": ...}` or `{"content": [parts]}`."""
    body = mapping(item)
    if not body or "type" in body:
        read_content(draft, item, "user", pointer)
        return
    draft.blobs += 1 if body.get("image") else 0
    draft.add(body.get("text"), "user", f"{pointer}/text")
    read_content(draft, body.get("content"), "user", f"{pointer}/content")


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(whole(item) is not None for item in value)


def _read_tokens(draft: Draft) -> None:
    draft.blobs += 1
    draft.note("token_ids")
