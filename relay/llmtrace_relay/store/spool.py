"""A bounded queue of records on disk: of this process, and of those that died before they had kept theirs elsewhere.

Not locked: its user sees to it that one thread at a time calls it.
"""

from __future__ import annotations

import errno
import itertools
import os
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from llmtrace_relay.store.segment import SUFFIX, UNNAMED, Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

SEGMENT_LIMIT: Final = 8 << 20
SEGMENTS: Final = 8
"""A segment is at most this part of the whole, so that dropping the oldest loses no more."""
UNNAMED_S: Final = 3600.0

_numbers: Final = itertools.count()


class Spool:
    """Records in files of a folder, at most `max_bytes`. Methods raise `OSError`.

    `dropped`: how many records had to make room for others.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.dropped = 0
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_LIMIT, max_bytes // SEGMENTS)
        self._own: deque[Segment] = deque()
        self._adopted: deque[Segment] = deque()

    @property
    def own(self) -> int:
        """How many records of this process there are."""
        return sum(segment.count for segment in self._own)

    @property
    def adopted(self) -> int:
        """How many records of dead processes there are."""
        return sum(segment.count for segment in self._adopted)

    @property
    def size(self) -> int:
        """The bytes that they take."""
        return sum(segment.size for segment in self._segments())

    def append(self, record: bytes) -> None:
        """Add a framed record; the oldest are dropped where there is no room for it."""
        segment = self._own[-1] if self._own else None
        if segment is None or (segment.size and segment.size + len(record) > self._segment_bytes):
            self._make_room(max(self._segment_bytes, len(record)))
            segment = self._new()
        segment.append(record)

    def find(self, on_error: Callable[[OSError], None]) -> list[Segment]:
        """The files of dead processes, and locks on them; those that cannot be opened are told."""
        mine = {segment.path for segment in self._segments()}
        found = []
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            try:
                segment = None if path in mine else Segment.adopt(path)
            except OSError as error:
                on_error(error)
                continue
            if segment is not None:
                found.append(segment)
        for path in self._folder.glob(f"*{UNNAMED}"):  # of processes that were killed while they made one
            with suppress(OSError):
                if path.stat().st_mtime < time.time() - UNNAMED_S:
                    path.unlink()
        return found

    def adopt(self, found: Iterable[Segment]) -> None:
        """Take over files that were found."""
        self._adopted.extend(found)

    def next(self, *, own: bool) -> Segment | None:
        """The oldest segment with records, of this process or of dead ones. Those without are cleared away."""
        segments = self._own if own else self._adopted
        while segments and not segments[0].count:
            if own and len(segments) == 1:
                if segments[0].size:
                    segments[0].clear()
                return None
            segments.popleft().abandon()
        return segments[0] if segments else None

    def drop(self, segment: Segment) -> int:
        """Forget the rest of a segment, which cannot be read; gives how many records that are."""
        for segments in (self._own, self._adopted):
            if segment in segments:
                segments.remove(segment)
        segment.abandon()
        return segment.count

    def close(self) -> None:
        """Let go of all files. What is in them stays for the next process."""
        for segment in self._segments():
            if segment.count:
                segment.close()
            else:
                with suppress(OSError):
                    segment.abandon()
        self._own.clear()
        self._adopted.clear()

    def forget(self) -> None:
        """Know of no files any more, after a fork: they are the parent's."""
        for segment in self._segments():
            segment.close()  # or they would stay locked when the parent is dead
        self.dropped = 0
        self._own.clear()
        self._adopted.clear()

    def _segments(self) -> Iterator[Segment]:
        return itertools.chain(tuple(self._adopted), tuple(self._own))

    def _new(self) -> Segment:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(_numbers)}{SUFFIX}"
        segment = Segment.create(self._folder / name)
        self._own.append(segment)
        return segment

    def _make_room(self, size: int) -> None:
        """Drop the oldest segments until one of a size has room."""
        if size > self._max_bytes:
            raise OSError(errno.EFBIG, "the record is larger than the spool may be")
        while self.size + size > self._max_bytes and (self._adopted or self._own):
            segment = (self._adopted or self._own).popleft()
            self.dropped += segment.count - segment.lent  # who has the others still means to keep them
            segment.abandon()
