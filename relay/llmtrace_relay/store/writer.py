"""Keeps spans behind the back of whoever has them: onto disk at once, into the store in batches, on one thread.

What a process was killed over is taken from its file by the next one; what the store does not take while it is away
waits there, within bounds. Where the disk does not take it, it waits in memory.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

import msgspec

from llmtrace_relay.model import Span
from llmtrace_relay.store.backlog import Backlog
from llmtrace_relay.store.cleaning import clean_deep
from llmtrace_relay.store.delivery import Delivery, GivenUp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from llmtrace_relay.store import Store
    from llmtrace_relay.store.backlog import Loan

BATCH: Final = 200
WORTH: Final = 50
"""Spans: after fewer of them more are waited for, since most of a transaction's cost is its own."""

PAUSE_S: Final = 0.05
LINGER_S: Final = 1.0
ADOPT_S: Final = 30.0

_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


class Writer:
    """Puts spans into a store. `spool_folder` is made when it is needed; at most `spool_max_bytes` wait in it, the
    oldest being dropped. `on_fault` is told what failed, by component (`store`, `spool`, `writer`).

    The thread starts with the first span or with `start`, and anew in a forked child, which leaves to its parent what
    that had. It looks for spans every 50 ms while there are some, so that `put` need not wake it.
    """

    def __init__(
        self,
        store: Store,
        spool_folder: Path,
        spool_max_bytes: int,
        on_fault: Callable[[str, BaseException], None],
    ) -> None:
        self._on_fault = on_fault
        self._thread: threading.Thread | None = None
        self._backlog = Backlog(spool_folder, spool_max_bytes, on_fault)
        self._delivery = Delivery(store, on_fault, self._pause)
        self._encoder = msgspec.msgpack.Encoder(enc_hook=str)
        self._decoder = msgspec.msgpack.Decoder(Span)
        self._reset()
        _writers.add(self)

    @property
    def pending(self) -> int:
        """How many spans wait to be stored, with those that dead processes left."""
        return self._backlog.pending

    @property
    def dropped(self) -> int:
        """How many were given up: there was no room, or the store refused them."""
        return self._backlog.dropped + self._refused

    @property
    def stored(self) -> int:
        """How many were stored, with those that dead processes left."""
        return self._stored

    def start(self) -> None:
        """Begin to store what dead processes have left."""
        self._ring()

    def put(self, span: Span) -> None:
        """Have a span stored. Never raises and never waits for the store; what was put survives `kill -9`."""
        try:
            content = self._encoded(span)
        except Exception as error:  # noqa: BLE001 - whatever a span is made of, the caller has no part in it
            self._refused += 1
            self._on_fault("writer", error)
            return
        self._backlog.add(content)
        if self._asleep or self._thread is None:
            self._ring()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was put so far is stored; False when that takes longer than `timeout_s` seconds."""
        target = self._backlog.added
        self._ring()
        return self._backlog.wait(target, timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Store what waits and end the thread; False when something still waits after `timeout_s` seconds: on disk, for
        the next process. A later span starts anew.
        """
        thread = self._thread
        self._deadline = time.monotonic() + timeout_s
        self._closing.set()
        if thread is not None:
            self._bell.put(None)
            thread.join(timeout_s + PAUSE_S)
            if thread.is_alive():
                return False
        done = not self._backlog.pending
        self._backlog.close()
        self._thread = None
        self._closing.clear()
        return done

    def _encoded(self, span: Span) -> bytes:
        try:
            return self._encoder.encode(span)
        except (UnicodeEncodeError, OverflowError):
            return self._encoder.encode(clean_deep(span))

    def _ring(self) -> None:
        if self._thread is not None:
            self._bell.put(None)
            return
        with self._starting:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="llmtrace-writer", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the interpreter is shutting down; the next process does it
                self._on_fault("writer", error)
            else:
                self._thread = thread

    def _run(self) -> None:
        self._backlog.adopt()
        with suppress(GivenUp):
            while self._guarded_turn():
                pass

    def _guarded_turn(self) -> bool:
        try:
            return self._turn()
        except GivenUp:
            raise
        except Exception as error:  # noqa: BLE001 - or nothing would be stored any more
            self._on_fault("writer", error)
            self._pause(LINGER_S)
            return True

    def _turn(self) -> bool:
        """Store a batch, or wait for one; False to end."""
        loan = self._backlog.lend(BATCH)
        if loan is not None:
            self._store(loan)
            if len(loan.contents) < WORTH and not self._closing.is_set():
                self._rung(PAUSE_S)
        elif self._closing.is_set():
            return False
        else:
            self._rest()
        return True

    def _store(self, loan: Loan) -> None:
        spans = self._decoded(loan.contents)
        kept = self._delivery.run(spans) if spans else 0
        self._stored += kept
        self._refused += len(loan.contents) - kept
        self._backlog.settle(loan)

    def _decoded(self, contents: Sequence[bytes]) -> list[Span]:
        spans = []
        for content in contents:
            try:
                spans.append(self._decoder.decode(content))
            except msgspec.MsgspecError as error:
                self._on_fault("spool", error)
        return spans

    def _rest(self) -> None:
        """Wait for something to do; look, from time to time, whether another process has died."""
        for _ in range(int(LINGER_S / PAUSE_S)):
            if self._rung(PAUSE_S) or self._backlog.pending:
                return
        self._asleep = True
        # what came before `_asleep` was set has rung no bell
        rung = bool(self._backlog.pending) or self._rung(ADOPT_S)
        self._asleep = False
        if not rung:
            self._backlog.adopt()

    def _rung(self, timeout_s: float) -> bool:
        try:
            self._bell.get(timeout=timeout_s)
        except Empty:
            return False
        return True

    def _pause(self, seconds: float) -> None:
        if self._closing.is_set() and time.monotonic() >= self._deadline:
            raise GivenUp
        left = self._deadline - time.monotonic()
        if self._closing.wait(seconds) and left > 0:
            time.sleep(min(seconds, left))

    def _reset(self) -> None:
        self._stored = self._refused = 0
        self._starting = threading.Lock()
        self._closing = threading.Event()
        self._deadline = 0.0
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._asleep = False
        self._thread = None

    def _after_fork(self) -> None:
        self._backlog.after_fork()
        self._reset()


def _after_fork_in_child() -> None:
    for writer in list(_writers):
        writer._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
