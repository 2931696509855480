"""What is still to be found out about finished calls, done on the event loop, some calls in a row.

A thread for it would take turns with the loop at every step that gives up the interpreter's lock, and each of them
would find the processor's caches full of what the other one had used: measured, that makes a call a fifth dearer. For
the same reason calls wait for each other a moment, under load: the second of two in a row costs less than the first.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.faults import count_fault

if TYPE_CHECKING:
    from llmtrace_sdk.core.exchange import Exchange
    from llmtrace_sdk.runtime import Runtime
    from llmtrace_sdk.telemetry.spans import CallSpan

MOST_BYTES: Final = 8 << 10
"""Of question and answer, decoded: more of them keep the loop too long, so that the worker sees to them."""

MOST_CALLS: Final = 64
"""That wait here: with more of them calls come faster than they are worked through, and the worker has its share."""

LOOK_S: Final = 0.001
"""How often it is looked whether no call is under way: then it is a good time."""

TOGETHER_S: Final = 0.01
"""How long finished calls wait for that at most, and for each other."""

IN_A_ROW: Final = 16
"""Calls; then bytes that have come meanwhile go first."""


class Behind:
    """The finished calls of one event loop. `put` is the loop's, `finish` anybody's.

    `under_way`: how many calls are, as whoever serves them counts.
    """

    def __init__(self) -> None:
        self.under_way = 0
        self._calls: deque[tuple[Runtime, Exchange, CallSpan | None]] = deque()
        self._busy = threading.Lock()
        self._due = False

    def put(self, runtime: Runtime, exchange: Exchange, span: CallSpan | None, size: int) -> None:
        """Have the record of a call made and delivered; of `size` bytes, about. Never waits."""
        if size > MOST_BYTES or len(self._calls) >= MOST_CALLS:
            runtime.deliver(exchange, span)
            return
        self._calls.append((runtime, exchange, span))
        if not self._due:
            self._due = True
            loop = asyncio.get_running_loop()
            loop.call_later(LOOK_S, self._look, loop, loop.time() + TOGETHER_S)

    @property
    def waiting(self) -> int:
        """How many calls are."""
        return len(self._calls)

    def finish(self) -> None:
        """Work through what waits, and wait for what is under way."""
        while self._one():
            pass

    def _look(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        if self.under_way and loop.time() < until:
            loop.call_later(LOOK_S, self._look, loop, until)
        else:
            self._turn()

    def _turn(self) -> None:
        for _ in range(min(len(self._calls), IN_A_ROW)):
            self._one()
        self._due = bool(self._calls)
        if self._due:
            asyncio.get_running_loop().call_soon(self._turn)

    def _one(self) -> bool:
        with self._busy:
            try:
                runtime, exchange, span = self._calls.popleft()
            except IndexError:
                return False
            try:
                runtime.record(exchange, span)
            except Exception as error:  # noqa: BLE001 - one bad call must not stop the others
                count_fault("worker", error)
            return True
