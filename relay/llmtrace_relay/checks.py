"""Asks whether something answers, without ever making anybody wait for long."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.faults import count_fault

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_S: Final = 1.0
LIMIT_S: Final = 0.5


class Check:
    """One question, asked on a thread of its own at most once in `every_s` seconds, by one event loop.

    Who wants to know waits `limit_s` seconds at most. What has not answered by then counts as away until it does; it is
    not asked again in the meantime, so that a database that hangs holds one thread and no more.
    """

    def __init__(
        self, name: str, ask: Callable[[], bool], *, every_s: float = EVERY_S, limit_s: float = LIMIT_S
    ) -> None:
        self._name = name
        self._ask = ask
        self._every_s = every_s
        self._limit_s = limit_s
        self._asked = -every_s
        self._under_way: asyncio.Future[bool] | None = None
        self._late = False
        self.last: bool | None = None
        """What was known last; None before anything is."""

    async def holds(self) -> bool:
        """Whether it answers."""
        if self._under_way is None and time.monotonic() - self._asked >= self._every_s:
            self._begin()
        if self._under_way is not None and not self._late:
            await asyncio.wait({self._under_way}, timeout=self._limit_s)
            if self._under_way is not None:
                self._late, self.last = True, False
        return bool(self.last)

    def _begin(self) -> None:
        self._asked = time.monotonic()
        loop = asyncio.get_running_loop()
        self._under_way = answer = loop.create_future()
        threading.Thread(target=self._run, args=(loop, answer), name=f"llmtrace-{self._name}", daemon=True).start()

    def _run(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[bool]) -> None:
        try:
            held = self._ask()
        except Exception as error:  # noqa: BLE001 - what cannot be asked does not answer
            count_fault(f"health.{self._name}", error)
            held = False
        try:
            loop.call_soon_threadsafe(self._end, answer, held)
        except RuntimeError:  # the loop has ended; nobody wants to know any more
            return

    def _end(self, answer: asyncio.Future[bool], held: bool) -> None:
        self._under_way, self._late, self.last = None, False, held
        if not answer.done():
            answer.set_result(held)
