"""One claim against what the state in memory has: nothing is changed before all claims of a call are met."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Final, NamedTuple

from llmtrace_sdk.core import claims as asked
from llmtrace_sdk.state import _entries as kept
from llmtrace_sdk.state._rules import MOST, PERIOD_GRACE_S, bounded, interval_s, period_key

if TYPE_CHECKING:
    from llmtrace_sdk.state._shelf import Shelf

ROUNDING_S: Final = 1e-6
"""Times are told apart to a millionth of a second, as Redis does."""

_TOKEN_ROUNDING: Final = 1e-6


class Asking(NamedTuple):
    """Who asks, and when: `now` by the store's clock, `unix` the time of day; `taken` tells that tokens were taken."""

    call: str
    now: float
    unix: float
    taken: bool


class Weighed(NamedTuple):
    """`wait`: None where the claim is met, else how long until it may be. The others are before and after the call."""

    wait: float | None
    left: tuple[int | None, int | None]
    spent: tuple[int | None, int | None]
    then: float
    """What is to be kept: when the bucket is full, when the lease ends, or the sum."""


NO_SUM: Final = (None, None)


def weigh(claim: asked.Claim, shelf: Shelf, asking: Asking) -> Weighed:
    """Whether a claim can be met now."""
    kind = claim.__class__
    if kind is asked.Budget:
        return _budget(claim, shelf, asking)  # type: ignore[arg-type]
    if kind is asked.Rate:
        return _rate(claim, shelf, asking)  # type: ignore[arg-type]
    return _slots(claim, shelf, asking)  # type: ignore[arg-type]


def keep(claim: asked.Claim, weighed: Weighed, shelf: Shelf, asking: Asking) -> None:
    """Take what was weighed."""
    kind, now = claim.__class__, asking.now
    if kind is asked.Budget:
        add(claim, bounded(claim.amount), shelf, asking)  # type: ignore[union-attr, arg-type]
    elif kind is asked.Rate:
        if weighed.then > now:
            shelf.put(claim.key, kept.Rate(weighed.then), now)
    else:
        slots = shelf.get(claim.key, kept.Slots, now) or kept.Slots()
        slots.take(asking.call, weighed.then)
        shelf.put(claim.key, slots, now)


def add(claim: asked.Budget, amount: int, shelf: Shelf, asking: Asking) -> None:
    """Add to the sum of a period, or take from it."""
    key = period_key(claim)
    known = shelf.get(key, kept.Budget, asking.now)
    total = max(0, min(MOST, (known.sum if known else 0) + amount))
    left = max(claim.start + claim.seconds - asking.unix, 0.0)
    shelf.put(key, kept.Budget(asking.now + left + PERIOD_GRACE_S, total), asking.now)


def _budget(claim: asked.Budget, shelf: Shelf, asking: Asking) -> Weighed:
    known = shelf.get(period_key(claim), kept.Budget, asking.now)
    before = known.sum if known else 0
    after = min(MOST, before + bounded(claim.amount))
    if claim.limit is None:
        return Weighed(None, NO_SUM, (before, after), 0.0)
    limit = bounded(claim.limit)
    left = (max(limit - before, 0), max(limit - after, 0))
    wait = None
    if before >= limit or after > limit:
        wait = max(claim.start + claim.seconds - asking.unix, 0.0)
    return Weighed(wait, left, (before, after), 0.0)


def _rate(claim: asked.Rate, shelf: Shelf, asking: Asking) -> Weighed:
    interval = interval_s(claim)
    room = interval * max(claim.burst, 0)
    known = shelf.get(claim.key, kept.Rate, asking.now)
    missing = known.expires - asking.now if known else 0.0
    after = missing if asking.taken else missing + interval
    over = after - room
    left = (_tokens(room - missing, interval), _tokens(room - after, interval))
    refused = over > ROUNDING_S and not asking.taken
    return Weighed(over if refused else None, left, NO_SUM, asking.now + after)


def _tokens(present: float, interval: float) -> int:
    return max(floor(present / interval + _TOKEN_ROUNDING), 0)


def _slots(claim: asked.Slots, shelf: Shelf, asking: Asking) -> Weighed:
    ends = asking.now + claim.lease_s
    slots = shelf.get(claim.key, kept.Slots, asking.now)
    if slots is None:
        wait = None if claim.limit > 0 else claim.lease_s
        return Weighed(wait, (max(claim.limit, 0), max(claim.limit - 1, 0)), NO_SUM, ends)
    slots.purge(asking.now)
    before = len(slots)
    mine = asking.call in slots
    after = before if mine else before + 1
    wait = None
    if after > claim.limit and not mine:
        free = slots.free_at(claim.limit)
        wait = claim.lease_s if free is None else free - asking.now
    return Weighed(wait, (max(claim.limit - before, 0), max(claim.limit - after, 0)), NO_SUM, ends)
