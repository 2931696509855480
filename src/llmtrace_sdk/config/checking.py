"""Mappings -> `Settings`, or everything that is wrong with them: key, value and remedy. Imports pydantic."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, NamedTuple, get_type_hints

from pydantic import TypeAdapter, ValidationError

from llmtrace_sdk.config import keys
from llmtrace_sdk.config.masking import in_sentence
from llmtrace_sdk.config.settings import RELAY_KEY_VARIABLE, Settings
from llmtrace_sdk.core.limits import STATE_SECRET_VARIABLE

_UNKNOWN: Final = ("unexpected_keyword_argument", "extra_forbidden")
_KINDS: Final = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
Place = tuple[str | int, ...]


class Problem(NamedTuple):
    """One thing that is wrong. `value` is what was given, masked, or ''."""

    place: Place
    remedy: str
    value: str = ""

    def sentence(self, variables: Mapping[tuple[str, ...], str], *, quiet: bool) -> str:
        """Names the key, its environment variable if it came from one, the value unless `quiet`, and the remedy."""
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.place).lstrip(".")
        variable = next((v for path, v in variables.items() if self.place[: len(path)] == path), None)
        value = "the value" if quiet else self.value
        said = f"{value} cannot be used; {self.remedy}" if self.value else self.remedy
        return f"{name}{f' ({variable})' if variable else ''}: {said}"


@lru_cache(maxsize=1)
def adapter() -> TypeAdapter[Settings]:
    """The types of all settings, as pydantic sees them."""
    return TypeAdapter(Settings)


def normal(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with names of fixed values in the letter case that we use, and YAML's `off` where it is such a name.

    A group of which nothing is given, as when all its lines are comments, is left out.
    """
    hints = get_type_hints(Settings)
    given = {key: value for key, value in tree.items() if value is not None or not _has_keys(hints.get(key))}
    return {key: _normal(hints.get(key), value) for key, value in given.items()}


def _normal(hint: Any, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _normal_below(hint, key, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple) and keys.item_of(hint) is not None:
        return [_normal(keys.item_of(hint), item) for item in value]
    texts = {choice.lower(): choice for choice in keys.choices(hint) if isinstance(choice, str)}
    if isinstance(value, str):
        return texts.get(value.lower(), value)
    if isinstance(value, bool) and bool not in keys.members(hint):  # YAML reads a bare `off` as false
        return texts.get("on" if value else "off", value)
    return value


def _normal_below(hint: Any, key: Any, value: Any) -> Any:
    kind = keys.below(hint, key) if isinstance(key, str) else None
    return value if kind is None else _normal(kind, value)


def check(tree: Mapping[str, Any]) -> tuple[Settings | None, list[Problem]]:
    """The settings that a normal mapping makes, or what is wrong with each of its values."""
    try:
        return adapter().validate_python(tree), []
    except ValidationError as error:
        found: dict[Place, Problem] = {}
        for each in error.errors(include_url=False, include_context=False):
            problem = _problem(each["loc"], each["type"], each["msg"], each["input"])
            found.setdefault(problem.place, problem)  # a type with alternatives is told of once for each
        return None, list(found.values())


def _problem(loc: Place, kind: str, message: str, value: Any) -> Problem:
    if kind in _UNKNOWN:
        return Problem(loc, _unknown(loc))
    place = loc
    while place and keys.kind_at(place) is None:  # the end of a location may name an alternative of the type
        place = place[:-1]
    if kind == "missing":
        return Problem(place, "is missing and must be given")
    hint = keys.kind_at(place)
    remedy = _remedy(hint, value) or f"{message[:1].lower()}{message[1:]}"
    return Problem(place, remedy, in_sentence(_name(place), value))


def _name(place: Place) -> str:
    return next((part for part in reversed(place) if isinstance(part, str)), "")


def _unknown(place: Place) -> str:
    known = keys.known_at(place[:-1])
    near = get_close_matches(str(place[-1]), known, n=1, cutoff=0.6)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"unknown key ({meant}known here: {', '.join(known)})" if known else "unknown key"


def _remedy(hint: Any, value: Any) -> str:
    allowed = [str(choice) for choice in keys.choices(hint)]
    near = get_close_matches(value.lower(), allowed, n=1) if isinstance(value, str) else []
    kinds = [_KINDS[member] for member in keys.members(hint) if member in _KINDS]
    kinds += ["a list" for member in keys.members(hint) if keys.is_list(member)]
    kinds += ["a mapping of keys to values" for member in keys.members(hint) if _has_keys(member)]
    if allowed:
        kinds.append(f"one of {', '.join(allowed)}" if len(allowed) > 1 else allowed[0])
    meant = f" (did you mean {near[0]}?)" if near else ""
    return f"give {' or '.join(kinds)}{meant}" if kinds else ""


def _has_keys(member: Any) -> bool:
    return keys.is_mapping(member) or hasattr(member, "__dataclass_fields__")


def deeper(settings: Settings, variables: Mapping[tuple[str, ...], str]) -> list[str]:
    """What the groups themselves object to, and what only the installed parts can tell."""
    problems = [*settings.problems(), *_detectors(settings), *_telemetry(settings), *_actions(settings)]
    problems += _variables(settings)
    return [_with_variables(problem, variables) for problem in problems]


def _detectors(settings: Settings) -> list[str]:
    from llmtrace_sdk import detectors

    known = detectors.available()
    wrong = [name for name in settings.security_analysis.detectors or () if name not in known]
    return [
        f"security_analysis.detectors: unknown detector {in_sentence('', name)} (known: {', '.join(known)})"
        for name in wrong
    ]


def _actions(settings: Settings) -> list[str]:
    if not (settings.action_router.enabled or settings.alerts.enabled):
        return []
    from llmtrace_sdk import actions, config

    parts = actions.Parts(router=settings.action_router, alerts=settings.alerts, secret=config.secret)
    return actions.problems(parts)


def _variables(settings: Settings) -> list[str]:
    """Those that are named on purpose must be there; of the others it is enough that they may be."""
    from llmtrace_sdk import config

    named = {"state.secret_env": (settings.state.secret_env, STATE_SECRET_VARIABLE)}
    named["relay_key_env"] = (settings.relay_key_env, RELAY_KEY_VARIABLE)
    return [
        f"{key}: the environment variable {name} is not set"
        for key, (name, usual) in named.items()
        if name != usual and not config.secret(name)
    ]


def _telemetry(settings: Settings) -> list[str]:
    otlp = settings.telemetry.otlp
    if isinstance(otlp, bool) or otlp.startswith(("http://", "https://")):
        return []
    return ["telemetry.otlp: must be true or an http(s) URL such as http://localhost:4318"]


def _with_variables(problem: str, variables: Mapping[tuple[str, ...], str]) -> str:
    """A sentence of a group, with the environment variables that set the keys it speaks of."""
    words = re.findall(r"\w+", problem)
    named = [v for path, v in variables.items() if words[:1] == [path[0]] and path[-1] in words]
    return f"{problem} ({', '.join(named)})" if named else problem
