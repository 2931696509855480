from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import llmtrace_sdk
from llmtrace_relay.checks import Check
from llmtrace_relay.health import REMEMBERED_S, Health, Untroubled, answers, watch
from llmtrace_relay.metrics import Metrics
from llmtrace_sdk.errors import StateUnavailable
from llmtrace_sdk.faults import count_fault, faults
from llmtrace_sdk.state.memory import MemoryState

if TYPE_CHECKING:
    from collections.abc import Iterator


class Part:
    """Something that answers or does not, and counts how often it is asked."""

    def __init__(self, *, there: bool = True) -> None:
        self.there = there
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.there


def health_of(store: Part, *more: Any, **options: Any) -> Health:
    return Health(store, *more, every_s=0.0, **options)


@contextmanager
def hanging() -> Iterator[tuple[Any, threading.Event]]:
    """A question without an answer until the event is set, and all of its threads are gone after."""
    go_on = threading.Event()
    threads: list[threading.Thread] = []

    def ask() -> bool:
        threads.append(threading.current_thread())
        return go_on.wait(30)

    try:
        yield ask, go_on
    finally:
        go_on.set()
        for thread in threads:
            thread.join(5)


def test_it_is_healthy_on_the_first_call() -> None:
    status, body = asyncio.run(health_of(Part()).health())
    assert status == 200
    assert body == {
        "status": "healthy",
        "starting": False,
        "version": llmtrace_sdk.__version__,
        "draining": False,
        "auth": {"enabled": False},
        "storage": {
            "traces": {"healthy": True},
            "metadata": {"healthy": True},
            "cache": {"healthy": True},
            "circuit_breaker": "Closed",
        },
        "security": {"healthy": True, "circuit_breaker": "Closed"},
        "ml": {"status": "disabled"},
        "judge": {"enabled_at_startup": False, "worker_spawned": False, "healthy": True},
        "runtime_overlay": {"status": "writable", "persistence": True, "writable": True},
        "dropped": {},
    }


def test_before_everything_was_there_once_it_is_starting() -> None:
    store = Part(there=False)
    health = health_of(store)

    async def run() -> list[tuple[int, str, bool]]:
        found = []
        for there in (False, True, False):
            store.there = there
            status, body = await health.health()
            found.append((status, body["status"], body["starting"]))
        return found

    assert asyncio.run(run()) == [(503, "starting", True), (200, "healthy", False), (200, "degraded", False)]


def test_without_the_database_the_parts_say_so() -> None:
    _, body = asyncio.run(health_of(Part(there=False), dropped=lambda: {"spool": 3, "records": 1}).health())
    assert body["storage"]["traces"] == body["storage"]["metadata"] == {"healthy": False}
    assert body["storage"]["circuit_breaker"] == "Open"
    assert body["runtime_overlay"]["status"] == "not_writable"
    assert body["runtime_overlay"]["reason_code"] == "unknown"
    assert body["dropped"] == {"spool": 3, "records": 1}


def test_without_the_store_of_limits_it_is_degraded() -> None:
    state = Part()
    health = health_of(Part(), None, state)

    async def run() -> tuple[int, dict[str, Any]]:
        await health.health()
        state.there = False
        return await health.health()

    status, body = asyncio.run(run())
    assert (status, body["status"]) == (200, "degraded")
    assert body["storage"]["cache"] == {"healthy": False}
    assert body["storage"]["traces"] == {"healthy": True}


@pytest.mark.parametrize(
    ("flags", "overlay"),
    [
        ("disabled", {"status": "disabled", "persistence": False, "writable": False}),
        ("unkept", {"status": "writable", "persistence": False, "writable": True}),
    ],
)
def test_flags_that_do_not_outlive_the_process_are_told(flags: Any, overlay: dict[str, Any]) -> None:
    _, body = asyncio.run(health_of(Part(), flags=flags).health())
    assert body["runtime_overlay"] == overlay


def test_tiers_that_fail_are_told() -> None:
    health = health_of(Part(), ml=True, judge=True)

    async def run() -> list[tuple[Any, Any]]:
        found = []
        for component in (None, "tier.ml", "tier.judge"):
            if component is not None:
                count_fault(component, RuntimeError())
            _, body = await health.health()
            found.append((body["ml"]["status"], body["judge"]["healthy"]))
        return found

    assert asyncio.run(run()) == [("loaded", True), ("failed", True), ("failed", False)]
    faults.subtract(["tier.ml", "tier.judge"])


def test_faults_of_the_inspection_are_forgotten_after_a_minute() -> None:
    counted: Counter[str] = Counter(request=4)
    now = [0.0]
    untroubled = Untroubled(["request", "response"], counted, lambda: now[0])
    assert untroubled()
    counted["state"] += 1
    assert untroubled()
    counted["response"] += 1
    assert not untroubled()
    now[0] = REMEMBERED_S - 1
    assert not untroubled()
    now[0] = REMEMBERED_S
    assert untroubled()


@pytest.mark.parametrize(
    ("parts", "options", "missing"),
    [
        ((Part(), Part(), Part()), {}, []),
        ((Part(there=False), Part(), Part()), {}, []),  # calls wait in the spool
        ((Part(there=False), Part(there=False), Part()), {}, ["storage"]),
        ((Part(there=False), None, Part()), {}, ["storage"]),
        ((Part(there=False), Part(), Part()), {"needs_store": True}, ["storage"]),
        ((Part(), Part(there=False), Part()), {}, []),
        ((Part(), Part(), Part(there=False)), {}, []),
        ((Part(), Part(), Part(there=False)), {"needs_state": True}, ["state"]),
        ((Part(), Part(), None), {"needs_state": True}, []),
        ((Part(there=False), Part(there=False), Part(there=False)), {"needs_state": True}, ["storage", "state"]),
    ],
)
def test_ready_says_what_is_missing(parts: tuple[Any, ...], options: dict[str, Any], missing: list[str]) -> None:
    status, body = asyncio.run(health_of(*parts, **options).ready())
    assert body == {"ready": not missing, "missing": missing}
    assert status == (503 if missing else 200)


def test_while_it_drains_no_more_calls_should_come() -> None:
    health = health_of(Part())
    health.draining = True
    assert asyncio.run(health.ready()) == (503, {"ready": False, "missing": ["draining"]})
    assert health.live() == (200, {"live": True})
    assert asyncio.run(health.health())[1]["draining"] is True


def test_nothing_is_asked_more_than_once_a_second() -> None:
    store, room, state = Part(), Part(), Part()
    health = Health(store, room, state)

    async def run() -> None:
        await asyncio.gather(*(health.health() for _ in range(50)), *(health.ready() for _ in range(50)))
        await health.ready()

    asyncio.run(run())
    assert (store.asked, room.asked, state.asked) == (1, 1, 1)


def test_what_hangs_holds_up_nobody_for_long_and_is_not_asked_again() -> None:
    asked = Part()
    with hanging() as (ask, go_on):

        def store() -> bool:
            asked()
            return bool(ask())

        health = Health(store, ask, ask, every_s=0.0, limit_s=0.1)

        async def run() -> None:
            began = time.monotonic()
            status, body = await health.ready()
            assert 0.1 <= time.monotonic() - began < 0.4  # all parts hang, and are waited for at the same time
            assert (status, body["missing"]) == (503, ["storage"])
            began = time.monotonic()
            for _ in range(20):
                assert (await health.ready())[0] == 503
            assert time.monotonic() - began < 0.1  # nobody waits for what is known to be late
            assert asked.asked == 1
            go_on.set()
            await _until(lambda: health.store.last is True)
            assert (await health.ready())[0] == 200

        asyncio.run(run())


async def _until(holds: Any) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.005)


def test_the_event_loop_goes_on_while_something_hangs() -> None:
    with hanging() as (ask, _):
        check = Check("test", ask, limit_s=0.2)

        async def run() -> int:
            waiting = asyncio.ensure_future(check.holds())
            turns = 0
            while not waiting.done():
                await asyncio.sleep(0.005)
                turns += 1
            assert waiting.result() is False
            return turns

        assert asyncio.run(run()) > 5


def test_a_loop_that_ends_before_the_answer_is_no_fault() -> None:
    with hanging() as (ask, _):
        check = Check("test", ask, limit_s=0.01)
        assert asyncio.run(check.holds()) is False


def test_a_part_that_raises_is_away_and_counted() -> None:
    before = faults["health.storage"]

    def fail() -> bool:
        raise OSError("password=secret")

    status, body = asyncio.run(Health(fail).health())
    assert (status, body["storage"]["traces"]) == (503, {"healthy": False})
    assert faults["health.storage"] == before + 1
    assert "secret" not in json.dumps(body)


def test_the_store_of_limits_is_asked_without_changing_anything() -> None:
    state = MemoryState()
    assert answers(state)()
    assert len(state) == 0

    class Away:
        def latest(self, topic: str) -> None:
            raise StateUnavailable("timeout")

    health = Health(Part(), None, answers(Away()))  # type: ignore[arg-type]
    _, body = asyncio.run(health.health())
    assert body["storage"]["cache"] == {"healthy": False}


@pytest.mark.parametrize(
    ("path", "method", "status", "key"),
    [
        ("/health", "GET", 503, "storage"),
        ("/ready", "GET", 503, "missing"),
        ("/live", "GET", 200, "live"),
        ("/live", "HEAD", 200, ""),
    ],
)
def test_it_is_served(path: str, method: str, status: int, key: str) -> None:
    health = health_of(Part(there=False))
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(health({"type": "http", "path": path, "method": method}, None, send))
    start, body = sent
    assert start["status"] == status
    fields = dict(start["headers"])
    assert fields[b"content-type"] == b"application/json"
    assert fields[b"cache-control"] == b"no-store"
    if method == "HEAD":
        assert body["body"] == b""
        assert fields[b"content-length"] != b"0"
    else:
        assert key in json.loads(body["body"])
        assert fields[b"content-length"] == str(len(body["body"])).encode()


def test_the_metrics_tell_what_was_found() -> None:
    store, state = Part(there=False), Part()
    health, metrics = health_of(store, None, state), Metrics()
    watch(health, metrics)
    assert "llmtrace_storage_up 1.0" in metrics.render()[0].decode()  # nobody has looked yet
    asyncio.run(health.look())
    text = metrics.render()[0].decode()
    assert "llmtrace_storage_up 0.0" in text
    assert "llmtrace_state_up 1.0" in text
    assert "llmtrace_draining 0.0" in text
    assert 'llmtrace_circuit_breaker_state{state="open",subsystem="storage"} 1.0' in text
    assert 'llmtrace_circuit_breaker_state{state="closed",subsystem="storage"} 0.0' in text
    assert 'llmtrace_circuit_breaker_state{state="closed",subsystem="state"} 1.0' in text
    assert 'llmtrace_circuit_breaker_state{state="half_open",subsystem="security"} 0.0' in text
