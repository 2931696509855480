"""Watches the configuration file and puts its changes in force, off the hot path; what is wrong changes nothing.

The content is compared, not the time of the last change, so that it does not matter how the file was changed: written
in place, replaced by a rename, or by a symbolic link that now leads elsewhere. A change counts when it has stood still
for some readings, more of them when its last line has no end; a missing file, or one that says nothing, is one that
somebody is about to write. A forked child watches for itself.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import weakref
from typing import TYPE_CHECKING, Final

from llmtrace_sdk import config as configuration
from llmtrace_sdk.errors import ConfigError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path

    from llmtrace_sdk.config import Settings
    from llmtrace_sdk.origin import Origin

LOOKS: Final = 6
"""Per interval."""
SHORTEST_STEP_S: Final = 0.1
EQUAL_READINGS: Final = 2
EQUAL_READINGS_OPEN: Final = 3
"""When the last line has no end."""

_log = logging.getLogger("llmtrace")
_watchers: weakref.WeakSet[Watcher] = weakref.WeakSet()


class Watcher:
    """A thread that looks at the file of `origin` six times in `interval_s` seconds until `stop()`.

    `swap(origin, settings)` puts changed settings in force. It raises `ConfigError` when they cannot be used, which is
    logged without the values that were given, once for each content, and counted in `faults`; what else it raises goes
    to `on_fault`. `looks`, `applied` and `refused` count.
    """

    def __init__(
        self,
        origin: Origin,
        swap: Callable[[Origin, Settings], None],
        on_fault: Callable[[str, BaseException], None],
        faults: Counter[str],
    ) -> None:
        assert origin.file is not None
        self.file: Path = origin.file
        self.interval_s = origin.settings.reload_interval_s
        self.looks = self.applied = self.refused = 0
        self._origin = origin
        self._swap = swap
        self._on_fault = on_fault
        self._faults = faults
        self._seen = self._good = _digest(origin.content)
        self._trouble = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start looking, unless the interval is 0."""
        if self.interval_s <= 0 or self._stop.is_set():
            return
        thread = threading.Thread(target=self._run, args=(self._stop,), name="llmtrace-reload", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the interpreter is shutting down, or has no threads left
            self._on_fault("reload", error)
            return
        self._thread = thread
        _watchers.add(self)

    def stop(self) -> None:
        """Look no more; a look that has begun changes nothing any more. Does not wait."""
        self._stop.set()
        self._thread = None
        _watchers.discard(self)

    @property
    def stopped(self) -> bool:
        """Whether `stop()` was called."""
        return self._stop.is_set()

    def look(self) -> None:
        """Take over the file's content if it is new and at rest."""
        self.looks += 1
        content = self._new_content()
        if content is None or self.stopped:
            return
        with self._origin.busy:
            self._seen = _digest(content)
            self._apply(content)

    def _run(self, stop: threading.Event) -> None:
        while self.interval_s > 0 and not stop.wait(self.interval_s / LOOKS):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - never hurt the host
                self._on_fault("reload", error)

    def _new_content(self) -> bytes | None:
        """The content, when it is not what was seen last and does not change while it is read some times more."""
        content = self._read()
        if content is None or _digest(content) == self._seen:
            return None
        for _ in range(EQUAL_READINGS if content.endswith(b"\n") else EQUAL_READINGS_OPEN):
            if self._stop.wait(max(self.interval_s / LOOKS, SHORTEST_STEP_S)) or self._read() != content:
                return None
        return content

    def _read(self) -> bytes | None:
        try:
            content = configuration.content(self.file)
        except ConfigError as error:
            self._tell("; ".join(error.problems))
            return None
        if _digest(content) == self._good:
            self._trouble = ""
        return content

    def _apply(self, content: bytes) -> None:
        try:
            loaded = self._origin.with_content(content)
            if not loaded.notices and "file" not in loaded.places.values():
                self._tell(f"{self.file} says nothing")
                return
            configuration.tell(loaded)
            settings = self._origin.with_exporters(loaded.settings)
            if settings is not loaded.settings:
                _log.warning("llmtrace: telemetry.otlp and telemetry.service_name take effect in a new process")
            self._swap(self._origin, settings)
        except ConfigError as error:
            self.refused += 1
            self._faults["reload"] += 1
            self._tell("; ".join(map(configuration.without_values, error.problems)))
            return
        self._origin.keep(settings, content=content)
        self._trouble, self._good = "", self._seen
        self.applied += 1
        self.interval_s = loaded.settings.reload_interval_s
        _log.info("llmtrace: %s was read anew, policy %s", self.file, loaded.settings.policy_hash)

    def _tell(self, trouble: str) -> None:
        """Say once why the last good settings stay in force."""
        if trouble != self._trouble:
            self._trouble = trouble
            _log.warning("llmtrace: the last good configuration stays in force: %s", trouble)

    def _after_fork(self) -> None:
        if not self.stopped:
            self._stop = threading.Event()  # the parent's may have been locked at that moment
            self.start()


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _after_fork_in_child() -> None:
    for watcher in list(_watchers):
        watcher._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
