"""The same load on every contender, one after the other, again and again: drift of the machine meets all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from benchmarks.stats import percentile

from . import load
from .processes import Meter
from .questions import Kind, Questions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .contenders import Contender

WARM_UP: Final = 200
FEWEST: Final = 60
MOST: Final = 12_000


@dataclass(frozen=True)
class Workload:
    """`seconds`: how long a round of it takes, about. `rest_ms`: how long a connection rests after each answer."""

    name: str
    title: str
    connections: int
    seconds: float
    stream: bool = False
    pace_ms: float = 0
    rest_ms: float = 0
    kind: Kind = "single"


ONE = Workload("one", "JSON, one connection", 1, 1.5)
# What is done behind a call is over before the next one; but a core that rested is slower at first.
RESTED = Workload("rested", "JSON, one connection, 5 ms between calls", 1, 2, rest_ms=5)
JSON = Workload("json", "JSON, 16 connections", 16, 3)
WORKLOADS: Final = (
    ONE,
    RESTED,
    JSON,
    Workload("sse", "SSE of 20 chunks at once, 16 connections", 16, 2, stream=True),
    Workload("paced", "SSE of 20 chunks, 2 ms apart, 48 connections", 48, 2, stream=True, pace_ms=2),
    Workload("conversation", "JSON at the end of conversations, 16 connections", 16, 2, kind="conversation"),
)


@dataclass(frozen=True)
class Row:
    """One round of one workload on one contender. Times are in microseconds, but `seconds` and `left_s`.

    `left_s`: CPU time that the server took after the last answer, for what it does behind the calls.
    """

    calls: int
    seconds: float
    left_s: float
    cpu_us: float
    p50: float
    p99: float
    first_p50: float
    errors: int

    @property
    def rate(self) -> float:
        """Calls per second that the server could keep up: on one core, work left behind is time that is missing."""
        return self.calls / (self.seconds + self.left_s)

    def plain(self) -> dict[str, Any]:
        return {name: round(value, 4) for name, value in vars(self).items()}


Table = dict[str, list[Row]]


class Rounds:
    """All rounds of one workload, by contender."""

    def __init__(self, workload: Workload, contenders: Sequence[Contender], scale: float) -> None:
        self.workload = workload
        self.table: Table = {contender.name: [] for contender in contenders}
        self.made = dict.fromkeys(self.table, 0)
        self._contenders = contenders
        self._seconds = workload.seconds * scale
        self._counts: dict[str, int] = {}

    def warm_up(self) -> None:
        """Let everything compile and load, and see how many calls fit into a round."""
        for contender in self._contenders:
            row = self._measure(contender, seed=1, count=WARM_UP)
            if row.errors:
                raise RuntimeError(f"{contender.name}: {row.errors} of {row.calls} calls failed: {self.workload.title}")
            fitting = int(row.rate * self._seconds)
            self._counts[contender.name] = min(max(fitting, FEWEST), MOST)

    def once(self, number: int) -> None:
        """One round, in another order each time."""
        turn = number % len(self._contenders)
        order = [*self._contenders[turn:], *self._contenders[:turn]]
        for contender in order[:: 1 if number % 2 else -1]:
            row = self._measure(contender, seed=1000 + number, count=self._counts[contender.name])
            self.table[contender.name].append(row)

    def _measure(self, contender: Contender, seed: int, count: int) -> Row:
        workload = self.workload
        questions = Questions(seed, kind=workload.kind, apart=workload.connections)
        headers = {"X-Mock-Pace-Ms": str(workload.pace_ms)} if workload.pace_ms else {}
        requests = load.prepared(contender.url, questions, count, stream=workload.stream, headers=headers)
        meter = Meter(contender.pid)
        outcome = load.run(contender.url, requests, workload.connections, rest_s=workload.rest_ms / 1000)
        during = meter.seconds
        meter.settle()
        self.made[contender.name] += outcome.calls
        if not outcome.calls:
            raise RuntimeError(f"{contender.name} gave no answer: {workload.title}")
        return Row(
            calls=outcome.calls,
            seconds=outcome.seconds,
            left_s=meter.seconds - during,
            cpu_us=meter.seconds / max(outcome.calls, 1) * 1e6,
            p50=percentile(outcome.total, 50),
            p99=percentile(outcome.total, 99),
            first_p50=percentile(outcome.first, 50),
            errors=outcome.errors,
        )
