"""What limits cost a call: all is reserved before it and settled after it, in memory and in Redis on loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

from llmtrace_sdk.core.limits import BudgetCap, CostCapOptions, RateOptions
from llmtrace_sdk.core.model import Labels, Prompt, Usage
from llmtrace_sdk.core.quota import Quota
from llmtrace_sdk.state.memory import MemoryState

from .stats import Pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.typing import State

CAPS = (BudgetCap(window="daily", hard_limit_usd=1e6), BudgetCap(window="monthly", hard_limit_tokens=10**12))
QUOTA = Quota(
    RateOptions(enabled=True, requests_per_second=1e6, burst_size=10**6, max_concurrent=10**6),
    CostCapOptions(enabled=True, default_budget_caps=CAPS),
    rated=True,
    price=lambda _provider, _model, _usage: 0.001,
)
PROMPT = Prompt(model="gpt-4o-mini")


def costs(scale: float) -> list[Pair]:
    """Microseconds per call: a rate, a slot and two budgets. `bare` is admission, `ours` settlement as well."""
    pairs = [_measured("memory: admit, and settle", MemoryState(), max(int(3000 * scale), 300))]
    with _redis() as url:
        if url is not None:
            from llmtrace_sdk.state.redis import RedisState

            state = RedisState(url)
            pairs.append(_measured("Redis on loopback: the same", state, max(int(1000 * scale), 100)))
            state.close()
    return pairs


def _measured(name: str, state: State, rounds: int) -> Pair:
    pair = Pair(name)
    for number in range(rounds + 50):
        began = perf_counter()
        reservation = QUOTA.reservation(
            str(number), "openai", Labels(tenant=f"t{number % 100}"), PROMPT, 1000, time.time(), retried=False
        )
        flow = reservation.take()
        effect = next(flow)
        try:
            flow.send(state.admit(effect.claims))
        except StopIteration:
            admitted = perf_counter()
        settlement = reservation.settlement("gpt-4o-mini", Usage(100, 20), made=True)
        assert settlement is not None
        state.settle((settlement,))
        if number >= 50:
            pair.bare.append((admitted - began) * 1e6)
            pair.ours.append((perf_counter() - began) * 1e6)
    return pair


@contextmanager
def _redis() -> Iterator[str | None]:
    """A server of our own for as long as it is measured; None where there is none to be had."""
    binary = shutil.which("redis-server")
    if binary is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        server = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait(10)


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 0.1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"no redis-server came up at port {port}")
