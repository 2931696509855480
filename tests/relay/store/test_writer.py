"""Spans reach the store behind the caller's back; nothing that happens to disk or store reaches the caller."""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_relay.model import SpanEvent
from llmtrace_relay.store import backlog, delivery, writer
from llmtrace_relay.store.segment import Segment
from llmtrace_relay.store.writer import Writer
from tests.forking import forked
from tests.waiting import until

from .making import BEGIN, span
from .stores import Faults, ListedStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Made = tuple[Writer, ListedStore, Faults]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "LINGER_S", 0.1)
    monkeypatch.setattr(delivery, "LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(backlog, "DISK_AGAIN_S", 0.05)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Made]]:
    made: list[Made] = []

    def new(max_bytes: int = 1 << 30, folder: str = "spool", **store: Any) -> Made:
        listed, faults = ListedStore(), Faults()
        for name, value in store.items():
            setattr(listed, name, value)
        made.append((Writer(listed.as_store(), tmp_path / folder, max_bytes, faults), listed, faults))
        return made[-1]

    yield new
    for each, listed, _ in made:
        listed.away = False
        listed.gate.set()
        assert each.close(10)
    assert not [thread for thread in threading.enumerate() if thread.name == "llmtrace-writer"]


def prompts(count: int, first: int = 0) -> list[str]:
    return [str(at) for at in range(first, first + count)]


def test_nothing_begins_before_there_is_something(make: Callable[..., Made], tmp_path: Path) -> None:
    new, _, _ = make()
    assert not (tmp_path / "spool").exists()
    assert not [thread for thread in threading.enumerate() if thread.name == "llmtrace-writer"]
    assert (new.pending, new.stored, new.dropped) == (0, 0, 0)
    assert new.flush(10)


def test_spans_are_stored_in_order_in_batches_and_leave_the_disk(make: Callable[..., Made], tmp_path: Path) -> None:
    new, store, faults = make()
    for prompt in prompts(1_000):
        new.put(span(prompt=prompt))
    assert new.flush(20)
    assert store.prompts == prompts(1_000)
    assert max(store.batches) <= writer.BATCH
    assert (new.pending, new.stored, new.dropped, faults) == (0, 1_000, 0, [])
    assert new.close(10)
    assert list((tmp_path / "spool").iterdir()) == []


def test_spans_are_stored_soon_without_being_asked_for(make: Callable[..., Made]) -> None:
    new, store, _ = make()
    for _ in range(3):
        new.put(span())
        assert until(lambda: new.pending == 0, 5)
        # long enough for it to fall asleep
        assert until(lambda: new._asleep, 5)
    assert len(store.kept) == 3


def test_a_span_comes_through_as_it_was(make: Callable[..., Made]) -> None:
    new, store, _ = make()
    event = SpanEvent(id="1", timestamp=BEGIN, event_type="x", description="y", data={"a": [1, 2.5, None, True]})
    one = span(tags={"ä": "🙂"}, events=(event,), estimated_cost_usd=0.1, end_time=1)
    new.put(one)
    assert new.flush(10)
    assert store.kept == [one]


def test_texts_and_numbers_that_no_file_takes_are_made_to_fit(make: Callable[..., Made]) -> None:
    new, store, faults = make()
    new.put(span(prompt="a\ud800b", prompt_tokens=1 << 70, tags={"\udfff": "x"}))
    new.put(span(prompt="whole"))
    assert new.flush(10)
    assert store.prompts == ["a\ufffdb", "whole"]
    assert faults == []


def test_threads_may_put_at_once(make: Callable[..., Made]) -> None:
    new, store, _ = make()

    def work(first: int) -> None:
        for prompt in prompts(300, first):
            new.put(span(prompt=prompt))

    threads = [threading.Thread(target=work, args=(at * 300,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert new.flush(20)
    assert sorted(map(int, store.prompts)) == list(range(1_200))


def test_putting_does_not_wait_for_a_store_that_hangs(make: Callable[..., Made]) -> None:
    new, store, _ = make(gate=threading.Event())
    new.put(span())
    assert store.asked.wait(10)
    begun = time.monotonic()
    for _ in range(500):
        new.put(span())
    assert time.monotonic() - begun < 5
    assert not new.flush(0.01)
    assert new.pending == 501
    store.gate.set()
    assert new.flush(20)
    assert len(store.kept) == 501


def test_what_the_store_is_away_for_is_kept_until_it_is_back(make: Callable[..., Made], tmp_path: Path) -> None:
    new, store, faults = make(away=True)
    for prompt in prompts(500):
        new.put(span(prompt=prompt))
    assert until(lambda: "store" in faults, 10)
    assert new.pending == 500
    assert sum(file.stat().st_size for file in (tmp_path / "spool").iterdir()) > 50_000
    store.away = False
    assert new.flush(20)
    assert store.prompts == prompts(500)
    assert faults == ["store"]


def test_what_waits_has_a_bound_and_the_latest_are_kept(make: Callable[..., Made]) -> None:
    new, store, _ = make(max_bytes=1 << 16, away=True)
    new.put(span(prompt="first"))
    assert store.asked.wait(10)
    for prompt in prompts(2_000):
        new.put(span(prompt=prompt))
    assert new.dropped > 1_000
    store.away = False
    assert new.flush(20)
    assert store.prompts[-100:] == prompts(100, 1_900)
    assert new.stored + new.dropped == 2_001
    assert new.pending == 0


@pytest.mark.parametrize("how", ["refused", "broken"])
def test_a_span_that_the_store_refuses_is_given_up_alone(make: Callable[..., Made], how: str) -> None:
    new, store, faults = make(gate=threading.Event(), **{how: {"7", "50"}})
    for prompt in prompts(60):
        new.put(span(prompt=prompt))
    store.gate.set()
    assert new.flush(20)
    assert store.prompts == [prompt for prompt in prompts(60) if prompt not in ("7", "50")]
    assert (new.stored, new.dropped, faults) == (58, 2, ["store", "store"])


def test_what_another_left_is_stored(make: Callable[..., Made], tmp_path: Path) -> None:
    first, _, _ = make(away=True)
    for prompt in prompts(300):
        first.put(span(prompt=prompt))
    assert not first.close(0.2)
    second, store, _ = make()
    second.start()
    assert until(lambda: second.stored == 300, 20)
    assert store.prompts == prompts(300)
    assert second.pending == 0
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_another_left_behind_later_is_found(make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "ADOPT_S", 0.1)
    first, _, _ = make(away=True)
    first.put(span(prompt="left"))
    second, store, _ = make()
    second.put(span(prompt="mine"))
    assert second.flush(10)
    assert not first.close(0.1)
    assert until(lambda: store.prompts == ["mine", "left"], 10)


def test_own_spans_do_not_wait_for_all_that_another_left(
    make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BATCH", 10)
    first, _, _ = make(away=True)
    for prompt in prompts(100):
        first.put(span(prompt=f"left {prompt}"))
    assert not first.close(0.1)
    second, store, _ = make(gate=threading.Event())
    second.start()
    assert store.asked.wait(10)
    second.put(span(prompt="mine"))
    store.gate.set()
    assert second.flush(20)
    assert store.prompts.index("mine") <= 20


def test_a_record_that_is_no_span_is_passed_over(make: Callable[..., Made], tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    from llmtrace_relay.store.frames import frame

    segment = Segment.create(folder / "0.spool")
    segment.append(frame(b"\xc1"))
    segment.append(frame(b"\x80"))
    segment.close()
    new, _, faults = make()
    new.start()
    assert until(lambda: new.dropped == 2, 10)
    assert faults == ["spool", "spool"]
    assert until(lambda: list(folder.iterdir()) == [], 10)


def test_a_writer_that_was_closed_starts_anew(make: Callable[..., Made]) -> None:
    new, store, _ = make()
    for prompt in "ab":
        new.put(span(prompt=prompt))
        assert new.close(10)
    assert store.prompts == ["a", "b"]


def full_disk(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The disk is full for as long as the event is not set."""
    write, room = os.pwrite, threading.Event()

    def pwrite(descriptor: int, data: bytes, at: int) -> int:
        if room.is_set():
            return write(descriptor, data, at)
        if len(data) > 50:  # half of it had room
            return write(descriptor, data[: len(data) // 2], at)
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", pwrite)
    return room


def test_what_a_full_disk_does_not_take_waits_in_memory(
    make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    new, store, faults = make(away=True)
    for prompt in prompts(10):
        new.put(span(prompt=prompt))
    room = full_disk(monkeypatch)
    for prompt in prompts(300, 10):
        new.put(span(prompt=prompt))
    assert "spool" in faults
    assert new.pending == 310
    room.set()
    store.away = False
    assert new.flush(20)
    assert sorted(set(map(int, store.prompts))) == list(range(310))
    assert new.dropped == 0
    new.put(span(prompt="after"))
    assert new.flush(10)
    assert store.prompts[-1] == "after"


def test_what_waits_in_memory_goes_to_disk_when_there_is_room(
    make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    new, store, _ = make(away=True)
    room = full_disk(monkeypatch)
    for prompt in prompts(50):
        new.put(span(prompt=prompt))
    assert store.asked.wait(10)
    room.set()
    time.sleep(backlog.DISK_AGAIN_S)
    for prompt in prompts(20, 50):
        new.put(span(prompt=prompt))
    assert not new.close(0.1)
    monkeypatch.undo()
    second, other, _ = make()
    second.start()
    assert until(lambda: sorted(map(int, other.prompts)) == list(range(70)), 10)


def test_memory_has_a_bound_too(make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch) -> None:
    new, store, _ = make(max_bytes=1 << 16, away=True)
    room = full_disk(monkeypatch)
    for prompt in prompts(2_000):
        new.put(span(prompt=prompt))
    assert new.dropped > 1_000
    store.away = False
    assert new.flush(20)
    assert store.prompts[-50:] == prompts(50, 1_950)
    room.set()


def test_a_folder_that_cannot_be_is_as_a_full_disk(make: Callable[..., Made], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    new, store, faults = make(folder="file/spool")
    for prompt in prompts(20):
        new.put(span(prompt=prompt))
    assert new.flush(10)
    assert store.prompts == prompts(20)
    assert set(faults) == {"spool"}


def test_a_file_that_was_damaged_is_given_up_and_told(make: Callable[..., Made], tmp_path: Path) -> None:
    new, store, _ = make(gate=threading.Event())
    new.put(span(prompt="lent"))
    assert store.asked.wait(10)
    (file,) = (tmp_path / "spool").iterdir()
    second = file.stat().st_size
    for prompt in prompts(5):
        new.put(span(prompt=prompt))
    data = bytearray(file.read_bytes())
    data[second] ^= 1
    file.write_bytes(bytes(data))
    store.gate.set()
    assert until(lambda: new.pending == 0, 10)
    assert new.dropped == 5
    new.put(span(prompt="after"))
    assert new.flush(10)
    assert store.prompts == ["lent", "after"]


def test_a_child_that_was_forked_leaves_to_the_parent_what_is_the_parents(
    make: Callable[..., Made], tmp_path: Path
) -> None:
    new, store, _ = make(gate=threading.Event())
    for prompt in prompts(5):
        new.put(span(prompt=prompt))
    assert store.asked.wait(10)

    def stores_its_own() -> bool:
        store.gate = threading.Event()
        store.gate.set()
        store.kept.clear()
        new.put(span(prompt="of the child"))
        return new.flush(20) and store.prompts == ["of the child"] and new.close(5)

    assert forked(stores_its_own)()
    store.gate.set()
    assert new.flush(10)
    assert store.prompts == prompts(5)
    assert len(list((tmp_path / "spool").iterdir())) == 1
