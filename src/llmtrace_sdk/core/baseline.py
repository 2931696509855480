"""What is usual for a number: the latest of its values, and how far above them a new one is.

Amounts of calls spread by factors, not by sums, so they are compared by their logarithms, in whole steps of which eight
double the amount. The centre is the median and the spread that of a high quantile above it: neither follows a few
spikes, and what comes more often than that, such as a second kind of call, is soon part of what is usual.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from math import log2
from typing import Final

LEAST: Final = 10
"""Values before anything is compared with them."""

STEPS: Final = 8
"""To double an amount; one step is 9 %."""

FLOOR: Final = 3.0
"""The least standard deviation, in steps: a constant history is left by a factor of 2.2 at three of them."""

TOP: Final = 255
MOST: Final = 1e15

_CLIP: Final = 3.0
_WIDEN: Final = 10.0
# Below how many values which quantile tells the spread, and how many standard deviations of a normal distribution
# it is above the median. At least one value lies above each.
_QUANTILES: Final = ((20, 0.8, 0.842), (40, 0.9, 1.282))
_QUANTILE: Final = (0.95, 1.645)


def step_of(amount: float, unit: float) -> int:
    """The step of an amount; amounts far under `unit` are all alike, as their differences are of no weight."""
    return min(TOP, int(STEPS * log2(1 + min(amount, MOST) / unit) + 0.5)) if amount > 0 else 0


def amount_of(step: float, unit: float) -> float:
    """About the amount that has this step."""
    return float(unit * (2 ** (step / STEPS) - 1))


class Baseline:
    """The latest `size` values (steps, 0 to `TOP`) of one number, in a byte each in both orders.

    `median` is their middle. What is taken in costs two binary searches and moving `size` bytes.
    """

    __slots__ = ("_at", "_deviation", "_order", "_sorted", "median")

    def __init__(self) -> None:
        self._order = bytearray()
        self._sorted = bytearray()
        self._at = 0
        self._deviation = 0.0
        self.median = 0

    def sigma(self, step: int) -> float:
        """How many standard deviations a value is above the median; 0 while there is too little to compare it with."""
        return (step - self.median) / self._deviation if self._deviation else 0.0

    def take(self, step: int, size: int) -> None:
        """Take a value in, and the oldest out when there are more than `size`.

        One that is far above the others counts as what is just not far: it cannot hide the next one, but if such values
        keep coming what is usual moves there.
        """
        order, values = self._order, self._sorted
        if self._deviation:
            step = min(step, self.median + int(_CLIP * self._deviation))
        if len(order) < size:
            order.append(step)
        else:
            del values[bisect_left(values, order[self._at])]
            order[self._at] = step
            self._at = (self._at + 1) % size
        insort(values, step)
        self.median = values[len(values) // 2]
        if len(values) >= LEAST:
            self._deviation = _deviation(values, self.median)


def _deviation(values: bytearray, median: int) -> float:
    """The spread as that of a normal distribution, wider for few values, which may not show all of it."""
    count = len(values)
    share, deviations = _QUANTILE
    if count < _QUANTILES[-1][0]:
        share, deviations = next((share, z) for most, share, z in _QUANTILES if count < most)
    high = values[int(share * count)]
    return max(FLOOR, (high - median) / deviations) * (1 + _WIDEN / count)


class Pace:
    """How many calls there were in the last minute, told in slots of ten seconds.

    Time is that of the records. One that is late counts in its own slot, or not at all when it is over a minute late;
    one that is over an hour late says that the clock has been set back.
    """

    __slots__ = ("_counts", "_now", "_told", "_told_at")

    SLOT_NS: Final = 10 * 10**9
    _SLOTS: Final = 6
    _SET_BACK: Final = 360

    def __init__(self) -> None:
        self._counts = [0] * self._SLOTS
        self._now: int | None = None
        self._told: int = 0
        self._told_at = 0

    def count(self, when_ns: int) -> tuple[int | None, int | None]:
        """Count a call. Gives the number of calls in the minute that has ended with it, None when no slot has ended,
        and the number of the last minute so far, None for a call that comes too late to count.
        """
        slot, now = when_ns // self.SLOT_NS, self._now
        ended = None
        if now is None or slot <= now - self._SET_BACK:
            self._start(slot)
        elif slot > now:
            ended = sum(self._counts)
            self._advance(min(slot - now, self._SLOTS), slot)
        elif slot <= now - self._SLOTS:
            return None, None
        self._counts[slot % self._SLOTS] += 1
        return ended, sum(self._counts)

    def is_news(self, weight: int) -> bool:
        """Whether something of this weight has not been told in the last minute; true once a minute for each weight."""
        now = self._now or 0
        if weight <= self._told and now - self._told_at < self._SLOTS:
            return False
        self._told, self._told_at = weight, now
        return True

    def _start(self, slot: int) -> None:
        self._counts = [0] * self._SLOTS
        self._now, self._told, self._told_at = slot, 0, slot

    def _advance(self, by: int, slot: int) -> None:
        for back in range(by):
            self._counts[(slot - back) % self._SLOTS] = 0
        self._now = slot
