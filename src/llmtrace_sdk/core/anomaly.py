"""Calls that cost more, are longer, more or slower than is usual for their tenant, model and agent.

The keys are those of the Rust project's anomaly_detection. What is usual is told apart by tenant, model and agent, and
kept in this process alone; how far something may be from it is said in `core.baseline`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple

from llmtrace_sdk.core.baseline import LEAST, MOST, Baseline, Pace, amount_of, step_of
from llmtrace_sdk.core.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.model import CallRecord

Metric = Literal["cost", "token", "velocity", "latency"]
LONGEST_WINDOW: Final = 10_000
MOST_KEYS: Final = 4096
MOST_BYTES: Final = 32 << 20
"""Of values, over all keys: with long windows there are fewer keys."""

_LONGEST_NAME: Final = 128
_CATEGORY: Final = "unbounded_consumption"
_BASELINES: Final = 5
# US dollars, tokens, calls per minute, seconds: what is far under it is all alike.
_UNITS: Final[dict[Metric, float]] = {"cost": 0.001, "token": 250, "velocity": 10, "latency": 0.25}
_NS: Final = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyOptions:
    """Which calls are compared with earlier ones.

    `enabled`: whether any are. `window_size`: how many earlier values are looked at; for the number of calls in a
    minute, how many spans of ten seconds in which there was a call. `sigma_threshold`: how many standard deviations
    over what is usual is a finding. `check_cost`: what a call costs. `check_tokens`: its tokens, in and out together.
    `check_velocity`: how many calls there are in a minute. `check_latency`: how long an answer takes, or a streamed one
    to begin.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enabled: bool = False
    window_size: int = 100
    sigma_threshold: float = 3.0
    check_cost: bool = True
    check_tokens: bool = True
    check_velocity: bool = True
    check_latency: bool = True

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        found = []
        if not LEAST <= self.window_size <= LONGEST_WINDOW:
            found.append(
                f"anomaly_detection.window_size: {self.window_size} is not between {LEAST} and {LONGEST_WINDOW}"
            )
        if not 0 < self.sigma_threshold <= 100:
            found.append(f"anomaly_detection.sigma_threshold: {self.sigma_threshold} is not over 0 and at most 100")
        return found


class Spike(NamedTuple):
    """One value that is too high. `value` and `usual` (about the median) are US dollars, tokens, calls per minute or
    seconds; `sigma` is by how many standard deviations.
    """

    metric: Metric
    value: float
    usual: float
    sigma: float


class _Usual:
    """What is usual for one tenant, model and agent."""

    __slots__ = ("baselines", "pace")

    def __init__(self) -> None:
        self.baselines: dict[str, Baseline] = {}
        self.pace = Pace()

    def of(self, name: str) -> Baseline:
        found = self.baselines.get(name)
        if found is None:
            found = self.baselines[name] = Baseline()
        return found


class Anomalies:
    """Compares each call with those before it. Made for one thread, the worker's: where two come at the same time one
    of them is left out, so nobody ever waits. Memory is bounded; the key that was not seen for longest is forgotten.
    """

    def __init__(self, options: AnomalyOptions) -> None:
        """`options` must be without `problems()`."""
        self.options = options
        self._keys: OrderedDict[tuple[str, str, str], _Usual] = OrderedDict()
        self._most = min(MOST_KEYS, MOST_BYTES // (2 * _BASELINES * options.window_size))
        self._lock = threading.Lock()

    def observe(self, record: CallRecord) -> tuple[Finding, ...]:
        """The findings about a call, which from now on is one of the earlier ones. Never raises on data."""
        return tuple(map(self._finding, self.spikes(record)))

    def spikes(self, record: CallRecord) -> tuple[Spike, ...]:
        """As `observe`, in numbers. A high pace is told once a minute, and again when it is of a higher severity."""
        if not self.options.enabled or not self._lock.acquire(blocking=False):
            return ()
        try:
            usual = self._usual(record)
            found = [
                spike
                for name, metric, value in self._values(record)
                if (spike := self._spike(usual, name, metric, value))
            ]
            if self.options.check_velocity and (pace := self._pace(usual, record.ended_ns)):
                found.append(pace)
            return tuple(found)
        finally:
            self._lock.release()

    def severity(self, sigma: float) -> Severity:
        """Medium from the threshold on, high from 5/3 of it on, critical from 10/3 of it on."""
        times = sigma / self.options.sigma_threshold
        return Severity.MEDIUM if times < 5 / 3 else Severity.HIGH if times < 10 / 3 else Severity.CRITICAL

    def _usual(self, record: CallRecord) -> _Usual:
        labels = record.labels
        key = _name(labels.tenant), _name(record.prompt.model or record.answer.model), _name(labels.agent)
        usual = self._keys.get(key)
        if usual is None:
            usual = self._keys[key] = _Usual()
            if len(self._keys) > self._most:
                self._keys.popitem(last=False)
        else:
            self._keys.move_to_end(key)
        return usual

    def _values(self, record: CallRecord) -> Iterator[tuple[str, Metric, float]]:
        """The numbers of a call that can be compared, each with the name of its baseline."""
        options = self.options
        if options.check_cost and _is_amount(record.cost_usd):
            yield "cost", "cost", record.cost_usd or 0
        if options.check_tokens:
            given = [n for n in (record.answer.usage.input_tokens, record.answer.usage.output_tokens) if _is_amount(n)]
            if given:
                yield "token", "token", sum(n or 0 for n in given)
        if options.check_latency:
            end = _answered_ns(record)
            if end is not None and _is_amount(end - record.started_ns):
                # how long a stream takes to begin says nothing about how long a whole answer takes
                yield "first" if record.streamed else "whole", "latency", min(end - record.started_ns, 10**15) / _NS

    def _spike(self, usual: _Usual, name: str, metric: Metric, value: float) -> Spike | None:
        baseline, step = usual.of(name), step_of(value, _UNITS[metric])
        spike = self._judged(baseline, metric, value, step)
        baseline.take(step, self.options.window_size)
        return spike

    def _pace(self, usual: _Usual, when_ns: int) -> Spike | None:
        ended, running = usual.pace.count(when_ns)
        baseline, unit = usual.of("velocity"), _UNITS["velocity"]
        if ended is not None:
            baseline.take(step_of(ended, unit), self.options.window_size)
        if running is None:
            return None
        spike = self._judged(baseline, "velocity", running, step_of(running, unit))
        return spike if spike is not None and usual.pace.is_news(self.severity(spike.sigma)) else None

    def _judged(self, baseline: Baseline, metric: Metric, value: float, step: int) -> Spike | None:
        sigma = baseline.sigma(step)
        if sigma < self.options.sigma_threshold:
            return None
        return Spike(metric, float(min(value, MOST)), amount_of(baseline.median, _UNITS[metric]), sigma)

    def _finding(self, spike: Spike) -> Finding:
        return Finding(
            type=f"anomaly_{spike.metric}_spike",
            rule=f"anomaly.{spike.metric}",
            severity=self.severity(spike.sigma),
            confidence=min(max(spike.sigma / 20, 0.5), 1.0),
            start=0,
            end=0,
            channel="assistant",
            phase="output",
            detector="anomaly_detection",
            category=_CATEGORY,
        )


def _name(label: object) -> str:
    """What tells calls apart by a label; a label may be of any length."""
    return label[:_LONGEST_NAME] if isinstance(label, str) else ""


def _is_amount(value: object) -> bool:
    """Whether it is a number that can be compared: vendors may say anything."""
    return isinstance(value, int | float) and value >= 0


def _answered_ns(record: CallRecord) -> int | None:
    """When a call was answered, if it was: how long a refusal or an error takes is no latency."""
    if record.status is None or record.status >= 400 or not record.upstream_called:
        return None
    if record.streamed:
        return record.first_chunk_ns
    return record.ended_ns if record.outcome == "complete" else None
