"""What the state in memory keeps. `expires` is when an entry is in force no more, by the store's clock, in seconds;
`turn` belongs to the shelf.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, nsmallest
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections import deque

    from llmtrace_sdk.typing import Announcement

UNDERWAY: Final = 1
RESUMED: Final = 2
SETTLED: Final = 0


class Entry:
    """The base of all."""

    __slots__ = ("expires", "turn")

    def __init__(self, expires: float) -> None:
        self.expires = expires
        self.turn = 0


class Rate(Entry):
    """A bucket of tokens, told by when it is full again; `interval` and `burst` are those of the rule that said so.

    `expires` is when it would be full if no lowered burst had cut its debt: a rule that is lowered and raised again, or
    two processes that follow different rules, must not be given the same tokens twice.
    """

    __slots__ = ("burst", "full", "interval")

    def __init__(self, full: float, expires: float, interval: float, burst: int) -> None:
        super().__init__(expires)
        self.full = full
        self.interval = interval
        self.burst = burst

    def under(self, interval: float, burst: int, now: float) -> Rate:
        """The same bucket under another rule: it lacks as many tokens as before, but no more than go into it."""
        debt = (self.expires - now) / self.interval
        return Rate(now + min(debt, max(burst, 1)) * interval, now + debt * interval, interval, burst)


class Budget(Entry):
    """The sum of one period."""

    __slots__ = ("sum",)

    def __init__(self, expires: float, total: int) -> None:
        super().__init__(expires)
        self.sum = total


class Call(Entry):
    """A call that was granted: what it holds of each budget, and its first answer (`remaining`, `spent`).

    `until` is how long it counts as asked before; the entry stays longer, so that it settles once.
    """

    __slots__ = ("held", "remaining", "spent", "stage", "until")

    def __init__(self, until: float, stage: int, held: tuple[int, ...], expires: float) -> None:
        super().__init__(expires)
        self.until = until
        self.stage = stage
        self.held = held
        self.remaining: tuple[int | None, ...] = ()
        self.spent: tuple[int | None, ...] = ()


class Block(Entry):
    """A block in force."""

    __slots__ = ()


class Offences(Entry):
    """When the latest offences of a source were."""

    __slots__ = ("times",)

    def __init__(self, expires: float, times: deque[float]) -> None:
        super().__init__(expires)
        self.times = times


class Announced(Entry):
    """What was published."""

    __slots__ = ("announcement",)

    def __init__(self, expires: float, announcement: Announcement) -> None:
        super().__init__(expires)
        self.announcement = announcement


class Slots(Entry):
    """The calls that hold a slot, and until when: `held`, which has those that have ended until they are purged."""

    __slots__ = ("_queue", "held")

    def __init__(self) -> None:
        super().__init__(0.0)
        self.held: dict[str, float] = {}
        self._queue: list[tuple[float, str]] = []

    def purge(self, now: float) -> None:
        """Forget the leases that have ended."""
        queue, held = self._queue, self.held
        while queue and queue[0][0] <= now:
            ends, call = heappop(queue)
            if held.get(call) == ends:
                del held[call]

    def take(self, call: str, ends: float) -> None:
        """Lease a slot, or renew the lease."""
        self.held[call] = ends
        heappush(self._queue, (ends, call))
        self.expires = max(self.expires, ends)
        if len(self._queue) > 2 * len(self.held) + 16:
            self._queue = [(end, holder) for holder, end in self.held.items()]
            heapify(self._queue)

    def give(self, call: str) -> None:
        """Give a slot back."""
        self.held.pop(call, None)

    def free_at(self, limit: int) -> float | None:
        """When there will be fewer than `limit`, if none is given back before; None: never."""
        over = len(self.held) - limit
        if limit < 1:
            return None
        if over > 0:
            return nsmallest(over + 1, self.held.values())[over]
        while self.held.get(self._queue[0][1]) != self._queue[0][0]:
            heappop(self._queue)
        return self._queue[0][0]
