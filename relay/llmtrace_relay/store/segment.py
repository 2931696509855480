"""A file of the spool: records that one process appends, and takes from the front once they are kept elsewhere.

The file begins with a mark and the place up to which it was taken. Whoever uses it holds a lock on it, which the system
gives back when the process ends, however it ends: a file that can be locked is one of a dead process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import TYPE_CHECKING, Final

from llmtrace_relay.store import frames

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX: Final = ".spool"
UNNAMED: Final = ".new"
MARK: Final = b"LLMTSP01"
_HEADER: Final = struct.Struct("<8sQ")
START: Final = _HEADER.size
READ_SIZE: Final = 1 << 20


class Segment:
    """A locked file. `end`: where the next record goes. `taken`: up to where records were taken. `count`: how many
    records there are beyond that, and `lent`: how many of them somebody has read and not taken yet. `abandoned`: the
    file is gone. Methods raise `OSError`.
    """

    def __init__(self, path: Path, descriptor: int, end: int, taken: int, count: int) -> None:
        self.path = path
        self.end = end
        self.taken = taken
        self.count = count
        self.lent = 0
        self.abandoned = False
        self._descriptor = descriptor

    @classmethod
    def create(cls, path: Path) -> Segment:
        """A new file. It gets its name when it is locked, or others would take it for one of a dead process."""
        unnamed = path.with_suffix(UNNAMED)
        descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(descriptor, _HEADER.pack(MARK, START), 0)
            unnamed.rename(path)
        except BaseException:
            os.close(descriptor)
            unnamed.unlink(missing_ok=True)
            raise
        return cls(path, descriptor, START, START, 0)

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """The file of a dead process; None where its process lives, it is gone, or it is none of ours."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = None
            if os.fstat(descriptor).st_nlink:  # else another one was first, and is done with it
                found = cls._opened(path, descriptor)
        except BlockingIOError:
            found = None
        except BaseException:
            os.close(descriptor)
            raise
        if found is None:
            os.close(descriptor)
        return found

    @classmethod
    def _opened(cls, path: Path, descriptor: int) -> Segment | None:
        header = os.pread(descriptor, START, 0)
        if len(header) < START:
            return None
        mark, taken = _HEADER.unpack(header)
        if mark != MARK or taken < START:
            return None
        segment = cls(path, descriptor, os.fstat(descriptor).st_size, taken, 0)
        segment._count()
        return segment

    @property
    def size(self) -> int:
        """The bytes of records that are there."""
        return self.end - START

    def append(self, record: bytes) -> None:
        """Write a framed record; nothing of it is there when that fails."""
        _write(self._descriptor, record, self.end)
        self.end += len(record)
        self.count += 1

    def read(self, most: int) -> tuple[list[bytes], list[int]]:
        """The next records, at most `most` and `READ_SIZE` bytes (but one at least), and where each ends. None, where
        there should be some: the file is damaged.
        """
        data = os.pread(self._descriptor, min(READ_SIZE, self.end - self.taken), self.taken)
        needed = frames.wanted(data)
        if len(data) < needed <= self.end - self.taken:
            data = os.pread(self._descriptor, needed, self.taken)
        contents, ends = frames.unframe(data, most)
        return contents, [self.taken + end for end in ends]

    def take(self, end: int, count: int) -> None:
        """Remember that `count` records, up to a place, were taken."""
        self.taken = end
        self.count -= count
        _write(self._descriptor, _HEADER.pack(MARK, end), 0)

    def clear(self) -> None:
        """Begin anew, all records having been taken."""
        _write(self._descriptor, _HEADER.pack(MARK, START), 0)
        self.end = self.taken = START
        os.ftruncate(self._descriptor, START)

    def abandon(self) -> None:
        """Delete the file."""
        self.abandoned = True
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file, for another process to adopt if it is there still."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _count(self) -> None:
        """Find out how many whole records there are, and end behind the last of them."""
        beginning, last = self.taken, self.end
        while self.taken < last:
            contents, ends = self.read(READ_SIZE)
            if not contents:
                break
            self.count += len(contents)
            self.taken = ends[-1]
        self.end, self.taken = self.taken, beginning


def _write(descriptor: int, data: bytes, at: int) -> None:
    written = os.pwrite(descriptor, data, at)
    if written != len(data):  # the disk is full; the next record is written over this one
        raise OSError(errno.ENOSPC, "there is no space for a whole record")
