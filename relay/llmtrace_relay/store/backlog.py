"""What waits to be kept: on disk, and in memory while the disk does not take it. Safe from any thread."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from llmtrace_relay.store.frames import CONTENT_LIMIT, frame
from llmtrace_relay.store.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmtrace_relay.store.segment import Segment

MEMORY_LIMIT: Final = 32 << 20
DISK_AGAIN_S: Final = 5.0
MOVED_AT_ONCE: Final = 20


class Loan(NamedTuple):
    """Some records, the oldest there are, and where they are until they are settled: in a segment, or in memory, the
    first of them as number `first` of all that ever were there.
    """

    contents: list[bytes]
    segment: Segment | None
    ends: list[int]
    first: int = 0


class Backlog:
    """A queue of records: those of this process in their order, and between them those of dead processes.

    `on_fault` is told when the disk fails, by component (`spool`).
    """

    def __init__(self, folder: Path, max_bytes: int, on_fault: Callable[[str, BaseException], None]) -> None:
        self._spool = Spool(folder, max_bytes)
        self._turn = False
        self._memory_limit = min(max_bytes, MEMORY_LIMIT)
        self._on_fault = on_fault
        self._reset()

    @property
    def added(self) -> int:
        """How many records of this process there have been."""
        return self._added

    @property
    def dropped(self) -> int:
        """How many had to be given up, of dead processes too."""
        return self._dropped + self._spool.dropped

    @property
    def pending(self) -> int:
        """How many wait, of dead processes too."""
        with self._changed:
            return self._own() + self._spool.adopted

    def add(self, content: bytes) -> None:
        """Add a record. Never raises, and waits for nobody but the disk."""
        with self._changed:
            self._added += 1
            if len(content) > CONTENT_LIMIT:
                self._dropped += 1
                return
            if self._memory:
                self._move_some()
            if self._memory or time.monotonic() < self._disk_again or not self._to_disk(content):
                self._to_memory(content)

    def adopt(self) -> None:
        """Take over what dead processes have left."""
        # reads all of it, so nobody is kept waiting meanwhile
        found = self._spool.find(lambda error: self._on_fault("spool", error))
        with self._changed:
            self._spool.adopt(found)

    def lend(self, most: int) -> Loan | None:
        """Some of the oldest records, by turns of this process and of dead ones; they stay until they are settled."""
        with self._changed:
            self._turn = not self._turn
            for own in (self._turn, not self._turn):
                loan = self._lend_spooled(most, own=own)
                if loan is None and own and self._memory:
                    loan = Loan(list(itertools.islice(self._memory, most)), None, [], self._gone)
                if loan is not None:
                    return loan
            return None

    def settle(self, loan: Loan) -> None:
        """Forget the records of a loan: they are kept elsewhere, or given up."""
        count, segment = len(loan.contents), loan.segment
        with self._changed:
            if segment is None:
                for _ in range(loan.first + count - self._gone):  # but for those that had to go meanwhile
                    self._forget_first()
            elif not segment.abandoned:
                segment.lent = 0
                try:
                    segment.take(loan.ends[-1], count)
                except OSError as error:  # it may be kept twice then, which does no harm
                    self._on_fault("spool", error)
            self._changed.notify_all()

    def wait(self, target: int, timeout_s: float) -> bool:
        """Wait until the first `target` records of this process are settled; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._added - self._own() >= target, timeout_s)

    def close(self) -> None:
        """Let go of the files; what is in them stays for the next process."""
        with self._changed:
            self._spool.close()

    def after_fork(self) -> None:
        """Begin with nothing: all there is belongs to the parent."""
        self._spool.forget()
        self._reset()

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._memory: deque[bytes] = deque()
        self._memory_size = self._gone = 0
        self._added = self._dropped = 0
        self._disk_again = 0.0

    def _own(self) -> int:
        return self._spool.own + len(self._memory)

    def _to_disk(self, content: bytes) -> bool:
        try:
            self._spool.append(frame(content))
        except OSError as error:
            self._disk_again = time.monotonic() + DISK_AGAIN_S
            self._on_fault("spool", error)
            return False
        return True

    def _move_some(self) -> None:
        """Move the oldest of what is in memory to disk, when that is due."""
        if time.monotonic() >= self._disk_again:
            # who has borrowed them keeps them twice then, which does no harm
            for _ in range(min(MOVED_AT_ONCE, len(self._memory))):
                if not self._to_disk(self._memory[0]):
                    return
                self._forget_first()

    def _to_memory(self, content: bytes) -> None:
        self._memory.append(content)
        self._memory_size += len(content)
        while self._memory_size > self._memory_limit:
            self._forget_first()
            self._dropped += 1

    def _forget_first(self) -> None:
        self._memory_size -= len(self._memory.popleft())
        self._gone += 1

    def _lend_spooled(self, most: int, *, own: bool) -> Loan | None:
        while (segment := self._spool_next(own=own)) is not None:
            try:
                contents, ends = segment.read(most)
            except OSError as error:
                self._on_fault("spool", error)
                contents, ends = [], []
            if contents:
                segment.lent = len(contents)
                return Loan(contents, segment, ends)
            self._dropped += self._spool.drop(segment)
            self._changed.notify_all()
        return None

    def _spool_next(self, *, own: bool) -> Segment | None:
        try:
            return self._spool.next(own=own)
        except OSError as error:
            self._on_fault("spool", error)
            return None
