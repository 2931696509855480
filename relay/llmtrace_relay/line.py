"""Work that takes its time, one piece after the other, on a thread that is there only while there is some."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

WAITING_LIMIT: Final = 16

_log = logging.getLogger("llmtrace.relay")


class Line:
    """Jobs in their order. At most `limit` wait. The thread ends with the last of them, and holds up no exit."""

    def __init__(self, name: str, limit: int = WAITING_LIMIT) -> None:
        self._name = name
        self._limit = limit
        self._jobs: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, job: Callable[[], None]) -> bool:
        """Queue a job; False when too many wait."""
        with self._lock:
            if len(self._jobs) >= self._limit:
                return False
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        return True

    def join(self, timeout_s: float) -> bool:
        """Wait until there is nothing left to do; False when that takes longer."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception as error:  # noqa: BLE001 - one bad job must not stop the others
                _log.error("llmtrace relay: %s: %s; please report it", self._name, type(error).__name__)

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            if self._jobs:
                return self._jobs.popleft()
            self._thread = None
            return None
