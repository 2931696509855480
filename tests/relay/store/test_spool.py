"""Files of records: those of the dead are taken over, those of the living are not, and there is a bound to all."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_relay.store.frames import frame
from llmtrace_relay.store.segment import START, Segment
from llmtrace_relay.store.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterable

BIG = 1 << 30


def fail(error: OSError) -> None:
    raise error


def drain(spool: Spool, *, own: bool, most: int = 3) -> list[bytes]:
    found: list[bytes] = []
    while (segment := spool.next(own=own)) is not None:
        contents, ends = segment.read(most)
        found += contents
        segment.take(ends[-1], len(contents))
    return found


def fill(spool: Spool, contents: Iterable[bytes]) -> None:
    for content in contents:
        spool.append(frame(content))


def numbered(count: int, size: int = 100) -> list[bytes]:
    return [f"{at:06}".encode().ljust(size, b".") for at in range(count)]


def test_records_come_out_in_their_order_over_many_files(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 16)
    contents = numbered(400)
    fill(spool, contents)
    assert len(list(tmp_path.iterdir())) > 3
    assert spool.own == 400
    assert drain(spool, own=True) == contents
    assert spool.own == spool.size == 0
    fill(spool, contents[:2])
    assert drain(spool, own=True) == contents[:2]
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_what_was_taken_leaves_the_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BIG)
    fill(spool, numbered(10))
    drain(spool, own=True)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size == START
    spool.close()


def test_a_large_record_is_read_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BIG)
    contents = [b"a" * 10, b"b" * (3 << 20), b"c" * 10]
    fill(spool, contents)
    assert drain(spool, own=True) == contents
    spool.close()


def test_files_of_the_living_are_left_alone_and_those_of_the_dead_are_not(tmp_path: Path) -> None:
    one, two = Spool(tmp_path, BIG), Spool(tmp_path, BIG)
    fill(one, numbered(5))
    assert two.find(fail) == []
    one.close()
    two.adopt(two.find(fail))
    assert two.adopted == 5
    assert Spool(tmp_path, BIG).find(fail) == []
    assert drain(two, own=False) == numbered(5)
    two.close()
    assert list(tmp_path.iterdir()) == []


def test_what_was_taken_before_is_not_taken_again(tmp_path: Path) -> None:
    one, two = Spool(tmp_path, BIG), Spool(tmp_path, BIG)
    fill(one, numbered(5))
    segment = one.next(own=True)
    assert segment is not None
    _, ends = segment.read(2)
    segment.take(ends[-1], 2)
    one.close()
    two.adopt(two.find(fail))
    assert drain(two, own=False) == numbered(5)[2:]
    two.close()


@given(cut=st.integers(0, 700), most=st.integers(1, 7))
@settings(max_examples=80, deadline=None)
def test_a_file_cut_anywhere_gives_what_is_whole(tmp_path_factory: pytest.TempPathFactory, cut: int, most: int) -> None:
    folder = tmp_path_factory.mktemp("cut")
    one, two = Spool(folder, BIG), Spool(folder, BIG)
    fill(one, numbered(5))
    one.close()
    (file,) = folder.iterdir()
    os.truncate(file, min(cut, file.stat().st_size))
    two.adopt(two.find(fail))
    whole = max(cut - START, 0) // len(frame(numbered(1)[0]))
    assert two.adopted == min(whole, 5)
    assert drain(two, own=False, most=most) == numbered(5)[:whole]
    two.close()


def test_the_oldest_make_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 16)
    contents = numbered(2_000)
    fill(spool, contents)
    assert spool.size <= 1 << 16
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= (1 << 16) + 16 * START
    left = drain(spool, own=True)
    assert left == contents[-len(left) :]
    assert len(left) > 400
    assert spool.dropped == 2_000 - len(left)
    spool.close()


def test_those_of_the_dead_make_room_first(tmp_path: Path) -> None:
    one, two = Spool(tmp_path, 1 << 16), Spool(tmp_path, 1 << 16)
    fill(one, numbered(500))
    one.close()
    two.adopt(two.find(fail))
    fill(two, numbered(500))
    assert drain(two, own=True) == numbered(500)
    assert two.dropped == 500 - two.adopted
    two.close()


def test_what_somebody_is_keeping_is_not_counted_as_dropped(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 16)
    fill(spool, numbered(10))
    segment = spool.next(own=True)
    assert segment is not None
    segment.lent = 4
    fill(spool, numbered(2_000))
    assert segment.abandoned
    assert spool.dropped + len(drain(spool, own=True)) == 2_006
    spool.close()


def test_a_record_that_can_never_have_room_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 16)
    with pytest.raises(OSError, match="larger"):
        spool.append(frame(bytes(1 << 16)))
    spool.close()


def test_a_file_that_cannot_be_opened_is_told_and_the_others_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Spool(tmp_path, 1 << 16), Spool(tmp_path, 1 << 16)
    fill(one, numbered(200))
    one.close()
    first = min(tmp_path.iterdir())
    opened, told = os.open, list[OSError]()

    def refuse(path: Path, *given: int) -> int:
        if path == first:
            raise PermissionError
        return opened(path, *given)

    monkeypatch.setattr(os, "open", refuse)
    two.adopt(two.find(told.append))
    assert len(told) == 1
    left = drain(two, own=False)
    assert 0 < len(left) < 200
    assert left == numbered(200)[-len(left) :]
    two.close()


def test_only_its_owner_reads_a_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 1 << 16)
    fill(spool, numbered(1))
    (file,) = (tmp_path / "spool").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    spool.close()


def test_files_that_are_none_of_ours_are_left_alone(tmp_path: Path) -> None:
    strangers = {"a.spool": b"", "b.spool": b"something else of somebody", "c.txt": b"x"}
    for name, content in strangers.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "d.new").touch()
    (tmp_path / "e.new").touch()
    os.utime(tmp_path / "e.new", (0, 0))
    spool = Spool(tmp_path, BIG)
    assert spool.find(fail) == []
    assert {file.name for file in tmp_path.iterdir()} == {*strangers, "d.new"}


def test_a_file_that_another_finished_meanwhile_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.spool"
    Segment.create(path).close()
    opened = os.open

    def open_late(*given: object, **named: object) -> int:
        descriptor = opened(*given, **named)  # type: ignore[arg-type]
        Path(path).unlink(missing_ok=True)
        return descriptor

    monkeypatch.setattr(os, "open", open_late)
    assert Segment.adopt(path) is None
    assert Segment.adopt(path) is None
