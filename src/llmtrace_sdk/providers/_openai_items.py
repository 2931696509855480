"""The items of OpenAI's Responses API: where each type of item keeps its texts, in requests and in answers alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmtrace_sdk.providers import _openai_parts as parts
from llmtrace_sdk.providers._reading import mapping, sequence, text
from llmtrace_sdk.providers._shared import Draft, compact, short, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.model import Channel, Kind


class Place(NamedTuple):
    """A text inside an item: its JSON pointer from the item on."""

    pointer: str
    text: str
    kind: Kind


_CALL: Final[Kind] = "tool_call"
_RESULT: Final[Kind] = "tool_result"
_THOUGHT: Final[Kind] = "reasoning"

_PLACES: Final[dict[str, tuple[tuple[str, Kind], ...]]] = {
    "message": (("content/*/text", "text"), ("content/*/refusal", "refusal"), ("content/*/transcript", "text")),
    "reasoning": (("summary/*/text", _THOUGHT), ("content/*/text", _THOUGHT)),
    "function_call": (("arguments", _CALL),),
    "function_call_output": (("output", _RESULT),),
    "custom_tool_call": (("input", _CALL),),
    "custom_tool_call_output": (("output", _RESULT),),
    "mcp_call": (("arguments", _CALL), ("output", _RESULT), ("error", _RESULT)),
    "mcp_approval_request": (("arguments", _CALL),),
    "mcp_approval_response": (("reason", "text"),),
    "shell_call": (("action/commands/*", _CALL),),
    "shell_call_output": (("output/*/stdout", _RESULT), ("output/*/stderr", _RESULT)),
    "local_shell_call": (("action/command", _CALL),),
    "local_shell_call_output": (("output", _RESULT),),
    "apply_patch_call": (("operation/diff", _CALL), ("operation/path", _CALL)),
    "apply_patch_call_output": (("output", _RESULT),),
    "computer_call": (("action", _CALL), ("actions/*", _CALL)),
    "computer_call_output": (("output", _RESULT),),
    "web_search_call": (("action", _CALL),),
    "file_search_call": (("queries/*", _CALL), ("results/*/text", _RESULT)),
    "code_interpreter_call": (("code", _CALL), ("outputs/*/logs", _RESULT)),
    "image_generation_call": (("revised_prompt", _CALL),),
    "tool_search_call": (("arguments", _CALL),),
    "program": (("code", _CALL),),
    "program_output": (("result", _RESULT),),
    "mcp_list_tools": (("error", _RESULT),),
    "additional_tools": (),
    "tool_search_output": (),
    "compaction": (),
    "compaction_trigger": (),
    "configuration_update": (),
    "item_reference": (),
}
"""Members that hold text, by type of item; `*` stands for each element of a list."""

_NAMED_BY_ITEM = frozenset(
    {
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "mcp_call",
        "mcp_approval_request",
    }
)
_WITH_TOOLS = frozenset({"mcp_list_tools", "additional_tools", "tool_search_output"})
_WITH_PARTS = frozenset({"function_call_output", "custom_tool_call_output", "computer_call_output"})
_NO_TEXT = frozenset({"call_id", "created_by", "encrypted_content", "id", "result", "role", "status", "type"})
_CHANNELS: Final[dict[Kind, Channel]] = {_CALL: "assistant", _THOUGHT: "assistant", _RESULT: "tool"}
_TOKENS = {path: tuple(path.split("/")) for places in _PLACES.values() for path, _ in places}


def type_of(item: dict[str, Any]) -> str:
    """The type of an item; a bare `{"role", "content"}` is a message, a bare `{"id"}` a reference."""
    label = text(item.get("type"))
    if label is None:
        label = "message" if "role" in item else "item_reference" if item.keys() == {"id"} else ""
    return label


def tool_name(item: dict[str, Any], label: str) -> str | None:
    """The tool an item is about: its own `name`, or for hosted tools what its type says (`web_search_call`)."""
    if label in _NAMED_BY_ITEM or label not in _PLACES:
        return short(item.get("name"))
    return label.removesuffix("_output").removesuffix("_call") if _is_tool(label) else None


def opening(label: str) -> str:
    """The pointer of the arguments of a tool call inside its item, empty when they are no single member."""
    path, kind = next(iter(_PLACES.get(label, ())), ("*", "text"))
    return f"/{path}" if kind == _CALL and "*" not in path else ""


def _is_tool(label: str) -> bool:
    return any(kind in (_CALL, _RESULT) for _, kind in _PLACES[label])


def item_places(item: dict[str, Any], label: str) -> Iterator[Place]:
    """The texts of an item in the order of their members, tool definitions last."""
    fields = _PLACES.get(label)
    if fields is None:
        kind: Kind = _RESULT if label.endswith("_output") else _CALL if label.endswith("_call") else "text"
        yield from (Place(place, found, kind) for place, found in texts(item, "", _NO_TEXT))
        return
    for path, kind in fields:
        for pointer, value in _values(item, "", _TOKENS[path]):
            said = value if isinstance(value, str) else compact(value)
            if said:
                yield Place(pointer, said, kind)


def item_tools(item: dict[str, Any], label: str) -> Draft:
    """The tool definitions that an item carries."""
    draft = Draft()
    if label in _WITH_TOOLS:
        parts.read_tools(draft, item.get("tools"), "/tools")
    return draft


def _values(value: Any, pointer: str, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """The values at a path, with their pointers; what is absent, null or of another shape is left out."""
    if not path:
        if value is not None:
            yield pointer, value
    elif path[0] == "*":
        for at, item in enumerate(sequence(value)):
            yield from _values(item, f"{pointer}/{at}", path[1:])
    else:
        yield from _values(mapping(value).get(path[0]), f"{pointer}/{path[0]}", path[1:])


def read_items(draft: Draft, items: list[Any], pointer: str) -> None:
    """The input items of a request; a tool's result is named after the call it answers."""
    names: dict[str, str] = {}
    for at, item in enumerate(items):
        if isinstance(item, dict):
            _read_item(draft, item, f"{pointer}/{at}", names)
        else:
            draft.add(item, "user", f"{pointer}/{at}")


def _read_item(draft: Draft, item: dict[str, Any], pointer: str, names: dict[str, str]) -> None:
    label = type_of(item)
    if label == "message":
        channel = parts.channel_of(draft, item.get("role"))
        parts.read_content(draft, item.get("content"), channel, f"{pointer}/content")
        return
    if label not in _PLACES:
        draft.note()
    name = _name(item, label, names)
    parts.read_tools(draft, item.get("tools") if label in _WITH_TOOLS else None, f"{pointer}/tools")
    if label in _WITH_PARTS and not isinstance(item.get("output"), str):
        parts.read_content(draft, item.get("output"), "tool", f"{pointer}/output", _RESULT, name)
        return
    draft.blobs += _blobs(item, label)
    for place in item_places(item, label):
        draft.add(place.text, _CHANNELS.get(place.kind, "user"), pointer + place.pointer, place.kind, name)


def _name(item: dict[str, Any], label: str, names: dict[str, str]) -> str | None:
    """The tool of a call or of its result; calls are remembered by their id."""
    call, name = text(item.get("call_id")), tool_name(item, label)
    if call and name:
        names[call] = name
    return name or names.get(call or "")


def _blobs(item: dict[str, Any], label: str) -> int:
    """Pictures, and earlier turns that come back sealed."""
    if label == "code_interpreter_call":
        return sum(1 for output in sequence(item.get("outputs")) if mapping(output).get("type") == "image")
    return 1 if label == "compaction" or (label == "image_generation_call" and item.get("result")) else 0
