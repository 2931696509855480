"""Runs actions off the threads of calls and of records, and tells how each of them ended.

There are two threads, each with a bounded queue: one for quick actions (blocks, the log) and one for those that wait
for somebody, so that a slow webhook delays no block. Both start with the first job, and anew in a forked child.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.actions._statuses import dropped, failed, skipped
from llmtrace_sdk.core.routing import BLOCK
from llmtrace_sdk.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llmtrace_sdk.actions import Action
    from llmtrace_sdk.core.model import ActionStatus, CallRecord

    Told = Callable[[CallRecord, tuple[ActionStatus, ...]], None]

QUEUE_LIMIT: Final = 1_000


class Dispatch:
    """Runs the `actions`, by name. `told` gets the statuses of a call once, when all of its actions have ended.

    `on_fault` is told of actions that raise, by component (`action.<name>`).
    """

    def __init__(
        self,
        actions: Mapping[str, Action],
        *,
        on_fault: Callable[[str, BaseException], None],
        told: Told,
        limit: int = QUEUE_LIMIT,
    ) -> None:
        self._actions = dict(actions)
        self._quick = frozenset(name for name, action in actions.items() if getattr(action, "quick", False))
        self._on_fault = on_fault
        self._told = told
        self._first = Worker(on_fault, limit, "llmtrace-actions")
        self._then = Worker(on_fault, limit, "llmtrace-deliveries")

    @property
    def dropped(self) -> int:
        """How many calls found one of the queues full."""
        return self._first.dropped + self._then.dropped

    def warm(self) -> None:
        """Load, on the threads of the actions, what the first call would have to wait for."""
        slow = [action for name, action in self._actions.items() if name not in self._quick]
        for action in slow:
            warm = getattr(action, "warm", None)
            if warm is not None:
                self._then.put(warm)

    def put(self, record: CallRecord, names: Sequence[str], source: str | None, *, shadow: bool = False) -> bool:
        """Queue the actions of a finished call, in the order of `names`; False when they had to be dropped.

        Never waits and never raises. `shadow`: actions that would enforce something are not run.
        """
        if not names:
            return True
        job = _Job(record, tuple(names), source, shadow)
        if self._quick.isdisjoint(names):
            taken = self._then.put(self._deliver, job)
        else:
            taken = self._first.put(self._begin, job)
        if not taken:
            self._end(job)
        return taken

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything queued so far is done; False when that takes longer than `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        first = self._first.flush(timeout_s)
        return self._then.flush(max(deadline - time.monotonic(), 0.0)) and first

    def close(self, timeout_s: float) -> bool:
        """Do what is queued, end the threads and close the connections; a later call starts anew."""
        deadline = time.monotonic() + timeout_s
        ended = self._first.close(timeout_s)
        ended = self._then.close(max(deadline - time.monotonic(), 0.0)) and ended
        for action in self._actions.values() if ended else ():
            close = getattr(action, "close", None)
            if close is not None:
                close()
        return ended

    def _begin(self, job: _Job) -> None:
        """The quick actions; then the others, on their own thread."""
        for name in job.names:
            if name in self._quick:
                job.statuses[name] = self._run(name, job)
        if self._quick.issuperset(job.names) or not self._then.put(self._deliver, job):
            self._end(job)

    def _deliver(self, job: _Job) -> None:
        for name in job.names:
            if name not in self._quick:
                job.statuses[name] = self._run(name, job)
        self._end(job)

    def _run(self, name: str, job: _Job) -> ActionStatus:
        if name == BLOCK:  # it was asked for by findings of the answer, or after it
            return skipped(name, "shadow" if job.shadow else "too_late")
        action = self._actions.get(name)
        if action is None:
            return skipped(name, "unknown")
        if job.shadow and getattr(action, "enforces", False):
            return skipped(name, "shadow")
        try:
            return action.run(job.record, job.source)
        except Exception as error:  # noqa: BLE001 - one bad action must not stop the others
            self._on_fault(f"action.{name}", error)
            return failed(name, "fault")

    def _end(self, job: _Job) -> None:
        """Tell how everything ended; what has not been run was dropped."""
        statuses = tuple(job.statuses.get(name) or dropped(name) for name in job.names)
        try:
            self._told(job.record, statuses)
        except Exception as error:  # noqa: BLE001 - whoever is told must not hurt whoever tells
            self._on_fault("action.told", error)


class _Job:
    __slots__ = ("names", "record", "shadow", "source", "statuses")

    def __init__(self, record: CallRecord, names: tuple[str, ...], source: str | None, shadow: bool) -> None:
        self.record = record
        self.names = names
        self.source = source
        self.shadow = shadow
        self.statuses: dict[str, ActionStatus] = {}
