"""Asks the tiers, and never waits longer than allowed: what takes too long goes on in a thread that nobody waits for.

Calls whose texts are judged after the call stand in a bounded queue of their own, so that telemetry does not wait. A
tier that fails again and again is left alone for a while.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core.tiers import Unanswered
from llmtrace_sdk.tiers.adviser import NoOpinion
from llmtrace_sdk.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from llmtrace_sdk.core.effects import Ask
    from llmtrace_sdk.core.tiers import Question, Reply, TierName
    from llmtrace_sdk.tiers.adviser import Adviser

QUEUE_LIMIT: Final = 256
ASKED_AT_ONCE: Final = 16
"""Questions that one tier works on at the same time, those that nobody waits for any more included."""

FAILURES: Final = 5
REST_S: Final = 30.0
LONGEST_REST_S: Final = 300.0
BUSY: Final = Unanswered("busy")
PAUSED: Final = Unanswered("paused")
TIMEOUT: Final = Unanswered("timeout")
FAILED: Final = Unanswered("failed")

_desks: weakref.WeakSet[Desk] = weakref.WeakSet()


class Desk:
    """Asks the advisers. `on_fault` is told of everything that they raise, by component."""

    def __init__(
        self,
        advisers: Mapping[TierName, Adviser],
        on_fault: Callable[[str, BaseException], Any],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._advisers = advisers
        self._on_fault = on_fault
        self._windows = {name: _Window(name, adviser, on_fault, clock) for name, adviser in advisers.items()}
        self._worker = Worker(on_fault, QUEUE_LIMIT, "llmtrace-tiers")
        _desks.add(self)

    def ask(self, ask: Ask, deadline: float | None = None) -> tuple[Reply, ...]:
        """One reply for each question, all of them asked at once; blocks until `ask.deadline_ms` at the latest.

        Never raises. `deadline` (of the desk's clock) may be earlier than that.
        """
        if deadline is None:
            deadline = self._clock() + ask.deadline_ms / 1000
        window = self._windows[ask.tier]
        started = [window.start(question, deadline) for question in ask.questions]
        return tuple(window.wait(answer, deadline) for answer in started)

    async def aask(self, ask: Ask) -> tuple[Reply, ...]:
        """`ask` off the event loop, asyncio's or trio's. Cancelling it abandons the questions."""
        try:
            from anyio import CapacityLimiter, to_thread  # the HTTP client that brought us here depends on it

            # a limiter of its own: the default one is the application's
            limiter = CapacityLimiter(1)
            return await to_thread.run_sync(self.ask, ask, abandon_on_cancel=True, limiter=limiter)
        except Exception as error:  # noqa: BLE001 - an unknown loop, no threads left: never hurt the host
            self._on_fault(f"tier.{ask.tier}", error)
            return (FAILED,) * len(ask.questions)

    def later(self, flow: Generator[Ask, tuple[Reply, ...], None], then: Callable[..., None], *args: Any) -> bool:
        """Ask what `flow` wants to know on a thread of our own, then call `then(*args)` there; False: nothing to ask.

        A full queue answers at once that the tier is busy.
        """
        ask = next(flow, None)
        if ask is None:
            return False
        if self._worker.put(self._converse, flow, ask, self._clock(), then, args):
            return True
        while ask is not None:
            ask = _send(flow, (BUSY,) * len(ask.questions))
        return False

    def warm(self) -> None:
        """Let the advisers load what they need, off this thread; a fault is counted, and met again by the first."""
        for window in self._windows.values():
            self._worker.put(window.warm)

    def flush(self, timeout_s: float) -> bool:
        """Wait until what is queued is done; False when that takes longer than `timeout_s` seconds."""
        return self._worker.flush(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Do what is queued and let go of connections; a later question starts anew."""
        done = self._worker.close(timeout_s)
        for name, adviser in self._advisers.items():
            try:
                adviser.close()
            except Exception as error:  # noqa: BLE001 - closing is a courtesy
                self._on_fault(f"tier.{name}", error)
        return done

    def _converse(
        self,
        flow: Generator[Ask, tuple[Reply, ...], None],
        ask: Ask | None,
        since: float,
        then: Callable[..., None],
        args: tuple[Any, ...],
    ) -> None:
        try:
            while ask is not None:
                # the record waits, so the time in the queue counts; a second tier has its time from now on
                replies = self.ask(ask, since + ask.deadline_ms / 1000)
                since = self._clock()
                ask = _send(flow, replies)
        finally:
            then(*args)

    def _after_fork(self) -> None:
        self._windows = {n: _Window(n, a, self._on_fault, self._clock) for n, a in self._advisers.items()}


class _Window:
    """Where one adviser is asked: how many questions it has before it, and whether it has to be left alone."""

    def __init__(
        self, name: str, adviser: Adviser, on_fault: Callable[[str, BaseException], Any], clock: Callable[[], float]
    ) -> None:
        self._name = name
        self._adviser = adviser
        self._on_fault = on_fault
        self._clock = clock
        self._places = threading.BoundedSemaphore(ASKED_AT_ONCE)
        self._failures = 0
        self._rests_until = 0.0

    def start(self, question: Question, deadline: float) -> Future[Reply] | Unanswered:
        """Ask, without waiting."""
        if self._clock() >= deadline:
            return BUSY  # the time went by in the queue, which is not the adviser's fault
        if self._clock() < self._rests_until:
            return PAUSED
        if not self._places.acquire(blocking=False):
            return BUSY
        answer: Future[Reply] = Future()
        try:
            thread = threading.Thread(
                target=self._run, args=(answer, question, deadline), name=f"llmtrace-{self._name}", daemon=True
            )
            thread.start()
        except RuntimeError as error:  # the interpreter is shutting down, or has no threads left
            self._places.release()
            self._on_fault(f"tier.{self._name}", error)
            return FAILED
        return answer

    def wait(self, answer: Future[Reply] | Unanswered, deadline: float) -> Reply:
        """The reply, or that it has not come in time."""
        if isinstance(answer, Unanswered):
            return answer
        try:
            return answer.result(max(deadline - self._clock(), 0.0))
        except TimeoutError as error:
            self._failed(error)
            return TIMEOUT

    def warm(self) -> None:
        try:
            self._adviser.warm()
        except BaseException as error:  # noqa: BLE001 - as in `_reply`; the first question will tell
            self._on_fault(f"tier.{self._name}", error)

    def _run(self, answer: Future[Reply], question: Question, deadline: float) -> None:
        try:
            answer.set_result(self._reply(question, deadline))
        finally:
            self._places.release()

    def _reply(self, question: Question, deadline: float) -> Reply:
        try:
            opinion = self._adviser.ask(question, deadline)
        except BaseException as error:  # noqa: BLE001 - a panic of native code is no `Exception`; the call goes on
            if self._clock() >= deadline:  # whoever waited has counted it
                return TIMEOUT
            self._failed(error)
            return TIMEOUT if isinstance(error, TimeoutError) else FAILED
        if self._clock() < deadline:  # an answer that nobody could wait for is none
            self._failures = 0
        return opinion

    def _failed(self, error: BaseException) -> None:
        """Count a failure. A race between threads costs one count at most."""
        self._on_fault(f"tier.{self._name}", error)
        self._failures += 1
        rest_s = min(error.rest_s, LONGEST_REST_S) if isinstance(error, NoOpinion) else 0.0
        if self._failures >= FAILURES:
            rest_s = max(rest_s, REST_S)
        if rest_s > 0:
            self._rests_until = max(self._rests_until, self._clock() + rest_s)


def _send(flow: Generator[Ask, tuple[Reply, ...], None], replies: tuple[Reply, ...]) -> Ask | None:
    try:
        return flow.send(replies)
    except StopIteration:
        return None


def _after_fork_in_child() -> None:
    for desk in list(_desks):
        desk._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
