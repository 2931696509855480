"""A judge's answer -> its verdict, or nothing: what is not exactly a verdict is a failure, never "benign"."""

from __future__ import annotations

import json
import re
from typing import Any, Final, get_args

from llmtrace_sdk.core.tiers import ATTACKS, Category, Opinion
from llmtrace_sdk.tiers.adviser import NoOpinion

LIMIT: Final = 8_192
"""Characters; a verdict has some hundred."""

_FENCED: Final = re.compile(r"\A```[a-zA-Z]{0,10}[ \t]*\r?\n(.*)\n[ \t]*```\Z", re.DOTALL)
_REQUIRED: Final = {"is_threat", "category", "confidence"}
_KNOWN: Final = {*_REQUIRED, "reasoning"}


def parse(text: str) -> Opinion:
    """The verdict in a text that is one JSON object, in a code fence or not.

    Raises `NoOpinion` for everything else: other words beside it, unknown, missing or repeated members, values of
    another type or out of range, and a verdict that contradicts itself.
    """
    stripped = text.strip() if len(text) <= LIMIT else ""
    fenced = _FENCED.match(stripped)
    try:
        tree = json.loads(fenced[1] if fenced else stripped, object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise NoOpinion("not_a_verdict") from None
    if not isinstance(tree, dict) or not set(tree) >= _REQUIRED or not set(tree) <= _KNOWN:
        raise NoOpinion("not_a_verdict")
    return _checked(tree)


def _checked(tree: dict[str, Any]) -> Opinion:
    threat, category, confidence = tree["is_threat"], tree["category"], tree["confidence"]
    sound = (
        isinstance(threat, bool)
        and category in get_args(Category)
        and isinstance(confidence, int | float)
        and not isinstance(confidence, bool)
        and 0 <= confidence <= 1
        and isinstance(tree.get("reasoning", ""), str | None)
    )
    if not sound or (category == "benign" and threat) or (category in ATTACKS and not threat):
        raise NoOpinion("not_a_verdict")
    return Opinion(threat, category, float(confidence))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        raise ValueError("a repeated member")
    return tree


def _no_constant(name: str) -> Any:
    raise ValueError(name)
