"""The texts of a call: what was said to a model and what it said, from attributes and events, of today and older."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct

from llmtrace_relay.ingest import names
from llmtrace_relay.ingest.shapes import Reading
from llmtrace_sdk.core import jsonio
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.telemetry import names as ours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmtrace_relay.ingest.calls import Call
    from llmtrace_relay.ingest.facts import Facts
    from llmtrace_relay.ingest.reported import Event
    from llmtrace_sdk.core.model import Channel

What = Literal["prompt", "completion"]
_OLD: Final[dict[What, tuple[str, str]]] = {
    "prompt": (names.OLD_PROMPT, names.PROMPT_EVENT),
    "completion": (names.OLD_COMPLETION, names.COMPLETION_EVENT),
}
_NUMBERED: Final = re.compile(
    r"gen_ai\.(prompt|completion)\.(\d{1,4})\.(role|content|reasoning|tool_calls\.(\d{1,4})\.(id|name|arguments))",
    re.ASCII,
)


class Texts(Struct, frozen=True):
    """Both directions of a call."""

    input: Reading
    output: Reading


def texts_of(call: Call, facts: Facts, limit: int) -> Texts:
    """What came along of the texts of a call, at most `limit` characters in each direction."""
    told, events = facts.all, call.span.events
    texts = Texts(Reading(limit), Reading(limit))
    _read_input(texts.input, told, events)
    _read_output(texts.output, told, events)
    _read_tool(texts, told)
    return texts


def _read_input(reading: Reading, facts: Mapping[str, Any], events: tuple[Event, ...]) -> None:
    reading.messages(_structured(facts.get(ours.SYSTEM_INSTRUCTIONS)), "system", "/system_instructions")
    if facts.get(ours.INPUT_MESSAGES):
        reading.messages(_structured(facts[ours.INPUT_MESSAGES]), "user", "/input/messages")
    else:
        _read_old(reading, facts, events, "prompt", "user")
        for index, event in enumerate(events):
            role = names.MESSAGE_EVENTS.get(event.name)
            if role is not None:
                reading.message(_body({"role": role}, event), "user", f"/events/{index}")
    if facts.get(ours.TOOL_DEFINITIONS):
        reading.definitions(_structured(facts[ours.TOOL_DEFINITIONS]), "/tool/definitions")


def _read_output(reading: Reading, facts: Mapping[str, Any], events: tuple[Event, ...]) -> None:
    if facts.get(ours.OUTPUT_MESSAGES):
        reading.messages(_structured(facts[ours.OUTPUT_MESSAGES]), "assistant", "/output/messages")
        return
    _read_old(reading, facts, events, "completion", "assistant")
    for index, event in enumerate(events):
        if event.name == names.CHOICE_EVENT:
            reading.message(_body({}, event), "assistant", f"/events/{index}")


def _read_old(
    reading: Reading, facts: Mapping[str, Any], events: tuple[Event, ...], what: What, channel: Channel
) -> None:
    """Prompts and completions: an attribute, an event with it, or an attribute for each part of each message."""
    name, event_name = _OLD[what]
    told = [facts.get(name), *(event.attributes.get(name) for event in events if event.name == event_name)]
    for index, value in enumerate(value for value in told if value):
        reading.messages(_structured(value), channel, f"/{what}/{index}" if index else f"/{what}")
    for number, message in sorted(_numbered(facts, what).items()):
        reading.message(message, channel, f"/{what}/messages/{number}")


def _numbered(facts: Mapping[str, Any], what: What) -> dict[int, dict[str, Any]]:
    """`gen_ai.prompt.0.content` and the like, as messages by number."""
    messages: dict[int, dict[str, Any]] = {}
    for name, value in facts.items():
        found = _NUMBERED.fullmatch(name)
        if found is None or found[1] != what:
            continue
        message = messages.setdefault(int(found[2]), {"content": [], "tools": {}})
        if found[4] is not None:
            message["tools"].setdefault(int(found[4]), {"type": "tool_call"})[found[5]] = value
        elif found[3] == "role":
            message["role"] = value
        else:
            message["content"].append(_part(found[3], value))
    return {number: {**message, "tool_calls": [*message.pop("tools").values()]} for number, message in messages.items()}


def _part(name: str, value: Any) -> Any:
    """A content may be JSON of parts; of a text that only looks like it, nothing is lost."""
    if name == "reasoning":
        return {"type": "reasoning", "content": value}
    inner = _structured(value)
    return inner if isinstance(inner, list) else value


def _body(message: dict[str, Any], event: Event) -> Any:
    """The message of an event: in one attribute as JSON, or an attribute for each member."""
    body = event.attributes.get(names.EVENT_BODY)
    told = _structured(body) if body is not None else event.attributes
    if not isinstance(told, dict):
        return {**message, "content": told}
    return {**message, **{name: _structured(value) if name != "content" else value for name, value in told.items()}}


def _read_tool(texts: Texts, facts: Mapping[str, Any]) -> None:
    """A tool that was used: its arguments are the model's words, its result goes to the model."""
    if facts.get(ours.OPERATION) != names.TOOL_USE:
        return
    told = {"name": facts.get(names.TOOL_NAME), "id": facts.get(names.TOOL_CALL_ID)}
    texts.output.tool_call({**told, "arguments": facts.get(names.TOOL_ARGUMENTS)}, "/tool/call/arguments")
    result = facts.get(names.TOOL_RESULT)
    if result is not None:
        texts.input.part({**told, "type": "tool_result", "result": result}, "tool", "/tool/call")


def _structured(value: Any) -> Any:
    """The lists and objects of a JSON text; any other text, one that is cut off too, as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return jsonio.decode(value.encode("utf-8", "replace"))
    except Unreadable:
        return value
