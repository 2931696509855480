"""Which keys are to be looked at when: one bucket for each second, so that putting and taking cost the same for any
number of keys. A key is in one bucket; whoever takes it out sees whether it has really expired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Wheel:
    """Keys by the second in which they are due: `due` has those whose second has begun, `turns` is the next second."""

    __slots__ = ("_buckets", "due", "turns")

    def __init__(self, now: float) -> None:
        self._buckets: dict[int, set[str]] = {}
        self.due: set[str] = set()
        self.turns = int(now)

    def put(self, key: str, due: float) -> int:
        """Have `key` come up in the first second that begins after `due`, which is returned."""
        second = max(int(min(due, 1e15)) + 1, self.turns)
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
            self.due.discard(key)
            return
        bucket.discard(key)
        if not bucket:
            del self._buckets[second]

    def take(self, now: float, most: int) -> Iterator[str]:
        """At most `most` keys that are due; the rest come up next time."""
        for _ in range(most):
            if not self.due and not self._turn(int(now)):
                return
            yield self.due.pop()

    def _turn(self, now: int) -> bool:
        while self.turns <= now and self._buckets:
            # after a long pause it is cheaper to look at the buckets than at the seconds between them
            if now - self.turns > len(self._buckets):
                self.turns = min(max(self.turns, min(self._buckets)), now)
            self.due = self._buckets.pop(self.turns, self.due)
            self.turns += 1
            if self.due:
                return True
        self.turns = max(self.turns, now)
        return False
