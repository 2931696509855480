"""What makes a value safe to export: bounded, encodable, no matter what the request or the provider sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

TEXT_LIMIT: Final = 256
ITEMS_LIMIT: Final = 32
# With the five that are given when a span starts: 60, of the 128 that SDKs keep by default.
ATTRIBUTES_LIMIT: Final = 55
_INT64: Final = range(-(1 << 63), 1 << 63)

Value = str | bool | int | float | Sequence[str]
"""What OpenTelemetry takes on a span, as far as we use it."""


def text(value: str, limit: int = TEXT_LIMIT) -> str:
    """At most `limit` characters, free of lone surrogates (one of them makes an exporter lose its whole batch)."""
    if len(value) > limit:
        value = value[:limit]
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def attributes(facts: Mapping[str, Any]) -> dict[str, Value]:
    """The facts that are there, as attributes: None and what does not fit the wire (64 bit integers) left out.

    At most `ATTRIBUTES_LIMIT`, in the order given.
    """
    bounded: dict[str, Value] = {}
    for name, fact in facts.items():
        if fact is None:
            continue
        value = _value(fact)
        if value is not None:
            bounded[name] = value
            if len(bounded) == ATTRIBUTES_LIMIT:
                break
    return bounded


def _value(fact: Any) -> Value | None:
    if isinstance(fact, str):
        return text(fact) if fact else None
    if isinstance(fact, bool | float):
        return fact
    if isinstance(fact, int):
        return fact if fact in _INT64 else None
    if isinstance(fact, tuple | list) and fact:
        return tuple(text(item) for item in fact[:ITEMS_LIMIT] if isinstance(item, str))
    return None
