"""Random texts that a pattern matches, made from its syntax tree."""

from __future__ import annotations

import re._parser as syntax  # type: ignore[import-not-found]
from functools import cache
from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core.patterns import python_syntax

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

MEMBERS = "ab z10_-,.;:!?\"'\t\nяЯжßςσΣηé指示をกकि가"


def matching(pattern: str, rng: Random) -> str:
    """One text that a rule's pattern matches, unless its anchors forbid what was chosen."""
    return _any_of(_tree(pattern), rng)


@cache
def _tree(pattern: str) -> Any:
    return syntax.parse(python_syntax(pattern))


def _any_of(tree: Iterable[tuple[Any, Any]], rng: Random) -> str:
    return "".join(_element(str(kind), value, rng) for kind, value in tree)


def _element(kind: str, value: Any, rng: Random) -> str:
    if kind == "LITERAL":
        return chr(value)
    if kind in ("NOT_LITERAL", "ANY"):
        return rng.choice([sign for sign in MEMBERS if ord(sign) != value and sign != "\n"])
    if kind == "IN":
        return _member(value, rng)
    if kind == "SUBPATTERN":
        return _any_of(value[3], rng)
    if kind == "BRANCH":
        return _any_of(rng.choice(value[1]), rng)
    if kind.endswith("_REPEAT"):
        least, most, tree = value
        return "".join(_any_of(tree, rng) for _ in range(rng.randint(least, min(most, least + 2))))
    return ""


def _member(members: list[tuple[Any, Any]], rng: Random) -> str:
    negated = str(members[0][0]) == "NEGATE"
    named = [chr(value) for kind, value in members if str(kind) == "LITERAL"]
    ranges = [value for kind, value in members if str(kind) == "RANGE"]
    if not negated and named and rng.random() < 0.5:
        return rng.choice(named)
    fitting = [sign for sign in MEMBERS if any(_has(*member, sign) for member in members) != negated]
    fitting += [] if negated else [chr(rng.randint(first, last)) for first, last in ranges]
    return rng.choice(fitting or named or ["a"])


def _has(kind: Any, value: Any, sign: str) -> bool:
    if str(kind) == "LITERAL":
        return ord(sign) == value
    if str(kind) == "RANGE":
        return bool(value[0] <= ord(sign) <= value[1])
    if str(kind) != "CATEGORY":
        return False
    name = str(value).removeprefix("CATEGORY_")
    ascii_is = {
        "DIGIT": sign.isdigit(),
        "SPACE": sign.isspace(),
        "WORD": sign.isalnum() or sign == "_",
    }[name.removeprefix("NOT_")]
    return (sign.isascii() and ascii_is) != name.startswith("NOT_")
