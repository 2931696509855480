"""One thread and one bounded queue for everything that need not happen on the application's own thread.

The thread starts with the first job, is a daemon, and is started afresh in a forked child (which also forgets the
parent's jobs: the parent still does them). A full queue drops the new job and counts it.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import sleep
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUE_LIMIT: Final = 10_000
EXIT_FLUSH_S: Final = 5.0
LINGER_S: Final = 1.0
PAUSE_S: Final = 0.02
JOBS_PER_TURN: Final = 8

_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


class Worker:
    """Runs jobs in order, one at a time. `on_fault` is told of jobs that raise; nothing of it reaches the caller.

    Waking a thread costs the caller more than all the rest of `put`. So the thread does not go to sleep for good at
    once: for `LINGER_S` after the last job it looks for itself whether there is a new one, every `PAUSE_S`.
    """

    def __init__(
        self,
        on_fault: Callable[[str, BaseException], None],
        limit: int = QUEUE_LIMIT,
        name: str = "llmtrace-worker",
    ) -> None:
        self.dropped = 0
        self._name = name
        self._on_fault = on_fault
        self._limit = limit
        self._lock = threading.Lock()
        self._jobs: deque[tuple[Callable[..., Any], tuple[Any, ...]] | None] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._asleep = False
        self._thread: threading.Thread | None = None
        _workers.add(self)

    def put(self, job: Callable[..., Any], *args: Any) -> bool:
        """Queue a job; False (and counted) when the queue is full. Never blocks, safe inside `__del__`."""
        if len(self._jobs) >= self._limit:
            self.dropped += 1
            return False
        self._jobs.append((job, args))
        if self._asleep:
            self._bell.put(None)
        elif self._thread is None:
            self._start()
        return True

    @property
    def waiting(self) -> int:
        """How many jobs are queued."""
        return len(self._jobs)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything queued so far is done; False when that takes longer than `timeout_s` seconds."""
        if self._thread is threading.current_thread():
            return not self._jobs
        with self._lock:  # another thread may be starting it at this very moment
            alive = self._thread is not None and self._thread.is_alive()
        if not alive:
            return not self._jobs
        done = threading.Event()
        self._jobs.append((done.set, ()))
        self._bell.put(None)
        return done.wait(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Do what is queued, then end the thread; a later job starts a new one."""
        thread, self._thread = self._thread, None
        if thread is None or not thread.is_alive():
            return not self._jobs
        self._jobs.append(None)
        self._bell.put(None)
        if thread is not threading.current_thread():
            thread.join(timeout_s)
        return not thread.is_alive()

    def _start(self) -> None:
        # not blocking: a garbage collection inside the lock may want to queue a job of its own
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        except RuntimeError as error:  # the interpreter is shutting down, or has no threads left
            self._thread = None
            self._on_fault("worker", error)
        finally:
            self._lock.release()

    def _run(self) -> None:
        turn = 0
        while (item := self._next()) is not None:
            job, args = item
            try:
                job(*args)
            except Exception as error:  # noqa: BLE001 - one bad job must not stop the others
                self._on_fault("worker", error)
            del item, job, args  # or the last record would live until the next one comes
            turn = (turn + 1) % JOBS_PER_TURN
            if not turn:
                sleep(0)  # let the application's threads in; after each job it would cost them more than it gives

    def _next(self) -> tuple[Callable[..., Any], tuple[Any, ...]] | None:
        """The next job, however long it takes to come; None to end."""
        waited = 0.0
        while True:
            try:
                return self._jobs.popleft()
            except IndexError:
                pass
            if waited < LINGER_S:
                with suppress(Empty):
                    self._bell.get(timeout=PAUSE_S)
                waited += PAUSE_S
                continue
            self._asleep = True
            if not self._jobs:  # a job that came before `_asleep` was set has rung no bell
                self._bell.get()
            self._asleep, waited = False, 0.0

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._jobs = deque()
        self._bell = SimpleQueue()
        self._asleep = False
        self._thread = None


def _after_fork_in_child() -> None:
    for worker in list(_workers):
        worker._after_fork()


def _at_exit() -> None:
    for worker in list(_workers):
        worker.flush(EXIT_FLUSH_S)


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
