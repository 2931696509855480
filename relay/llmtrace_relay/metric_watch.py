"""Metrics that somebody else knows: asked for when they are told, and never trusted to answer."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Gauge
from prometheus_client.process_collector import ProcessCollector

from llmtrace_relay.metric_labels import Names
from llmtrace_relay.metric_table import WATCHED
from llmtrace_sdk.faults import count_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    Labels = tuple[str, ...]
    Told = float | Mapping[str, float] | Mapping[Labels, float]

VALUES_LIMIT: Final = 64


class Watch:
    """One metric that is asked for, now and at each `look`, which may be called from any thread."""

    def __init__(self, name: str, ask: Callable[[], Told], registry: CollectorRegistry) -> None:
        text, self._labels, mode = WATCHED[name]
        self._ask = ask
        self._names = [Names(VALUES_LIMIT) for _ in self._labels]
        self._before: dict[Labels, float] = {}
        self._lock = threading.Lock()
        self._metric: Counter | Gauge
        if mode is None:
            self._metric = Counter(name, text, self._labels, registry=registry)
        else:
            self._metric = Gauge(name, text, self._labels, registry=registry, multiprocess_mode=mode)
        self.look()  # or the others would see a 0 here until then

    def look(self) -> None:
        """Ask, and keep what is told; what cannot be told stays as it was."""
        try:
            told = self._summed(self._ask())
        except Exception as error:  # noqa: BLE001 - a metric that cannot be told must not hide the others
            count_fault("metrics", error)
            return
        with self._lock:
            for labels in self._before.keys() | told.keys():
                self._keep(labels, told.get(labels, 0.0))

    def _summed(self, told: Told) -> dict[Labels, float]:
        if not isinstance(told, Mapping):
            return {(): float(told)}
        sums: dict[Labels, float] = {}
        for key, value in told.items():
            values = (key,) if isinstance(key, str) else key
            labels = tuple(names.of(text) for names, text in zip(self._names, values, strict=True))
            sums[labels] = sums.get(labels, 0.0) + value
        return sums

    def _keep(self, labels: Labels, value: float) -> None:
        metric = self._metric.labels(*labels) if labels else self._metric
        if isinstance(metric, Gauge):
            metric.set(value)
        else:
            metric.inc(max(value - self._before.get(labels, 0.0), 0.0))
        self._before[labels] = value


class Process:
    """What the operating system tells of this process, asked once for all of its metrics."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=None)
        self._told: dict[str, float] = {}

    def names(self) -> list[str]:
        """The metrics that it tells here; none where there is no /proc."""
        self.look()
        return [name for name in WATCHED if name in self._told]

    def look(self) -> None:
        """Ask anew."""
        self._told = {sample.name: sample.value for family in self._collector.collect() for sample in family.samples}

    def telling(self, name: str) -> Callable[[], float]:
        """What tells one metric, as it was when last asked."""
        return lambda: self._told[name]
