"""What each key of `anomaly_detection` does: calls by a clock of the test's own, the last of them unlike the others."""

from __future__ import annotations

import json
import time
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx

import llmtrace_sdk as llmtrace
from llmtrace_sdk import wiring
from tests.transport.wire import HELLO, URL, Wire, client

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.core.model import CallRecord, Finding

    from .bench import Bench

ON = {"enabled": True}
SECOND = 10**9
_numbers = count()


class Clock(Wire):
    """Answers after `took` seconds of its own clock, with `tokens` tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 1_800_000_000 * SECOND
        self.took, self.tokens = 1.0, 1000

    @property
    def chunks(self) -> list[bytes]:
        self.now_ns += round(self.took * SECOND)
        usage = {"prompt_tokens": self.tokens, "completion_tokens": 0, "total_tokens": self.tokens}
        return [json.dumps({"id": "1", "model": "gpt-4o", "choices": [], "usage": usage}).encode()]

    @chunks.setter
    def chunks(self, _: object) -> None:
        pass


def found(bench: Bench, *, usual: int = 20, last: int = 1, every: float = 10.0, **options: Any) -> list[Finding]:
    """What is found in the last calls, which differ from the usual ones in `tokens`, `took` or `every`."""
    unlike = {name: options.pop(name) for name in ("tokens", "took", "then") if name in options}
    records: list[CallRecord] = []
    wire = Clock()
    clock = SimpleNamespace(time_ns=lambda: wire.now_ns, perf_counter_ns=time.perf_counter_ns)
    bench.monkeypatch.setattr(wiring, "time", clock)
    llmtrace.configure(anomaly_detection=options)
    remove = llmtrace.on_record(records.append)
    try:
        with client(httpx, "sync", wire) as http, llmtrace.context(tenant=f"anomaly-{next(_numbers)}"):
            for number in range(usual + last):
                if number >= usual:
                    wire.tokens, wire.took = unlike.get("tokens", 1000), unlike.get("took", 1.0)
                wire.now_ns += round((unlike.get("then", every) if number >= usual else every) * SECOND)
                http.post(URL, json={**HELLO, "model": "gpt-4o"})
        assert llmtrace.flush(10)
    finally:
        remove()
    assert not [finding for record in records[:usual] for finding in record.findings]
    return [finding for record in records[usual:] for finding in record.findings]


def types(findings: list[Finding]) -> set[str]:
    return {finding.type for finding in findings}


def enabled(bench: Bench) -> None:
    assert types(found(bench, tokens=10**6)) == set()
    assert types(found(bench, tokens=10**6, **ON)) == {"anomaly_cost_spike", "anomaly_token_spike"}


def window_size(bench: Bench) -> None:
    """A short window soon knows nothing else."""
    new: dict[str, Any] = {"usual": 200, "last": 30, "tokens": 100_000, "check_cost": False}
    assert 1 <= len(found(bench, **new, **ON, window_size=20)) < 15
    assert len(found(bench, **new, **ON, window_size=1000)) == 30


def sigma_threshold(bench: Bench) -> None:
    only = {**ON, "check_cost": False}
    assert [f.severity.label for f in found(bench, tokens=20_000, **only)] == ["high"]
    assert [f.severity.label for f in found(bench, tokens=20_000, **only, sigma_threshold=1.0)] == ["critical"]
    assert found(bench, tokens=20_000, **only, sigma_threshold=50) == []


def check_cost(bench: Bench) -> None:
    assert types(found(bench, tokens=10**6, **ON, check_tokens=False)) == {"anomaly_cost_spike"}
    assert types(found(bench, tokens=10**6, **ON, check_tokens=False, check_cost=False)) == set()


def check_tokens(bench: Bench) -> None:
    assert types(found(bench, tokens=10**6, **ON, check_cost=False)) == {"anomaly_token_spike"}


def check_velocity(bench: Bench) -> None:
    burst: dict[str, Any] = {"last": 80, "then": 0, "took": 0.01}
    assert types(found(bench, **burst, **ON)) == {"anomaly_velocity_spike"}
    assert found(bench, **burst, **ON, check_velocity=False) == []


def check_latency(bench: Bench) -> None:
    assert types(found(bench, took=30.0, **ON)) == {"anomaly_latency_spike"}
    assert found(bench, took=30.0, **ON, check_latency=False) == []


EFFECTS: dict[str, Callable[[Bench], None]] = {
    "anomaly_detection.enabled": enabled,
    "anomaly_detection.window_size": window_size,
    "anomaly_detection.sigma_threshold": sigma_threshold,
    "anomaly_detection.check_cost": check_cost,
    "anomaly_detection.check_tokens": check_tokens,
    "anomaly_detection.check_velocity": check_velocity,
    "anomaly_detection.check_latency": check_latency,
}
