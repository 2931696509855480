"""Deletes what is too old or too much, every so often, in one process at a time."""

from __future__ import annotations

import os
import threading
import uuid
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_relay.store import Store
    from llmtrace_sdk.config.relay import StorageOptions

FIRST_S: Final = 5.0
EVERY_S: Final = 600.0
LEASE: Final = "retention"
_DAY_US: Final = 86_400_000_000


class Retention:
    """Keeps to `retention_days` and `max_bytes` of `options`, from `first_s` seconds after `start` on, every `every_s`.

    `now_us` gives microseconds since the Unix epoch. `on_fault` is told what failed, by component (`retention`).
    Whoever has begun is the one who does it for two rounds, also when it is killed. In a forked child it is to be
    started anew.
    """

    def __init__(
        self,
        store: Store,
        options: StorageOptions,
        now_us: Callable[[], int],
        on_fault: Callable[[str, BaseException], None],
        *,
        first_s: float = FIRST_S,
        every_s: float = EVERY_S,
    ) -> None:
        self.deleted = 0
        self._store = store
        self._days = options.retention_days
        self._max_bytes = options.max_bytes
        self._now_us = now_us
        self._on_fault = on_fault
        self._first_s = first_s
        self._every_s = every_s
        self._holder = f"{os.getpid()}-{uuid.uuid4()}"
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, if there is a bound to keep to."""
        if self._thread is None and (self._days is not None or self._max_bytes is not None):
            self._thread = threading.Thread(target=self._run, name="llmtrace-retention", daemon=True)
            self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """End; False when a round that is under way takes longer than `timeout_s` seconds."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def run_once(self) -> int:
        """Delete what is due, unless another process does; gives how many spans. Raises `StoreUnavailable`."""
        now = self._now_us()
        if not self._store.lease(LEASE, self._holder, now, now + int(2 * self._every_s * 1e6)):
            return 0
        before = None if self._days is None else now - int(self._days * _DAY_US)
        deleted = self._store.purge(before, self._max_bytes)
        self.deleted += deleted
        return deleted

    def _run(self) -> None:
        wait_s = self._first_s
        while not self._ended.wait(wait_s):
            wait_s = self._every_s
            try:
                self.run_once()
            except Exception as error:  # noqa: BLE001 - the next round may do better
                self._on_fault("retention", error)
