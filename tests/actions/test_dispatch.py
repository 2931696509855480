"""Calls are never held up: actions run on threads of their own, and what becomes of each is told."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_sdk.actions import Parts, block_ip, webhook
from llmtrace_sdk.actions.dispatch import Dispatch
from llmtrace_sdk.core.model import ActionStatus
from llmtrace_sdk.core.routing import RouterOptions, WebhookOptions
from tests.forking import forked

from .receiver import SECRET_TEXT, Faults, MemoryState, Receiver, finding, hold, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALL = record(finding())
DONE = ActionStatus("theirs", "success")


class Step:
    """An action that does what it is told to."""

    def __init__(self, name: str, do: Callable[[], Any] = lambda: None, **facts: bool) -> None:
        self.name = name
        self._do = do
        self.threads: list[str] = []
        self.__dict__.update(facts)

    def run(self, _record: Any, _source: str | None) -> ActionStatus:
        self.threads.append(threading.current_thread().name)
        self._do()
        return ActionStatus(self.name, "success")


class Rig:
    def __init__(self, *actions: Any, limit: int = 100) -> None:
        self.faults = Faults()
        self.told: list[tuple[Any, tuple[ActionStatus, ...]]] = []
        self.dispatch = Dispatch(
            {action.name: action for action in actions},
            on_fault=self.faults,
            told=lambda record, statuses: self.told.append((record, statuses)),
            limit=limit,
        )

    def put(self, *names: str, **more: Any) -> bool:
        return self.dispatch.put(CALL, names, "203.0.113.7", **more)

    @property
    def details(self) -> list[list[str]]:
        return [[f"{each.name} {each.status} {each.detail}".strip() for each in statuses] for _, statuses in self.told]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def test_all_statuses_of_a_call_are_told_once_in_the_order_asked_for() -> None:
    order: list[str] = []
    rig = Rig(
        Step("slow", lambda: order.append("slow")),
        Step("quick", lambda: order.append("quick"), quick=True),
        Step("last", lambda: order.append("last")),
    )
    assert rig.put("slow", "quick", "last")
    assert rig.dispatch.flush(5)
    assert order == ["quick", "slow", "last"]
    assert rig.details == [["slow success", "quick success", "last success"]]
    assert rig.told[0][0] is CALL
    assert rig.dispatch.close(5)


def test_nothing_asked_for_is_nothing_told_and_no_thread() -> None:
    before = threading.active_count()
    rig = Rig(Step("theirs"))
    assert rig.put()
    assert threading.active_count() == before
    assert rig.dispatch.flush(1)
    assert rig.told == []


def test_one_that_raises_is_said_without_its_words_and_the_others_run() -> None:
    def bad() -> None:
        raise RuntimeError(SECRET_TEXT)

    rig = Rig(Step("bad", bad), Step("good"), Step("worse", bad, quick=True))
    rig.put("bad", "worse", "good")
    assert rig.dispatch.flush(5)
    assert rig.details == [["bad error fault", "worse error fault", "good success"]]
    assert rig.faults.seen == [("action.worse", "RuntimeError"), ("action.bad", "RuntimeError")]
    rig.dispatch.close(5)


def test_a_slow_webhook_delays_neither_calls_nor_blocks() -> None:
    state = MemoryState()
    with Receiver(hold) as receiver:
        router = RouterOptions(enabled=True, webhook=WebhookOptions(url=receiver.url, timeout_ms=2000, max_attempts=1))
        parts = Parts(router=router, state=state)
        rig = Rig(webhook.build(parts), block_ip.build(parts))
        rig.dispatch.warm()
        assert rig.dispatch.flush(10)
        took = []
        for number in range(50):
            call = record(finding(), call_id=str(number))
            began = time.perf_counter()
            assert rig.dispatch.put(call, ("block_ip", "webhook"), "203.0.113.7")
            took.append(time.perf_counter() - began)
        began = time.monotonic()
        while len(state.offences) < 50 and time.monotonic() - began < 5:
            time.sleep(0.001)
        assert len(state.offences) == 50
        assert sorted(took)[25] < 0.001
        assert len(receiver.wait()) == 1
        assert rig.told == []
        assert not rig.dispatch.flush(0.01)
    rig.dispatch.close(30)


@pytest.mark.parametrize("quick", [True, False])
def test_a_full_queue_drops_says_so_and_counts(quick: bool, gate: threading.Event) -> None:
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        gate.wait(30)

    rig = Rig(Step("theirs", wait, quick=quick), limit=2)
    rig.put("theirs")
    assert begun.wait(5)
    assert [rig.put("theirs") for _ in range(4)] == [True, True, False, False]
    assert rig.dispatch.dropped == 2
    assert rig.details == [["theirs dropped queue_full"]] * 2
    gate.set()
    assert rig.dispatch.flush(5)
    assert rig.details == [["theirs dropped queue_full"]] * 2 + [["theirs success"]] * 3
    rig.dispatch.close(5)


def test_what_was_quick_enough_is_done_when_the_rest_is_dropped(gate: threading.Event) -> None:
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        gate.wait(30)

    rig = Rig(Step("slow", wait), Step("quick", quick=True), limit=1)
    rig.put("slow")
    assert begun.wait(5)
    rig.put("slow")
    rig.put("slow", "quick")
    assert rig.dispatch._first.flush(5)
    assert rig.details == [["slow dropped queue_full", "quick success"]]
    gate.set()
    rig.dispatch.close(5)


def test_what_enforces_is_not_run_in_shadow_mode() -> None:
    stopping, saying = Step("stopping", enforces=True, quick=True), Step("saying")
    rig = Rig(stopping, saying)
    rig.put("stopping", "saying", shadow=True)
    assert rig.dispatch.flush(5)
    assert rig.details == [["stopping skipped shadow", "saying success"]]
    assert stopping.threads == []
    rig.dispatch.close(5)


def test_a_call_that_is_over_cannot_be_blocked_and_what_is_not_there_is_said() -> None:
    rig = Rig(Step("theirs"))
    rig.put("block", "theirs", "gone")
    assert rig.dispatch.flush(5)
    assert rig.details == [["block skipped too_late", "theirs success", "gone skipped unknown"]]
    rig.dispatch.close(5)


def test_whoever_is_told_cannot_stop_the_others() -> None:
    faults, seen = Faults(), []

    def told(record: Any, statuses: tuple[ActionStatus, ...]) -> None:
        seen.append(statuses)
        raise RuntimeError

    dispatch = Dispatch({"theirs": Step("theirs")}, on_fault=faults, told=told)
    dispatch.put(CALL, ("theirs",), None)
    dispatch.put(CALL, ("theirs",), None)
    assert dispatch.flush(5)
    assert len(seen) == 2
    assert faults.seen == [("action.told", "RuntimeError")] * 2
    dispatch.close(5)


def test_close_ends_the_threads_and_a_later_call_starts_them_again() -> None:
    before = set(threading.enumerate())
    closed: list[int] = []
    step = Step("theirs")
    step.close = lambda: closed.append(1)  # type: ignore[attr-defined]
    rig = Rig(step, Step("quick", quick=True))
    for _ in range(2):
        rig.put("theirs", "quick")
        assert rig.dispatch.close(5)
    assert (len(rig.told), closed) == (2, [1, 1])
    assert set(threading.enumerate()) <= before


def test_a_forked_child_delivers_its_own_and_not_its_parents(gate: threading.Event) -> None:
    with Receiver() as receiver:
        router = RouterOptions(enabled=True, webhook=WebhookOptions(url=receiver.url))
        begun = threading.Event()

        def wait() -> None:
            begun.set()
            gate.wait(30)

        rig = Rig(Step("wait", wait), webhook.build(Parts(router=router)))
        rig.put("wait")
        assert begun.wait(5)
        rig.put("webhook")

        def tells_its_own() -> bool:
            rig.dispatch.put(record(finding(), call_id="child"), ("webhook",), None)
            return rig.dispatch.flush(10) and len(rig.told) == 1

        assert forked(tells_its_own)()
        assert [request.json["trace_id"] for request in receiver.requests] == ["child"]
        gate.set()
        assert rig.dispatch.flush(10)
        assert [request.json["trace_id"] for request in receiver.requests] == ["child", CALL.id]
        rig.dispatch.close(5)
