"""The keys that there are: their types, defaults, descriptions and environment variables, read off the dataclasses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from llmtrace_sdk.config.descriptions import DESCRIPTIONS
from llmtrace_sdk.config.settings import Settings

ENV_PREFIX: Final = "LLMTRACE_"
ITEM: Final = "[]"
REQUIRED: Final = object()
"""The default of a key that has none."""

Path = tuple[str, ...]
_MARKER: Final = r"((?:`\w+`(?:, | and ))*`\w+`)"


class Key(NamedTuple):
    """One key that holds a value. `path` has an `[]` where it stands for every item of a list."""

    path: Path
    hint: Any
    default: Any
    description: str

    @property
    def name(self) -> str:
        """As people write it: `enforcement.categories[].action`."""
        return ".".join(self.path).replace(f".{ITEM}", ITEM)

    @property
    def variable(self) -> str | None:
        """The environment variable that sets it; None for a key of an item."""
        return None if ITEM in self.path else ENV_PREFIX + "_".join(self.path).upper()


@lru_cache(maxsize=1)
def leaves() -> tuple[Key, ...]:
    """Every key that holds a value, in order, without the keys of items."""
    return tuple(key for key in everything() if ITEM not in key.path)


@lru_cache(maxsize=1)
def everything() -> tuple[Key, ...]:
    """Every key that holds a value, those of items (each rule in a list of rules) included."""
    return tuple(_walk((), Settings))


def _walk(path: Path, kind: type) -> list[Key]:
    found: list[Key] = []
    hints = get_type_hints(kind)
    for field in fields(kind):
        here, hint = (*path, field.name), hints[field.name]
        if is_dataclass(hint):
            found += _walk(here, hint)  # type: ignore[arg-type]  # a dataclass, not an instance of one
            continue
        found.append(Key(here, hint, _default(field), describe(kind, field.name)))
        item = item_of(hint)
        if is_dataclass(item):
            found += _walk((*here, ITEM), item)  # type: ignore[arg-type]
    return found


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else REQUIRED


def describe(kind: type, name: str) -> str:
    """What a field of a dataclass means: by its metadata, our list, or a "`name`: ..." in the dataclass's docstring."""
    own = next((f.metadata.get("description") for f in fields(kind) if f.name == name), None)
    own = own or DESCRIPTIONS.get(f"{kind.__name__}.{name}")
    if own:
        return str(own)
    prose = " ".join((kind.__doc__ or "").split())
    after = rf"(?=\s{_MARKER}:|$)"
    for match in re.finditer(rf"(?:^|\s){_MARKER}: (.*?){after}", prose):
        if f"`{name}`" in match[1]:
            return _capital(match[2].strip())
    sentences = re.split(r"(?<=[.;])\s", prose)
    about = [sentence for sentence in sentences if f"`{name}`" in sentence]
    return _ended(about[0]) if about else ""


def _ended(sentence: str) -> str:
    return f"{sentence[:-1]}." if sentence.endswith(";") else sentence


def _capital(sentence: str) -> str:
    return f"{sentence[:1].upper()}{sentence[1:]}"


def members(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a type, without None."""
    if get_origin(hint) in (Union, UnionType):
        return tuple(member for part in get_args(hint) if part is not NoneType for member in members(part))
    return (hint,)


def is_optional(hint: Any) -> bool:
    """Whether None is a value of the type."""
    return get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint)


def item_of(hint: Any) -> Any:
    """The type of the items of a list or the values of a mapping; None for other types."""
    for member in members(hint):
        origin, inner = get_origin(member), get_args(member)
        if isinstance(origin, type) and issubclass(origin, tuple | list | set | frozenset) and inner:
            return inner[0]
        if is_mapping(member) and len(inner) == 2:
            return inner[1]
    return None


def is_mapping(member: Any) -> bool:
    """Whether a type is a mapping, such as `dict[str, int]`."""
    origin = get_origin(member) or member
    return isinstance(origin, type) and issubclass(origin, Mapping)


def is_list(member: Any) -> bool:
    """Whether a type holds items in a row."""
    origin = get_origin(member) or member
    return isinstance(origin, type) and issubclass(origin, tuple | list | set | frozenset)


def choices(hint: Any) -> tuple[Any, ...]:
    """The values that are allowed, when they can be listed."""
    return tuple(value for member in members(hint) if get_origin(member) is Literal for value in get_args(member))


def kind_at(path: tuple[str | int, ...]) -> Any:
    """The type at a path of keys and positions; None where there is no such key."""
    kind: Any = Settings
    for part in path:
        kind = below(kind, part)
        if kind is None:
            return None
    return kind


def below(kind: Any, part: str | int) -> Any:
    """The type of what stands under a key or position of a value of type `kind`; None when nothing may."""
    for member in members(kind):
        if is_dataclass(member) and part in {field.name for field in fields(member)}:
            return get_type_hints(member)[str(part)]
    mapping = any(is_mapping(member) for member in members(kind))
    return item_of(kind) if isinstance(part, int) or mapping else None


def known_at(path: tuple[str | int, ...]) -> list[str]:
    """The keys that there are at a path."""
    for member in members(kind_at(path)):
        if is_dataclass(member):
            return [field.name for field in fields(member)]
    return []
