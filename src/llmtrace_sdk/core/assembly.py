"""Deltas -> the segments of an answer, bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.model import Delta, Segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_sdk.core.model import Channel, Kind

PARTS_LIMIT: Final = 4096
_CHANNELS: Final[dict[Kind, Channel]] = {"tool_result": "tool", "tool_definition": "tool"}


class _Part:
    __slots__ = ("name", "pointer", "texts")

    def __init__(self) -> None:
        self.pointer = ""
        self.name: str | None = None
        self.texts: list[str] = []


class Assembly:
    """Concatenates the deltas of each piece of an answer, up to `limit` characters; `fault` tells when more came."""

    __slots__ = ("_parts", "_room", "fault")

    def __init__(self, limit: int) -> None:
        self.fault: str | None = None
        self._room = limit
        self._parts: dict[tuple[Kind, int, int], _Part] = {}

    def add(self, deltas: Iterable[Delta]) -> None:
        """Take decoded increments in the order in which they came."""
        for delta in deltas:
            part = self._parts.get((delta.kind, delta.choice, delta.part)) or self._new(delta)
            if part is None:
                continue
            if delta.pointer:
                part.pointer = delta.pointer
            if delta.name:
                part.name = delta.name
            if self._room > 0:
                part.texts.append(delta.text)
                self._room -= len(delta.text)
            elif delta.text:
                self.fault = "text_limit"

    def _new(self, delta: Delta) -> _Part | None:
        if len(self._parts) >= PARTS_LIMIT:
            self.fault = "text_limit"
            return None
        part = self._parts[(delta.kind, delta.choice, delta.part)] = _Part()
        return part

    def segments(self) -> tuple[Segment, ...]:
        """The pieces so far, in the order in which they began."""
        return tuple(
            Segment("".join(part.texts), _CHANNELS.get(kind, "assistant"), part.pointer, kind, part.name)
            for (kind, _, _), part in self._parts.items()
            if part.texts or part.name
        )
