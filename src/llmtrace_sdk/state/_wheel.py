"""Which keys are to be looked at when: one bucket for each second, so that putting and taking cost the same for any
number of keys. A key is in one bucket; whoever takes it out sees whether it has really expired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Wheel:
    """Keys by the second in which they are due."""

    __slots__ = ("_buckets", "_due", "_next")

    def __init__(self, now: float) -> None:
        self._buckets: dict[int, set[str]] = {}
        self._due: set[str] = set()
        self._next = int(now)

    def put(self, key: str, due: float) -> int:
        """Have `key` come up in the first second that begins after `due`, which is returned."""
        second = max(int(min(due, 1e15)) + 1, self._next)
        bucket = self._buckets.get(second)
        if bucket is None:
            self._buckets[second] = {key}
        else:
            bucket.add(key)
        return second

    def remove(self, key: str, second: int) -> None:
        """Have `key` come up no more; `second` is what `put` returned."""
        bucket = self._buckets.get(second)
        if bucket is None:
            self._due.discard(key)
            return
        bucket.discard(key)
        if not bucket:
            del self._buckets[second]

    def take(self, now: float, most: int) -> Iterator[str]:
        """At most `most` keys that are due; the rest come up next time."""
        for _ in range(most):
            if not self._due and not self._turn(int(now)):
                return
            yield self._due.pop()

    def _turn(self, now: int) -> bool:
        while self._next <= now and self._buckets:
            # after a long pause it is cheaper to look at the buckets than at the seconds between them
            if now - self._next > len(self._buckets):
                self._next = min(max(self._next, min(self._buckets)), now)
            self._due = self._buckets.pop(self._next, self._due)
            self._next += 1
            if self._due:
                return True
        self._next = max(self._next, now)
        return False
