"""`llmtrace config`: what is in force and where it comes from."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from llmtrace_sdk import config

if TYPE_CHECKING:
    from collections.abc import Iterator


def run(what: str, file: str | None) -> int:
    """`show`, `validate` or `schema`; bad settings raise `ConfigError`."""
    if what == "schema":
        print(json.dumps(config.schema(), indent=2))
        return 0
    settings = config.load(file)
    if what == "validate":
        print("configuration is valid")
        return 0
    sources = config.sources(file)
    for path, value in _leaves((), settings):
        print(f"{'.'.join(path)} = {json.dumps(value)}  ({sources.get(path, 'default')})")
    return 0


def _leaves(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    for field in fields(value):
        inner = getattr(value, field.name)
        if is_dataclass(inner):
            yield from _leaves((*path, field.name), inner)
        else:
            yield (*path, field.name), _shown(inner)


def _shown(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _shown(getattr(value, field.name)) for field in fields(value)}
    return [_shown(item) for item in value] if isinstance(value, tuple) else value
