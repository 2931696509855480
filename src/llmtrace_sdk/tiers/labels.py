"""Which outputs of a classifier mean an attack, told by the names of its labels."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.tiers.adviser import NoOpinion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ATTACK: Final = re.compile(r"injection|jailbreak|malicious|unsafe|attack")
_DENIED: Final = re.compile(r"^(?:no|non|not)(?![a-z])")
_NUMBERED: Final = re.compile(r"^label_\d+$")
_LIMIT_BYTES: Final = 1 << 20


def read_labels(config: Path) -> dict[int, str]:
    """The names of the outputs (`id2label` of a Hugging Face `config.json`) by number; empty when nobody says."""
    try:
        with config.open("rb") as file:
            tree: Any = json.loads(file.read(_LIMIT_BYTES))
        names = tree.get("id2label") or {}
        return {int(number): str(name) for number, name in names.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def attack_indices(names: dict[int, str], wanted: Sequence[str] | None = None) -> tuple[int, ...]:
    """The outputs that mean an attack: those named in `wanted` (or numbered), else those whose names say so.

    Of two outputs without telling names it is the second one. Raises `NoOpinion` when it cannot be told.
    """
    lower = {number: name.strip().lower() for number, name in names.items()}
    if wanted is not None:
        return _named(lower, wanted)
    found = tuple(sorted(n for n, name in lower.items() if _ATTACK.search(name) and not _DENIED.match(name)))
    if found and (len(found) < len(lower) or len(lower) == 1):
        return found
    if not lower or (set(lower) == {0, 1} and all(map(_NUMBERED.match, lower.values()))):
        return (1,)
    raise NoOpinion("no label says which of them means an attack; name it in `labels`")


def _named(lower: dict[int, str], wanted: Sequence[str]) -> tuple[int, ...]:
    numbers = {name: number for number, name in lower.items()}
    found = set()
    for label in wanted:
        name = label.strip().lower()
        number = numbers.get(name, int(name) if name.isdecimal() and len(name) < 4 else None)
        if number is None:
            raise NoOpinion(f"the model has no label {label!r}")
        found.add(number)
    if not found:
        raise NoOpinion("`labels` names no label")
    return tuple(sorted(found))
