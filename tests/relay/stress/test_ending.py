"""SIGTERM under load: what was asked is answered, what was answered is stored, and then it ends."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Self

import pytest

from tests.relay.running import RunningRelay

from .books import metric, seconds_until, stored, twice, unrecorded
from .load import CUT, PLAIN, REFUSED, STREAM, Client, Kind, Load, chat, fault_counts, refuses
from .watching import listens, workers

if TYPE_CHECKING:
    from pathlib import Path

    from llmtrace_sdk.fake_provider import FakeProvider

NO_LIMITS = {"rate_limiting": {"enabled": False}}
LONG = Kind("long", body=chat(stream=True), scenario="chunks=15,delay=100")
ENDLESS = Kind("endless", body=chat(stream=True), scenario="chunks=1000,delay=100")
CLIENTS = 16
TIMEOUT_S = 2.0


class Ending(threading.Thread):
    """Ends a relay with SIGTERM, meanwhile. `status` is its exit status."""

    def __init__(self, relay: RunningRelay) -> None:
        super().__init__()
        self._relay = relay
        self.status: int | None = None
        self.took_s = 0.0

    def run(self) -> None:
        self.status, self.took_s = ended(self._relay)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join()


class Caller(threading.Thread):
    """Makes one call, which takes long."""

    def __init__(self, url: str, kind: Kind) -> None:
        super().__init__()
        self._url, self._kind = url, kind

    def run(self) -> None:
        client = Client(self._url)
        self.call = client.call(self._kind)
        client.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join()


def ended(relay: RunningRelay) -> tuple[int, float]:
    """The status that it ends with after SIGTERM, and how many seconds that takes."""
    began = time.monotonic()
    return relay.stop(signal.SIGTERM, 40), time.monotonic() - began


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_no_call_is_dropped_and_all_are_stored(provider: FakeProvider, tmp_path: Path, count: int) -> None:
    with RunningRelay(tmp_path, workers=count, upstream_url=provider.url, **NO_LIMITS) as relay:
        relay.until(lambda: all(listens(pid, relay.url) for pid in workers(relay)) and len(workers(relay)) == count)
        load = Load(relay.url, PLAIN, STREAM, clients=CLIENTS // 2)
        newcomers = Load(relay.url, PLAIN, clients=CLIENTS // 2, headers={"connection": "close"})
        with load, newcomers, Caller(relay.url, LONG) as long:
            load.goes_on(relay, 200)
            told = time.monotonic()
            status, took_s = ended(relay)
    calls = [*load.calls, *newcomers.calls]
    faults = fault_counts(calls)
    answered = sum(call.complete for call in calls if call.began > told)
    print(
        f"ended with {status} after {took_s:.2f} s; {answered} calls that began after SIGTERM were answered; {faults}"
    )
    assert status == 0
    assert set(faults) <= {REFUSED}
    assert (long.call.status, long.call.fault, b"[DONE]" in long.call.body) == (200, "", True)
    spans = stored(tmp_path)
    assert unrecorded([*calls, long.call], spans) == []
    assert twice(spans) == 0
    assert not list((tmp_path / "llmtrace.db.spool").iterdir()), "something waits for the next process"


def test_who_takes_too_long_is_cut_and_recorded_and_nobody_new_is_let_in(
    provider: FakeProvider, tmp_path: Path
) -> None:
    with RunningRelay(
        tmp_path, upstream_url=provider.url, **NO_LIMITS, shutdown={"timeout_seconds": TIMEOUT_S}
    ) as relay:
        waiting = Client(relay.url)
        assert waiting.call(PLAIN).headers.get("connection") != "close"
        aborted = provider.stats()["aborted"]
        with Caller(relay.url, ENDLESS) as endless:
            relay.until(lambda: metric(relay.url, "llmtrace_active_connections") == 1)
            with Ending(relay) as ending:
                seconds_until(lambda: refuses(relay.url))
                last = waiting.call(PLAIN)
            assert refuses(relay.url)
    print(f"ended with {ending.status} after {ending.took_s:.2f} s")
    assert (ending.status, last.status, last.headers.get("connection")) == (0, 200, "close")
    assert TIMEOUT_S - 0.5 < ending.took_s < TIMEOUT_S + 5
    assert (endless.call.status, endless.call.fault) == (200, CUT)
    assert provider.stats()["aborted"] == aborted + 1
    spans = {span.trace_id: span for span in stored(tmp_path)}
    assert last.trace in spans
    cut = spans[endless.call.trace]
    assert (cut.outcome, cut.status_code, cut.operation_name) == ("abandoned", 200, "chat_completion_stream")
    assert len(cut.response or "") > 10
