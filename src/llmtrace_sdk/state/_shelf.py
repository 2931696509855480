"""A bounded table whose entries expire. When it is full the least recently used goes, and that is counted."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeVar

from llmtrace_sdk.state._wheel import Wheel

if TYPE_CHECKING:
    from llmtrace_sdk.state._entries import Entry

SWEPT_AT_ONCE: Final = 8
"""How many due keys one operation looks at: about as many as it can add, so that the backlog shrinks."""

SWEPT_WHEN_FULL: Final = 64

T = TypeVar("T", bound="Entry")


class Shelf:
    """Entries by key, at most `limit`. Not thread-safe: its owner holds a lock.

    `evicted` counts, by kind of entry, those that had to go before they expired.
    """

    __slots__ = ("_entries", "_limit", "_wheel", "evicted")

    def __init__(self, limit: int, now: float) -> None:
        self.evicted: dict[str, int] = {}
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._limit = max(limit, 1)
        self._wheel = Wheel(now)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, kind: type[T], now: float) -> T | None:
        """The entry of this kind that is in force, which counts as a use."""
        entry = self._entries.get(key)
        if entry is None or entry.expires <= now or entry.__class__ is not kind:
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: str, entry: Entry, now: float) -> None:
        """Keep an entry until it expires; it takes the place of one with the same key."""
        known = self._entries.get(key)
        self._entries[key] = entry
        if known is None:
            entry.turn = self._wheel.put(key, entry.expires)
            if len(self._entries) > self._limit:
                self._make_room(now)
            return
        self._entries.move_to_end(key)
        entry.turn = known.turn
        if entry.expires + 1 < entry.turn:
            self._wheel.remove(key, entry.turn)
            entry.turn = self._wheel.put(key, entry.expires)

    def drop(self, key: str) -> None:
        """Forget an entry."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._wheel.remove(key, entry.turn)

    def sweep(self, now: float, most: int = SWEPT_AT_ONCE) -> None:
        """Forget some of what has expired."""
        if now < self._wheel.turns and not self._wheel.due:
            return
        for key in self._wheel.take(now, most):
            entry = self._entries[key]
            if entry.expires <= now:
                del self._entries[key]
            else:
                entry.turn = self._wheel.put(key, entry.expires)

    def _make_room(self, now: float) -> None:
        self.sweep(now, SWEPT_WHEN_FULL)
        while len(self._entries) > self._limit:
            key, entry = self._entries.popitem(last=False)
            self._wheel.remove(key, entry.turn)
            if entry.expires > now:
                kind = entry.__class__.__name__.lower()
                self.evicted[kind] = self.evicted.get(kind, 0) + 1
