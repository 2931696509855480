"""The attributes of a call, whatever their types: what is not what it should be is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT_LIMIT: Final = 256
COUNT_LIMIT: Final = (1 << 31) - 1
"""The largest integer that all databases take."""

Names = str | tuple[str, ...]
_DIGITS: Final = 10


class Facts:
    """Attributes, asked by one of several names: the first that is there and fits counts."""

    __slots__ = ("all",)

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.all = attributes

    def text(self, names: Names) -> str | None:
        """At most `TEXT_LIMIT` characters, and at least one that is no space."""
        for name in (names,) if isinstance(names, str) else names:
            value = self.all.get(name)
            if isinstance(value, str) and value.strip():
                return value[:TEXT_LIMIT]
        return None

    def count(self, names: Names) -> int | None:
        """An integer from 0 on, also one that came as digits or as a fraction without a fraction."""
        for name in (names,) if isinstance(names, str) else names:
            value = self.all.get(name)
            if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS:
                value = int(value)
            if isinstance(value, int | float) and _is_amount(value) and value == int(value):
                return int(value)
        return None

    def amount(self, name: str) -> float | None:
        """A number from 0 on."""
        value = self.all.get(name)
        return float(value) if isinstance(value, int | float) and _is_amount(value) else None

    def says(self, name: str) -> bool:
        """Whether an attribute is true."""
        return self.all.get(name) is True


def _is_amount(value: float) -> bool:
    return not isinstance(value, bool) and 0 <= value <= COUNT_LIMIT
