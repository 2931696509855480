"""Writes docs/configuration.md from the settings: `python -m tools.config_docs` (`--check` only compares)."""

from __future__ import annotations

import json
import sys
from dataclasses import is_dataclass
from itertools import groupby
from pathlib import Path
from textwrap import fill, indent
from typing import TYPE_CHECKING, Any, Final, get_origin

from llmtrace_sdk.config import keys, legacy, legacy_table
from llmtrace_sdk.config.announced import MAY_BE_ANNOUNCED
from llmtrace_sdk.config.environment import ALIASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.config.keys import Key

FILE: Final = Path(__file__).parents[1] / "docs" / "configuration.md"
FRAME: Final = Path(__file__).with_name("config_docs.md")
_TYPES: Final = {bool: "true, false", int: "whole number", float: "number", str: "text"}


def text() -> str:
    """The whole document."""
    frame = FRAME.read_text("utf-8")
    parts = {"keys": "\n".join(_groups()), "aliases": "\n".join(_aliases()), "proxy": "\n".join(_proxy())}
    parts["announced"] = indent(fill(", ".join(f"`{name}`" for name in MAY_BE_ANNOUNCED), 120), "  ")
    for name, part in parts.items():
        frame = frame.replace(f"<!-- {name} -->", part)
    return frame


def _groups() -> Iterator[str]:
    for group, members in groupby(keys.everything(), lambda key: key.path[0] if len(key.path) > 1 else ""):
        yield f"### `{group}`\n" if group else "### Without a group\n"
        yield "| key | default | values | meaning |\n|---|---|---|---|"
        for key in members:
            if key.path.count(keys.ITEM) < 2:  # an override's categories are categories
                yield f"| `{_name(key, group)}` | {_default(key)} | {_values(key.hint)} | {key.description} |"
        yield ""


def _name(key: Key, group: str) -> str:
    return key.name.removeprefix(f"{group}.")


def _default(key: Key) -> str:
    if key.default is keys.REQUIRED:
        return "must be given"
    if key.default is None or key.default == ():
        return "none"
    return f"`{json.dumps(key.default)}`"


def _values(hint: Any) -> str:
    allowed = [f"`{choice}`" for choice in keys.choices(hint)]
    said = [_value(member) for member in keys.members(hint) if not keys.choices(member)]
    return ", ".join([*allowed, *said])


def _value(member: Any) -> str:
    if is_dataclass(member):
        return "mapping"
    if keys.is_mapping(member):
        return "mapping"
    if get_origin(member) is not None:
        return "list of mappings" if is_dataclass(keys.item_of(member)) else f"list of {_values(keys.item_of(member))}s"
    return _TYPES.get(member, str(member))


def _aliases() -> Iterator[str]:
    for variable, name in ALIASES.items():
        yield f"| `{variable}` | `{name}` |"


def _proxy() -> Iterator[str]:
    for state, said in (("supported", "keys here as well"), ("renamed", "becomes")):
        names = [f"`{n}`" for n, entry in legacy.known().items() if entry.state == state]
        told = [f"`{n}` -> `{e.advice}`" for n, e in legacy.known().items() if e.state == "renamed"]
        yield f"- **{said}**: {', '.join(names if state == 'supported' else told)}"
    for state, phrase in legacy.PHRASES.items():
        yield f"\n| {phrase} | |\n|---|---|"
        for name, entry in legacy.known().items():
            inside = any(name.startswith(f"{group}.") for group in legacy_table.GROUPS)
            if entry.state == state and not inside:
                yield f"| `{name}{'.*' if name in legacy_table.GROUPS else ''}` | {entry.advice} |"


def main(arguments: list[str]) -> int:
    """Write the document; with `--check` tell by the exit status whether it is up to date."""
    if "--check" in arguments:
        return 0 if FILE.read_text("utf-8") == text() else 1
    FILE.write_text(text(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
