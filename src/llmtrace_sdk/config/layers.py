"""File, environment, announcement and keywords, laid one over the other. Every layer is checked on its own, so that a
wrong value is told of even where another layer overrides it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmtrace_sdk.config import checking, environment, files, legacy, legacy_table, masking
from llmtrace_sdk.config.effective import Loaded
from llmtrace_sdk.config.keys import leaves
from llmtrace_sdk.config.settings import Settings
from llmtrace_sdk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmtrace_sdk.config.checking import Place

Variables = Mapping[tuple[str, ...], str]
SHORTHANDS: Final = {"otlp": ("telemetry", "otlp"), "service_name": ("telemetry", "service_name")}


_NONE: Final[Variables] = MappingProxyType({})


class Layer(NamedTuple):
    """One source of settings, by name."""

    source: str
    tree: dict[str, Any]
    variables: Variables = _NONE


def load(
    file: Path | None,
    content: bytes | None,
    mapping: Mapping[str, Any] | None,
    environ: Mapping[str, str],
    keywords: Mapping[str, Any],
    *,
    announced: Mapping[str, Any],
    quiet: bool,
) -> Loaded:
    """The settings of all layers. Raises `ConfigError` with every problem of every layer."""
    problems: list[str] = []
    data, tree = b"", mapping or {}
    if file is not None:
        data, tree = _file(file, content, problems)
    tree, notices = legacy.translate(tree)
    given = environment.read(environ)
    layers = (
        Layer("keywords" if file is None else "file", checking.normal(tree)),
        Layer("environment", checking.normal(given.tree), given.variables),
        Layer("announced", checking.normal(announced)),
        Layer("keywords", checking.normal(_from_keywords(keywords))),
    )
    merged: dict[str, Any] = {}
    places: dict[tuple[str, ...], str] = {}
    for layer in layers:
        places.update(dict.fromkeys(_paths(layer.tree), layer.source))
        merge(merged, _sound(layer, problems, quiet=quiet))
    in_force = {path: name for path, name in given.variables.items() if places.get(path) == "environment"}
    settings = _whole(merged, in_force, problems, quiet=quiet)
    return Loaded(settings, places, notices, _strange(given.strange), file, data)


def _file(file: Path, content: bytes | None, problems: list[str]) -> tuple[bytes, dict[str, Any]]:
    try:
        data = files.content(file) if content is None else content
        return data, files.parse(file, data)
    except ConfigError as error:
        problems += error.problems
        return b"", {}


def _sound(layer: Layer, problems: list[str], *, quiet: bool) -> dict[str, Any]:
    """What is right of a layer."""
    tree = layer.tree
    if tree:
        for problem in checking.check(tree)[1]:
            problems.append(problem.sentence(layer.variables, quiet=quiet))
            _remove(tree, problem.place)
    return tree


def _whole(merged: dict[str, Any], variables: Variables, problems: list[str], *, quiet: bool) -> Settings:
    """The settings of all layers together; raises `ConfigError` when anything at all is wrong."""
    settings, wrong = checking.check(merged) if merged else (Settings(), [])
    problems += [problem.sentence(variables, quiet=quiet) for problem in wrong]
    if settings is not None:
        deeper = checking.deeper(settings, variables)
        problems += [masking.without_values(sentence) for sentence in deeper] if quiet else deeper
    if problems or settings is None:
        raise ConfigError(list(dict.fromkeys(problems)))
    return settings


def _remove(tree: dict[str, Any], place: Place) -> None:
    """Take the key of a problem out; the whole list, when it is about an item."""
    inner: Any = tree
    for part, then in zip(place, (*place[1:], None), strict=True):
        if not isinstance(inner, dict):
            return
        if then is None or isinstance(then, int) or not isinstance(inner.get(part), dict):
            inner.pop(part, None)
            return
        inner = inner[part]


def _paths(tree: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The keys that a tree sets."""
    for key in leaves():
        inner: Any = tree
        for part in key.path:
            if not isinstance(inner, Mapping):  # a ready group: all its keys
                break
            if part not in inner:
                break
            inner = inner[part]
        else:
            yield key.path
            continue
        if not isinstance(inner, Mapping):
            yield key.path


def _from_keywords(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """`enforcement={"mode": "block"}`, `otlp=True` and `**{"enforcement.mode": "block"}`."""
    tree: dict[str, Any] = {}
    for name, value in keywords.items():
        parts = SHORTHANDS.get(name) or tuple(name.split("."))
        for part in reversed(parts):
            value = {part: value}  # noqa: PLW2901 - wrapped from the inside out
        merge(tree, value)
    return tree


def merge(into: dict[str, Any], tree: Mapping[str, Any]) -> None:
    """Lay one mapping over another; lists are replaced, not joined."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            into[key] = below = _opened(into.get(key))
            merge(below, value)
        else:
            into[key] = value


def _opened(value: Any) -> dict[str, Any]:
    """A mapping or a ready group as a mapping of our own."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return dict(value) if isinstance(value, Mapping) else {}


def _strange(names: tuple[str, ...]) -> tuple[str, ...]:
    # not an error: an environment is shared, and the variable may be meant for another program
    return tuple(_about(name) for name in names)


def _about(name: str) -> str:
    if name in legacy_table.VARIABLES:
        return f"{name}: a variable of the LLMTrace proxy, not used here"
    near = environment.nearest(name)
    return f"{name}: not a setting of llmtrace-sdk{f'; did you mean {near}?' if near else ''}"
