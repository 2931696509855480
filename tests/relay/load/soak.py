"""A relay under a mixed load for a long time: `python -m tests.relay.load.soak --seconds 600`.

Whole answers, streams, readers that are slow, go away in the middle or send half a request, and prompts that are
blocked, at 70 % of the rate that the relay can keep up on one core. Says whether memory stays flat, whether everything
that a call needs is given back, and whether each call has exactly one record. Exit status 1 when it is not so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import uvloop
from benchmarks.relay import contenders
from benchmarks.relay.processes import LOAD_CORE, SERVER_CORE, ask, cpu_seconds, free_port, on_core, server

from .kinds import BY_NAME, Calls
from .ledger import Ledger, read
from .watch import Sample, course, growth, sample, watched
from .wire import Clients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTINGS: Final[dict[str, Any]] = {**contenders.UNLIMITED, "enforcement": {"mode": "block"}}
SHARE_OF_PEAK: Final = 0.7
CONNECTIONS: Final = 96
MOST_AT_A_TIME: Final = 600
IDLE_S: Final = 45.0
KEPT_S: Final = 60.0
WARM_PART: Final = 0.2
GROWTH_PART, GROWTH_KB = 0.05, 16 << 10
"""How much more memory may be held at the end than after the warm-up."""
MORE_FDS: Final = 4


@dataclass
class Report:
    """What was seen. Rates are calls per second."""

    peak: float = 0
    asked: float = 0
    rate: float = 0
    cpu: float = 0
    samples: list[Sample] = field(default_factory=list)
    before: Sample | None = None
    after: Sample | None = None
    upstream: dict[str, int] = field(default_factory=dict)
    active: float = 0
    made: dict[str, int] = field(default_factory=dict)
    ended: Counter[tuple[str, int | str]] = field(default_factory=Counter)
    ledger: Ledger | None = None

    def problems(self) -> list[str]:
        """What is not as it must be."""
        return [*self._calls(), *self._memory(), *self._left_over(), *(self.ledger.problems() if self.ledger else [])]

    def _calls(self) -> Iterator[str]:
        for (name, result), count in sorted(self.ended.items(), key=str):
            if result != (BY_NAME[name].status or 0):
                yield f"{count} calls of kind {name} ended with {result}"
        if self.rate < 0.95 * self.asked:
            yield f"only {self.rate:.0f} calls/s of {self.asked:.0f} could be begun"

    def _memory(self) -> Iterator[str]:
        first, more = growth(self.samples, WARM_PART)
        if more > first * GROWTH_PART + GROWTH_KB:
            yield f"memory grew by {more / 1024:.0f} MB from {first / 1024:.0f} MB"

    def _left_over(self) -> Iterator[str]:
        assert self.before is not None
        assert self.after is not None
        if self.after.fds > self.before.fds + MORE_FDS:
            yield f"{self.after.fds} descriptors are open, {self.before.fds} were before"
        if self.after.threads > self.before.threads + MORE_FDS:
            yield f"{self.after.threads} threads run, {self.before.threads} did before"
        if self.active:
            yield f"{self.active:g} calls are still counted as under way"

    def lines(self) -> Iterator[str]:
        """For people."""
        first, more = growth(self.samples, WARM_PART)
        assert self.before is not None
        assert self.after is not None
        yield f"peak {self.peak:.0f} calls/s; load {self.rate:.0f} calls/s, {self.cpu:.0%} of the core"
        yield f"calls: {', '.join(f'{name} {count}' for name, count in self.made.items())}"
        yield f"memory: {first / 1024:.1f} MB after the warm-up, {more / 1024:+.1f} MB at the end"
        yield f"MB over time: {' '.join(f'{rss / 1024:.0f}' for rss in course(self.samples))}"
        for name in ("fds", "threads"):
            yield f"{name}: {getattr(self.before, name)} before, {getattr(self.after, name)} after"
        yield f"upstream: {self.upstream}"
        if self.ledger:
            yield f"records: {sum(self.ledger.outcomes.values())} of {sum(self.made.values())} calls"


def soak(seconds: float, folder: Path, *, say: Callable[[str], object] = print) -> Report:
    """Run everything. `folder`: where the relay keeps what it keeps."""
    with ExitStack() as running:
        running.enter_context(on_core(LOAD_CORE))
        ports = free_port(), free_port()
        upstream, url = (f"http://127.0.0.1:{port}" for port in ports)
        folders = folder / "upstream", folder / "relay"
        for one in folders:
            one.mkdir()
        command = contenders.python("benchmarks.relay.upstream", ports[0])
        running.enter_context(server(command, f"{upstream}/stats", folders[0], core=LOAD_CORE))
        command = contenders.relay(ports[1], upstream, folders[1], SETTINGS)
        with server(command, f"{url}/health", folders[1], core=SERVER_CORE) as pid:
            report = uvloop.run(Soak(url, upstream, pid, seconds, say).run())
        say("reading the records")
        report.ledger = read(folders[1] / "llmtrace.db", report.made)
    return report


class Soak:
    """The load on one relay."""

    def __init__(self, url: str, upstream: str, pid: int, seconds: float, say: Callable[[str], object]) -> None:
        self._url = url
        self._upstream = upstream
        self._pid = pid
        self._seconds = seconds
        self._say = say
        self._report = Report()

    async def run(self) -> Report:
        report, calls = self._report, Calls(self._url.removeprefix("http://"))
        clients = Clients(self._url, calls)
        await clients.closed_loop(16, min(self._seconds / 5, 10))
        report.before = await self._idle(clients)
        report.peak = await clients.closed_loop(CONNECTIONS, min(max(self._seconds / 5, 3), 15))
        report.asked = report.peak * SHARE_OF_PEAK
        self._say(f"peak {report.peak:.0f} calls/s; {report.asked:.0f} calls/s for {self._seconds:g} s")
        began = cpu_seconds(self._pid)
        async with watched(self._pid, min(self._seconds / 50, 5)) as report.samples:
            report.rate = await clients.open_loop(report.asked, self._seconds, MOST_AT_A_TIME)
        report.cpu = (cpu_seconds(self._pid) - began) / self._seconds
        report.after = await self._idle(clients)
        report.upstream = await self._told()
        report.active = await self._active()
        report.made, report.ended = calls.made, clients.ended
        await self._kept(sum(calls.made.values()))
        return report

    async def _idle(self, clients: Clients) -> Sample:
        """What is held when nobody asks for anything, and the upstream's connections have been let go."""
        clients.close()
        await _until(self._nothing_open, IDLE_S)
        return sample(self._pid)

    async def _nothing_open(self) -> bool:
        return (await self._told())["open"] <= 1  # the one that asks

    async def _told(self) -> dict[str, int]:
        told: dict[str, int] = json.loads((await asyncio.to_thread(ask, f"{self._upstream}/stats"))[1])
        return told

    async def _active(self) -> float:
        text = (await asyncio.to_thread(ask, f"{self._url}/metrics"))[1].decode()
        values = [line.split()[-1] for line in text.splitlines() if line.startswith("llmtrace_active_connections")]
        return sum(map(float, values))

    async def _kept(self, calls: int) -> None:
        """Wait until the records of all calls are in the store, or too long."""

        async def there() -> bool:
            told = json.loads((await asyncio.to_thread(ask, f"{self._url}/api/v1/stats"))[1])
            return bool(told["total_spans"] >= calls)

        await _until(there, KEPT_S)


async def _until(holds: Callable[[], Any], deadline_s: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_s
    while not (true := await holds()) and loop.time() < deadline:
        await asyncio.sleep(0.25)
    return bool(true)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.relay.load.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--folder", type=Path, help="where the database goes; one that is deleted when not given")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="llmtrace-soak-") as scratch:
        report = soak(options.seconds, options.folder or Path(scratch))
    print("\n".join(report.lines()))
    problems = report.problems()
    print("\n".join(f"PROBLEM: {problem}" for problem in problems) or "all is as it must be")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
