"""Shared enforcement state within one process: the default. One lock, bounded memory, no thread of its own."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.claims import Admission, Budget, Rate, Slots, Standing
from llmtrace_sdk.state import _entries as kept
from llmtrace_sdk.state._rules import PUBLISHED_S, bounded, check, check_value, period_key
from llmtrace_sdk.state._rules import record_key as record_of
from llmtrace_sdk.state._shelf import Shelf
from llmtrace_sdk.state._weighing import KEEP, WEIGH, add
from llmtrace_sdk.typing import Announcement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmtrace_sdk.core.claims import Claims, Offence, Settlement
    from llmtrace_sdk.state._weighing import Times, Weighed

KEY_LIMIT: Final = 1_000_000
SETTLED_HERE_S: Final = 60.0
"""How long it is remembered that a call has settled. Less than where processes share a state (`SETTLED_S`): there one
of them may come to the end of a slow answer long after another, here only a repetition has to be told.
"""

_states: weakref.WeakSet[MemoryState] = weakref.WeakSet()


class MemoryState:
    """A `State` for the threads and tasks of one process; a forked child goes on with a copy of its own.

    `clock` gives seconds that never go back, `wall` Unix time. At most `limit` keys are kept (see `evicted`).
    """

    def __init__(
        self,
        limit: int = KEY_LIMIT,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._shelf = Shelf(limit, clock())
        self._lock = threading.Lock()
        self._version = 0
        _states.add(self)

    def __len__(self) -> int:
        return len(self._shelf)

    @property
    def evicted(self) -> dict[str, int]:
        """How many keys were given up while they still counted, by kind: `budget`, `rate`, `slots`, `block`, ..."""
        with self._lock:
            return dict(self._shelf.evicted)

    def admit(self, claims: Claims) -> Admission:
        """See `State.admit`."""
        record_key = record_of(claims.call, claims.claims) if claims.claims else ""
        with self._lock:
            now = self._clock()
            self._shelf.sweep(now)
            for key in claims.blocks:
                block = self._shelf.get(_block_key(key), kept.Block, now)
                if block is not None:
                    return Admission(granted=False, blocked=key, retry_after_s=block.expires - now)
            if not record_key:
                return Admission(granted=True)
            return self._admit(claims, record_key, now)

    async def aadmit(self, claims: Claims) -> Admission:
        """See `State.aadmit`; takes some microseconds, so there is nothing to wait for."""
        return self.admit(claims)

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """See `State.settle`."""
        check(settlements)
        for settlement in settlements:
            if settlement.claims:
                record_key = record_of(settlement.call, settlement.claims)
                with self._lock:
                    self._settle(settlement, record_key, self._clock())

    def offend(self, offence: Offence) -> Standing:
        """See `State.offend`."""
        limit = max(offence.limit, 1)
        with self._lock:
            now = self._clock()
            self._shelf.sweep(now)
            key = f"offences:{offence.source}"
            known = self._shelf.get(key, kept.Offences, now)
            times = deque(known.times if known else (), maxlen=limit)
            times.append(now)
            while times[0] <= now - offence.ttl_s and len(times) > 1:
                times.popleft()
            self._shelf.put(key, kept.Offences(now + offence.ttl_s, times), now)
            if len(times) >= limit:
                self._block(offence.block, offence.ttl_s, now, shorten=False)
            return Standing(len(times), len(times) >= limit)

    def block(self, key: str, ttl_s: float) -> None:
        """See `State.block`."""
        with self._lock:
            self._block(key, ttl_s, self._clock(), shorten=True)

    def unblock(self, key: str) -> None:
        """See `State.unblock`."""
        with self._lock:
            self._shelf.drop(_block_key(key))

    def blocked(self, keys: Sequence[str]) -> set[str]:
        """See `State.blocked`."""
        with self._lock:
            now = self._clock()
            return {key for key in keys if self._shelf.get(_block_key(key), kept.Block, now)}

    def spent(self, budgets: Sequence[Budget]) -> tuple[int, ...]:
        """See `State.spent`."""
        with self._lock:
            now = self._clock()
            sums = [self._shelf.get(period_key(budget), kept.Budget, now) for budget in budgets]
            return tuple(found.sum if found else 0 for found in sums)

    def publish(self, topic: str, value: bytes) -> int:
        """See `State.publish`."""
        check_value(value)
        with self._lock:
            now = self._clock()
            self._version = max(self._version + 1, int(self._wall() * 1_000_000))
            announced = kept.Announced(now + PUBLISHED_S, Announcement(self._version, value))
            self._shelf.put(f"topic:{topic}", announced, now)
            return self._version

    def latest(self, topic: str) -> Announcement | None:
        """See `State.latest`."""
        with self._lock:
            found = self._shelf.get(f"topic:{topic}", kept.Announced, self._clock())
            return found.announcement if found else None

    def close(self) -> None:
        """There is nothing to release."""

    async def aclose(self) -> None:
        """There is nothing to release."""

    def _admit(self, claims: Claims, record_key: str, now: float) -> Admission:
        record = self._shelf.get(record_key, kept.Call, now)
        if record is not None and record.until <= now:
            record = None
        if record is not None and record.stage != kept.SETTLED:
            return Admission(granted=True, remaining=record.remaining, spent=record.spent, again=True)
        again = record is not None
        shelf, call, times = self._shelf, claims.call, (now, self._wall(), again)
        weighed = [WEIGH[claim.__class__](claim, shelf, call, times) for claim in claims.claims]
        for at, each in enumerate(weighed):
            if each[0] is not None:
                return _refusal(at, weighed, again=again)
        for claim, each in zip(claims.claims, weighed, strict=True):
            KEEP[claim.__class__](claim, each, shelf, call, times)
        until = now + claims.remembered_s
        held = tuple([bounded(claim.amount) for claim in claims.claims if claim.__class__ is Budget])
        record = kept.Call(until, kept.RESUMED if again else kept.UNDERWAY, held, until)
        record.remaining = tuple([each[2] for each in weighed])
        record.spent = tuple([each[4] for each in weighed])
        shelf.put(record_key, record, now)
        return Admission(granted=True, remaining=record.remaining, spent=record.spent, again=again)

    def _settle(self, settlement: Settlement, record_key: str, now: float) -> None:
        self._shelf.sweep(now)
        record = self._shelf.get(record_key, kept.Call, now)
        if record is not None and record.stage != kept.SETTLED and record.until <= now:
            record = None
        undone = settlement.amounts is None and (record is None or record.stage == kept.UNDERWAY)
        amounts = self._settle_budgets(settlement, record.held if record is not None else (), now)
        for claim in settlement.claims:
            if isinstance(claim, Slots):
                self._give_slot(claim, settlement.call, now)
            elif isinstance(claim, Rate) and undone and record is not None:
                self._give_token(claim, now)
        if undone:
            self._shelf.drop(record_key)
            return
        forgotten = now + SETTLED_HERE_S
        until = min(record.until, forgotten) if record is not None else 0.0
        self._shelf.put(record_key, kept.Call(until, kept.SETTLED, amounts, forgotten), now)

    def _settle_budgets(self, settlement: Settlement, held: tuple[int, ...], now: float) -> tuple[int, ...]:
        times = (now, self._wall(), True)
        budgets = [claim for claim in settlement.claims if isinstance(claim, Budget)]
        amounts = tuple(bounded(each) for each in settlement.amounts or (0,) * len(budgets))
        for at, (budget, amount) in enumerate(zip(budgets, amounts, strict=True)):
            self._correct(budget, held[at] if at < len(held) else 0, amount, times)
        return amounts

    def _correct(self, budget: Budget, held: int, amount: int, times: Times) -> None:
        # where the sum was lost, so was what the call held of it
        known = self._shelf.get(period_key(budget), kept.Budget, times[0])
        change = amount - held if known is not None else amount
        if change:
            add(budget, change, self._shelf, times)

    def _give_slot(self, claim: Slots, call: str, now: float) -> None:
        slots = self._shelf.get(claim.key, kept.Slots, now)
        if slots is not None:
            slots.give(call)

    def _give_token(self, claim: Rate, now: float) -> None:
        bucket = self._shelf.get(claim.key, kept.Rate, now)
        if bucket is not None:
            interval = bucket.interval
            given = kept.Rate(bucket.full - interval, bucket.expires - interval, interval, bucket.burst)
            self._shelf.put(claim.key, given, now)

    def _block(self, key: str, ttl_s: float, now: float, *, shorten: bool) -> None:
        known = self._shelf.get(_block_key(key), kept.Block, now)
        if known is None or shorten or known.expires < now + ttl_s:
            self._shelf.put(_block_key(key), kept.Block(now + ttl_s), now)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()


def _refusal(at: int, weighed: list[Weighed], *, again: bool) -> Admission:
    return Admission(
        granted=False,
        refused=at,
        retry_after_s=max(each[0] or 0.0 for each in weighed),
        remaining=tuple(each[1] for each in weighed),
        spent=tuple(each[3] for each in weighed),
        again=again,
    )


def _block_key(key: str) -> str:
    return f"block:{key}"


def _after_fork_in_child() -> None:
    for state in list(_states):
        state._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
