"""One thread and one bounded queue for everything that need not happen on the application's own thread.

The thread starts with the first job, is a daemon, and is started afresh in a forked child (which also forgets the
parent's jobs: the parent still does them). A full queue drops the new job and counts it.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUE_LIMIT: Final = 10_000
EXIT_FLUSH_S: Final = 5.0

_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


class Worker:
    """Runs jobs in order, one at a time. `on_fault` is told of jobs that raise; nothing of it reaches the caller."""

    def __init__(self, on_fault: Callable[[str, BaseException], None], limit: int = QUEUE_LIMIT) -> None:
        self.dropped = 0
        self._on_fault = on_fault
        self._limit = limit
        self._lock = threading.Lock()
        self._queue: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        _workers.add(self)

    def put(self, job: Callable[..., Any], *args: Any) -> bool:
        """Queue a job; False (and counted) when the queue is full. Never blocks, safe inside `__del__`."""
        if self._queue.qsize() >= self._limit:
            self.dropped += 1
            return False
        self._queue.put((job, args))
        if self._thread is None:
            self._start()
        return True

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything queued so far is done; False when that takes longer than `timeout_s` seconds."""
        if self._thread is None or not self._thread.is_alive() or self._thread is threading.current_thread():
            return self._queue.empty()
        done = threading.Event()
        self._queue.put((done.set, ()))
        return done.wait(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Do what is queued, then end the thread; a later job starts a new one."""
        thread, self._thread = self._thread, None
        if thread is None or not thread.is_alive():
            return self._queue.empty()
        self._queue.put(None)
        if thread is not threading.current_thread():
            thread.join(timeout_s)
        return not thread.is_alive()

    def _start(self) -> None:
        # not blocking: a garbage collection inside the lock may want to queue a job of its own
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="llmtrace-worker", daemon=True)
                self._thread.start()
        except RuntimeError as error:  # the interpreter is shutting down, or has no threads left
            self._thread = None
            self._on_fault("worker", error)
        finally:
            self._lock.release()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            job, args = item
            try:
                job(*args)
            except Exception as error:  # noqa: BLE001 - one bad job must not stop the others
                self._on_fault("worker", error)
            del item, job, args  # or the last record would live until the next one comes

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._queue = SimpleQueue()
        self._thread = None


def _after_fork_in_child() -> None:
    for worker in list(_workers):
        worker._after_fork()


def _at_exit() -> None:
    for worker in list(_workers):
        worker.flush(EXIT_FLUSH_S)


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
