"""What a process and its children hold: memory, descriptors, threads (Linux: /proc)."""

from __future__ import annotations

import asyncio
import contextlib
import re
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.relay.processes import children

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True)
class Sample:
    """`at`: seconds on a clock that only goes on. `rss`: kilobytes."""

    at: float
    rss: int
    fds: int
    threads: int


def sample(pid: int) -> Sample:
    rss = fds = threads = 0
    for process in (pid, *children(pid)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            status = Path(f"/proc/{process}/status").read_text()
            rss += _number(r"VmRSS:\s+(\d+)", status)
            threads += _number(r"Threads:\s+(\d+)", status)
            fds += sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())
    return Sample(time.monotonic(), rss, fds, threads)


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


@contextlib.asynccontextmanager
async def watched(pid: int, every_s: float) -> AsyncIterator[list[Sample]]:
    """Samples of a process, as they are taken meanwhile."""
    samples: list[Sample] = []

    async def watch() -> None:
        while True:
            samples.append(sample(pid))
            await asyncio.sleep(every_s)

    task = asyncio.create_task(watch())
    try:
        yield samples
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def course(samples: list[Sample], parts: int = 10) -> list[int]:
    """Kilobytes over time: the median of each part."""
    size = max(len(samples) // parts, 1)
    return [int(statistics.median(one.rss for one in samples[at : at + size])) for at in range(0, len(samples), size)]


def growth(samples: list[Sample], warm_up: float) -> tuple[float, float]:
    """Kilobytes at the beginning, and how many more at the end: medians of the tenth after the warm-up, which is that
    part of all samples, and of the last tenth.
    """
    rest = samples[int(len(samples) * warm_up) :]
    tenth = max(len(rest) // 10, 1)
    first = statistics.median(one.rss for one in rest[:tenth])
    return first, statistics.median(one.rss for one in rest[-tenth:]) - first
