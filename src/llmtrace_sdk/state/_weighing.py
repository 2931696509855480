"""One claim against what the state in memory has: nothing is changed before all claims of a call are met.

This is the hot path: plain tuples, and entries that are changed where they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core import claims as asked
from llmtrace_sdk.state import _entries as kept
from llmtrace_sdk.state._rules import MOST, PERIOD_GRACE_S, bounded, interval_s, period_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.state._shelf import Shelf

ROUNDING_S: Final = 1e-6
"""Times are told apart to a millionth of a second, as Redis does."""

_TOKEN_ROUNDING: Final = 1e-6

Times = tuple[float, float, bool]
"""Now by the store's clock, now by the time of day, and whether the call has taken its tokens already."""

Weighed = tuple[float | None, int | None, int | None, int | None, int | None, Any, Any]
"""How long to wait (None: the claim is met); what is left before and after the call; what is spent before and after;
what the state has (None: nothing yet); and what it is to have.
"""


def add(claim: asked.Budget, amount: int, shelf: Shelf, times: Times) -> None:
    """Add to the sum of a period, or take from it."""
    now, unix, _ = times
    key = period_key(claim)
    entry = shelf.get(key, kept.Budget, now)
    left = claim.start + claim.seconds - unix
    expires = now + (left if left > 0 else 0.0) + PERIOD_GRACE_S
    if entry is None:
        shelf.put(key, kept.Budget(expires, max(0, min(MOST, amount))), now)
        return
    entry.sum = max(0, min(MOST, entry.sum + amount))
    entry.expires = max(entry.expires, expires)


def _weigh_budget(claim: asked.Budget, shelf: Shelf, _call: str, times: Times) -> Weighed:
    entry = shelf.get(period_key(claim), kept.Budget, times[0])
    before = entry.sum if entry is not None else 0
    amount = claim.amount
    if not 0 <= amount <= MOST:
        amount = bounded(amount)
    after = before + amount
    after = min(after, MOST)
    limit = claim.limit
    if limit is None:
        return None, None, None, before, after, entry, amount
    if before < limit and after <= limit <= MOST:
        return None, limit - before, limit - after, before, after, entry, amount
    limit = bounded(limit)
    if before < limit and after <= limit:
        return None, limit - before, limit - after, before, after, entry, amount
    wait = max(claim.start + claim.seconds - times[1], 0.0)
    return wait, max(limit - before, 0), 0, before, after, entry, amount


def _keep_budget(claim: asked.Budget, weighed: Weighed, shelf: Shelf, _call: str, times: Times) -> None:
    entry = weighed[5]
    if entry is None or claim.start + claim.seconds < times[1]:
        add(claim, weighed[6], shelf, times)
    else:
        entry.sum = min(entry.sum + weighed[6], MOST)


def _weigh_rate(claim: asked.Rate, shelf: Shelf, _call: str, times: Times) -> Weighed:
    now, _, taken = times
    interval, burst = interval_s(claim), claim.burst
    room = interval * max(burst, 0)
    entry = shelf.get(claim.key, kept.Rate, now)
    missing = 0.0
    if entry is not None:
        if entry.interval != interval or entry.burst != burst:
            # whether or not the call is granted: from now on the debt is paid at the new rate
            entry = entry.under(interval, burst, now)
            shelf.put(claim.key, entry, now)
        missing = max(entry.full - now, 0.0)
    after = missing if taken else missing + interval
    before_left = int((room - missing) / interval + _TOKEN_ROUNDING) if room > missing else 0
    after_left = int((room - after) / interval + _TOKEN_ROUNDING) if room > after else 0
    over = after - room
    wait = over if over > ROUNDING_S and not taken else None
    return wait, before_left, after_left, None, None, entry, now + after


def _keep_rate(claim: asked.Rate, weighed: Weighed, shelf: Shelf, _call: str, times: Times) -> None:
    entry, full = weighed[5], weighed[6]
    if entry is not None:
        entry.full = full
        if not times[2]:
            entry.expires += entry.interval  # never sooner than before: it keeps its place in the wheel
    elif full > times[0]:
        shelf.put(claim.key, kept.Rate(full, full, interval_s(claim), claim.burst), times[0])


def _weigh_slots(claim: asked.Slots, shelf: Shelf, call: str, times: Times) -> Weighed:
    now, limit = times[0], max(claim.limit, 0)
    entry = shelf.get(claim.key, kept.Slots, now)
    if entry is None:
        wait = None if limit else claim.lease_s
        return wait, limit, max(limit - 1, 0), None, None, None, now + claim.lease_s
    entry.purge(now)
    before = len(entry.held)
    mine = call in entry.held
    after = before if mine else before + 1
    wait = None
    if after > limit and not mine:
        free = entry.free_at(limit)
        wait = claim.lease_s if free is None else free - now
    return wait, max(limit - before, 0), max(limit - after, 0), None, None, entry, now + claim.lease_s


def _keep_slots(claim: asked.Slots, weighed: Weighed, shelf: Shelf, call: str, times: Times) -> None:
    entry = weighed[5]
    if entry is not None:
        entry.take(call, weighed[6])
        return
    entry = kept.Slots()
    entry.take(call, weighed[6])
    shelf.put(claim.key, entry, times[0])


WEIGH: Final[dict[type[asked.Claim], Callable[..., Weighed]]] = {
    asked.Rate: _weigh_rate,
    asked.Slots: _weigh_slots,
    asked.Budget: _weigh_budget,
}
"""Whether a claim of this kind can be met now: of the claim, the shelf, the call and the times."""

KEEP: Final[dict[type[asked.Claim], Callable[..., None]]] = {
    asked.Rate: _keep_rate,
    asked.Slots: _keep_slots,
    asked.Budget: _keep_budget,
}
"""Takes what was weighed: of the claim, what came of weighing it, the shelf, the call and the times."""
