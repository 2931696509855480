"""The JSON Schema of a configuration file."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_type_hints

from llmtrace_sdk.config import keys
from llmtrace_sdk.config.checking import adapter
from llmtrace_sdk.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


def schema() -> dict[str, Any]:
    """What pydantic makes of the settings, with the description of each key."""
    made = adapter().json_schema()
    definitions = made.get("$defs", {})
    for kind in dict.fromkeys(_kinds(Settings)):
        own = made if kind is Settings else definitions.get(kind.__name__, {})
        for field in fields(kind):
            text = keys.describe(kind, field.name)
            if text and field.name in own.get("properties", {}):
                own["properties"][field.name]["description"] = text
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _kinds(kind: Any) -> Iterator[Any]:
    """A dataclass and all that its fields are made of."""
    yield kind
    for hint in get_type_hints(kind).values():
        for member in (*keys.members(hint), keys.item_of(hint)):
            if hasattr(member, "__dataclass_fields__"):
                yield from _kinds(member)
