"""Environment variables -> settings: `LLMTRACE_<GROUP>_<KEY>`, read by the type of the key."""

from __future__ import annotations

import json
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmtrace_sdk.config.keys import (
    ENV_PREFIX,
    Key,
    choices,
    is_list,
    is_mapping,
    is_optional,
    item_of,
    leaves,
    members,
)
from llmtrace_sdk.config.settings import RELAY_KEY_VARIABLE
from llmtrace_sdk.core.limits import STATE_SECRET_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

CAPTURE_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
# Names that came from elsewhere, or are short, and so do not follow the path of the key.
ALIASES: Final = {
    CAPTURE_VARIABLE: "telemetry.capture",
    "LLMTRACE_SPANS": "telemetry.spans",
    "LLMTRACE_CONTENT": "telemetry.content",
    "LLMTRACE_EMIT_EVENTS": "telemetry.emit_events",
    "LLMTRACE_SEMCONV_GUARDRAIL": "telemetry.semconv_guardrail",
    "LLMTRACE_SEMCONV": "telemetry.semconv_metrics",
}
# Variables with our prefix that are not settings.
NOT_SETTINGS: Final = frozenset(
    {"LLMTRACE_CONFIG", "LLMTRACE_DATA", "LLMTRACE_JAEGER", STATE_SECRET_VARIABLE, RELAY_KEY_VARIABLE}
)
TRUE: Final = frozenset({"1", "true", "yes", "on"})
FALSE: Final = frozenset({"0", "false", "no", "off"})


class Given(NamedTuple):
    """What the environment sets. `variables` names the variable of each path; `strange` are those nobody knows."""

    tree: dict[str, Any]
    variables: dict[tuple[str, ...], str]
    strange: tuple[str, ...]


def read(environ: Mapping[str, str]) -> Given:
    """The settings in an environment. An empty variable is one that is not set, as OpenTelemetry has it.

    A value that its type cannot be read from stays a text, for the check to tell of. Where a key has two variables,
    the long name wins.
    """
    tree: dict[str, Any] = {}
    variables: dict[tuple[str, ...], str] = {}
    known = names()
    for name, key in known.items():
        text = environ.get(name, "").strip()
        if text and key.path not in variables:
            variables[key.path] = name
            _put(tree, key.path, value_of(key.hint, text))
    strange = (name for name in environ if name.startswith(ENV_PREFIX) and name not in known)
    return Given(tree, variables, tuple(sorted(set(strange) - NOT_SETTINGS)))


@lru_cache(maxsize=1)
def names() -> dict[str, Key]:
    """Every variable that sets a key, the long names first."""
    found = {key.variable: key for key in leaves() if key.variable}
    by_name = {key.name: key for key in leaves()}
    return {**found, **{alias: by_name[name] for alias, name in ALIASES.items()}}


def nearest(name: str) -> str | None:
    """The variable that somebody may have meant."""
    return next(iter(get_close_matches(name, names(), n=1, cutoff=0.85)), None)


def value_of(hint: Any, text: str) -> Any:
    """A text as a value of a type: booleans, numbers, lists with commas, JSON for anything with a structure.

    The text itself where that cannot be done.
    """
    if is_optional(hint) and text.lower() in ("null", "none"):
        return None
    kinds = members(hint)
    if any(is_list(kind) or is_mapping(kind) for kind in kinds) or not _is_plain(hint):
        return _structured(hint, text)
    if bool in kinds and text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    for kind in (int, float):
        if kind in kinds or any(type(choice) is kind for choice in choices(hint)):
            return _number(kind, text)
    return text


def _is_plain(hint: Any) -> bool:
    return all(kind in (bool, int, float, str) or choices(kind) for kind in members(hint))


def _structured(hint: Any, text: str) -> Any:
    """JSON; or, for a list of plain values, the values with commas between them."""
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    item = item_of(hint)
    if item is None or not _is_plain(item) or not any(is_list(kind) for kind in members(hint)):
        return text
    return [value_of(item, part.strip()) for part in text.split(",") if part.strip()]


def _number(kind: type[int | float], text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text


def _put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value
