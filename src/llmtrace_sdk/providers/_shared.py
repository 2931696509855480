"""What the wire formats share beyond careful accessors: prompts in the making, texts in JSON, error codes."""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from llmtrace_sdk.core import jsonio
from llmtrace_sdk.core.model import Prompt, Segment, Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._reading import json_text, mapping, require_mapping, sequence, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmtrace_sdk.core.model import Channel, Decision, Kind

BLOCKED_CODE = "llmtrace_blocked"
OTHER_ERROR = "_OTHER"
UNKNOWN_PART = "unknown_part"
UNKNOWN_ROLE = "unknown_role"

_NAME_LIMIT = 256
_INT64 = 2**63
_LEAF_LIMIT = 32
_LEVEL_DONE: tuple[None, None] = (None, None)
_TELLING_NUMBER = 10**6
_CODE = re.compile(r"[A-Za-z0-9_.:#-]{1,64}")
_ENCODE = msgspec.json.encode


def event_value(data: bytes) -> Any:
    """The JSON of a streamed event, an empty object for heartbeats and `[DONE]`; raises `Unreadable`."""
    if not data.strip() or data == b"[DONE]":
        return {}
    return jsonio.decode(data)


def event_body(data: bytes) -> dict[str, Any]:
    """`event_value` where only an object makes sense."""
    return require_mapping(event_value(data))


def compact(value: Any) -> str:
    """A value as compact JSON text; raises `Unreadable("too_deep")`."""
    try:
        try:
            return json_text(value)
        except ValueError:  # lone surrogates, which only Python's own encoder lets through
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise Unreadable("too_deep") from None


def whole(value: Any) -> int | None:
    """The value if it is a whole number of 64 bits, written as an integer or as `40.0`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64:
        return value
    return None


def count(value: Any) -> int | None:
    """The value if it can be a number of tokens."""
    found = whole(value)
    return found if found is not None and found >= 0 else None


def total(*values: int | None) -> int | None:
    """The sum of what is known, None when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def real(value: Any) -> float | None:
    """The value as a finite float if it is a number (JSON true and false are not numbers)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def strings(value: Any) -> tuple[str, ...]:
    """A string or a list of strings as a tuple of the non-empty ones."""
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(item for item in sequence(value) if isinstance(item, str) and item)


def short(value: Any) -> str | None:
    """A name, identifier or reason given by the other side, cut to a bounded length."""
    found = text(value)
    return found[:_NAME_LIMIT] if found else None


def error_code(*candidates: Any) -> str:
    """The first candidate that can be a low-cardinality code; `_OTHER` when none can (never a message)."""
    for candidate in candidates:
        if isinstance(candidate, str) and _CODE.fullmatch(candidate):
            return candidate
        if isinstance(candidate, int) and not isinstance(candidate, bool) and abs(candidate) < _INT64:
            return str(candidate)
    return OTHER_ERROR


def blocked_message(decision: Decision) -> str:
    """The sentence of a refusal: the reason code and the decision, no user content."""
    return f"Blocked by llmtrace policy: {decision.reason} (decision {decision.id})"


def encode(body: Mapping[str, Any]) -> bytes:
    """A refusal's body as JSON."""
    return _ENCODE(body)


@lru_cache(maxsize=256)
def path_name(segment: str) -> str:
    """A model's name as a URL path writes it (RFC 3986 section 2.1), without the escapes."""
    return unquote(segment)


def escape(token: str) -> str:
    """An object key as a reference token of a JSON pointer (RFC 6901 section 3)."""
    return token.replace("~", "~0").replace("/", "~1")


def pick(body: Mapping[str, Any], *keys: str) -> tuple[str, Any]:
    """The spelling that is present and its value; the first spelling and None when none is."""
    for key in keys:
        if key in body:
            return key, body[key]
    return keys[0], None


def texts(value: Any, pointer: str, skip: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """The strings inside a JSON value and their pointers, without the members named in `skip`.

    Long numbers count as strings (card and phone numbers). One text holding the JSON of everything is given
    instead when there are many strings, which bounds the number of segments, or when a member's name is
    prose, since a model reads names too.
    """
    found: list[tuple[str, str]] = []
    levels: list[Iterator[tuple[Any, str]]] = [iter([(value, pointer)])]
    while levels:
        item, place = next(levels[-1], _LEVEL_DONE)
        if place is None:
            levels.pop()
        elif isinstance(item, str):
            if item:
                found.append((place, item))
        elif isinstance(item, dict):
            kept = [key for key in item if key not in skip]
            if any(" " in key for key in kept):
                return [(pointer, compact(value))]
            levels.append(_members(item, kept, place))
        elif isinstance(item, list):
            levels.append(_items(item, place))
        elif isinstance(item, int) and _TELLING_NUMBER <= abs(item) < _INT64:
            found.append((place, str(item)))
        if len(found) > _LEAF_LIMIT:
            return [(pointer, compact(value))]
    return found


def _members(item: dict[str, Any], names: Sequence[str], place: str) -> Iterator[tuple[Any, str]]:
    for name in names:
        yield item[name], f"{place}/{escape(name)}"


def _items(item: Sequence[Any], place: str) -> Iterator[tuple[Any, str]]:
    for at, value in enumerate(item):
        yield value, f"{place}/{at}"


def joined(value: Any, skip: frozenset[str] = frozenset()) -> str:
    """The strings inside a JSON value, one a line."""
    return "\n".join(found for _, found in texts(value, "", skip))


def definition(description: Any, schema: Any) -> str:
    """What a model is told about a tool: its description and the JSON of its parameters."""
    parts = [text(description), compact(schema) if schema else None]
    return "\n".join(part for part in parts if part)


class Draft:
    """A request being read: collects what its reader finds and becomes a `Prompt`."""

    __slots__ = ("blobs", "notes", "segments", "tools")

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.tools: list[str] = []
        self.blobs = 0
        self.notes: list[str] = []

    def add(self, value: Any, channel: Channel, pointer: str, kind: Kind = "text", name: str | None = None) -> None:
        """Add a text; an absent or empty one is nothing, another type is an odd part."""
        if isinstance(value, str):
            if value:
                self.segments.append(Segment(value, channel, pointer, kind, name))
        elif value is not None:
            self.note()

    def add_texts(
        self, value: Any, channel: Channel, pointer: str, kind: Kind = "text", name: str | None = None
    ) -> None:
        """Add the strings inside a JSON value (see `texts`)."""
        self.segments.extend(Segment(found, channel, place, kind, name) for place, found in texts(value, pointer))

    def add_json(self, value: Any, pointer: str, name: str | None) -> None:
        """Add the arguments of a tool call: a string as it is, anything else as JSON."""
        if value is not None:
            self.add(compact(value), "assistant", pointer, "tool_call", name)

    def add_tool(self, name: Any, description: Any, schema: Any, pointer: str) -> None:
        """Add the definition of a tool offered to the model."""
        called = short(name)
        if called:
            self.tools.append(called)
        self.add(definition(description, schema), "system", pointer, "tool_definition", called)

    def add_odd(self, value: Any, channel: Channel, pointer: str, kind: Kind = "text", name: str | None = None) -> None:
        """Add the strings of a part whose shape is not known, and say so."""
        self.note()
        self.add_texts(value, channel, pointer, kind, name)

    def note(self, code: str = UNKNOWN_PART) -> None:
        """Write down that something was not understood or cannot be seen."""
        if code not in self.notes:
            self.notes.append(code)

    def prompt(self, model: Any, stream: bool, settings: Settings) -> Prompt:
        """What was read, frozen."""
        return Prompt(
            segments=tuple(self.segments),
            model=short(model),
            stream=stream,
            tools=tuple(self.tools),
            settings=settings,
            blobs=self.blobs,
            notes=tuple(self.notes),
        )


def read_function_tools(draft: Draft, tools: Any, pointer: str) -> None:
    """Tools written as `{"type": "function", "function": {"name", "description", "parameters"}}`."""
    for at, item in enumerate(sequence(tools)):
        function = mapping(mapping(item).get("function"))
        if not function:
            draft.note()
            continue
        draft.add_tool(function.get("name"), function.get("description"), function.get("parameters"), f"{pointer}/{at}")


def read_function_calls(draft: Draft, calls: Any, pointer: str) -> dict[str, str]:
    """Calls written as `{"id", "function": {"name", "arguments"}}`; the names of the tools by call id."""
    names: dict[str, str] = {}
    for at, item in enumerate(sequence(calls)):
        call = mapping(item)
        function = mapping(call.get("function"))
        if not function:
            draft.note()
            continue
        name, label = short(function.get("name")), text(call.get("id"))
        if name and label:
            names[label] = name
        draft.add_json(function.get("arguments"), f"{pointer}/{at}/function/arguments", name)
    return names
