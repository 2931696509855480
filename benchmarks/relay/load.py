"""The load: so many requests over so many connections, one at a time on each.

`python -m benchmarks.relay.load URL [--pid PID]` measures any server by itself. The client is no more than a parser and
a socket, so that the time of a call is the server's.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import zlib
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import httptools
import uvloop

from benchmarks.stats import percentile

from . import processes
from .questions import Kind, Questions, request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SILENCE_S = 30.0


@dataclass
class Outcome:
    """What became of a load. Times are in microseconds; `first` is until the first byte of a body.

    `broken`: calls without a whole answer. `changed`: calls whose body is not what the upstream sent.
    """

    seconds: float = 0.0
    total: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    broken: int = 0
    changed: int = 0

    @property
    def calls(self) -> int:
        return len(self.total)

    @property
    def errors(self) -> int:
        return self.broken + self.changed + sum(n for status, n in self.statuses.items() if status != 200)

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds if self.seconds else 0.0


class Caller(asyncio.Protocol):
    """One connection, for as long as it and the requests last."""

    def __init__(self, requests: Iterator[bytes], outcome: Outcome, rest_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._rest_s = rest_s
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.exhausted = False
        self._requests = requests
        self._outcome = outcome
        self._parser = httptools.HttpResponseParser(self)
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._began:
            self._outcome.broken += 1
        self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def give_up(self, before: float) -> None:
        """Break the connection if its call began before that time."""
        if 0 < self._began < before:
            self._transport.abort()

    def _ask(self) -> None:
        if self._transport.is_closing():
            return
        content = next(self._requests, None)
        if content is None:
            self.exhausted = True
            self._transport.close()
            return
        self._crc, self._first_at, self._claimed = 0, 0.0, -1
        self._began = perf_counter()
        self._transport.write(content)

    # what the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-body-crc":
            self._claimed = int(value, 16)

    def on_body(self, body: bytes) -> None:
        if not self._first_at:
            self._first_at = perf_counter()
        self._crc = zlib.crc32(body, self._crc)

    def on_message_complete(self) -> None:
        now, outcome, status = perf_counter(), self._outcome, self._parser.get_status_code()
        outcome.total.append((now - self._began) * 1e6)
        outcome.first.append(((self._first_at or now) - self._began) * 1e6)
        outcome.statuses[status] = outcome.statuses.get(status, 0) + 1
        outcome.changed += status == 200 and self._claimed not in (-1, self._crc)
        self._began = 0.0
        if self._parser.should_keep_alive():
            if self._rest_s:
                self._loop.call_later(self._rest_s, self._ask)
            else:
                self._ask()
        else:
            self._transport.close()


async def put(url: str, requests: Iterator[bytes], connections: int, rest_s: float = 0) -> Outcome:
    """Make all requests. `rest_s`: how long each connection rests after an answer."""
    parts, outcome, callers = urlsplit(url), Outcome(), set[Caller]()
    host, port = parts.hostname or "", parts.port or 80

    async def one() -> None:
        loop, exhausted = asyncio.get_running_loop(), False
        while not exhausted:
            _, caller = await loop.create_connection(lambda: Caller(requests, outcome, rest_s), host, port)
            callers.add(caller)
            await caller.gone
            callers.discard(caller)
            exhausted = caller.exhausted

    async def watch() -> None:
        while True:
            await asyncio.sleep(1)
            for caller in tuple(callers):
                caller.give_up(perf_counter() - SILENCE_S)

    watching = asyncio.ensure_future(watch())
    began = perf_counter()
    try:
        await asyncio.gather(*(one() for _ in range(connections)))
    finally:
        watching.cancel()
    outcome.seconds = perf_counter() - began
    return outcome


def run(url: str, requests: Sequence[bytes], connections: int, *, rest_s: float = 0) -> Outcome:
    """Make all requests, undisturbed by the collection of garbage. Raises OSError when nobody listens."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        return uvloop.run(put(url, iter(requests), connections, rest_s))
    finally:
        gc.enable()
        gc.unfreeze()


def prepared(
    url: str, questions: Questions, count: int, *, stream: bool = False, headers: dict[str, str] | None = None
) -> list[bytes]:
    """So many requests to a server."""
    host = urlsplit(url).netloc
    return [request(host, body, headers or {}) for body in islice(questions.bodies(stream=stream), count)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.relay.load", description=__doc__)
    parser.add_argument("url", help="http://host:port of the server")
    parser.add_argument("--pid", type=int, help="its process, whose CPU time is told")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--pace-ms", type=float, default=0, help="how long a stream waits before each chunk")
    parser.add_argument("--conversation", action="store_true", help="questions at the end of a history that repeats")
    parser.add_argument("--size", type=int, default=1000, help="characters of each question")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    kind: Kind = "conversation" if options.conversation else "single"
    questions = Questions(options.seed, size=options.size, kind=kind, apart=options.connections)
    headers = {"X-Mock-Pace-Ms": str(options.pace_ms)}
    requests = prepared(options.url, questions, options.requests, stream=options.stream, headers=headers)
    used = processes.Meter(options.pid) if options.pid else None
    outcome = run(options.url, requests, options.connections)
    print(
        f"{outcome.rate:.0f} calls/s, p50 {percentile(outcome.total, 50):.0f} us, p99 "
        f"{percentile(outcome.total, 99):.0f} us, first byte p50 {percentile(outcome.first, 50):.0f} us, "
        f"{outcome.errors} errors, statuses {outcome.statuses}"
    )
    if used:
        drained = used.settle()
        print(f"{used.seconds / outcome.calls * 1e6:.0f} us CPU per call, busy for {drained:.2f} s afterwards")


if __name__ == "__main__":
    main()
