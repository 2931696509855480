"""Chunks in, the same chunks out: whole, in order, with changes inside their events, or up to a cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.model import Delta
from llmtrace_sdk.core.sluice import LEFT_BEHIND, Sluice
from llmtrace_sdk.core.window import Stop
from llmtrace_sdk.errors import Unreadable

if TYPE_CHECKING:
    from llmtrace_sdk.core.window import Held, Slot


class Held20:
    """A window that settles nothing but what comes before the last text, and stops at `!`."""

    def __init__(self, *_: Any) -> None:
        self.slots: list[Slot] = []

    @property
    def waits_since(self) -> Held | None:
        return self.slots[-1].event if self.slots else None

    def add(self, slot: Slot) -> None:
        self.slots.append(slot)

    def advance(self, *, final: bool) -> Stop | None:
        while len(self.slots) > (0 if final else 1):
            slot = self.slots[0]
            if "!" in slot.text:
                return Stop(slot.event, ())
            slot.event.pending -= 1
            self.slots.pop(0)
        return None


class Upper:
    """Changes events that say `x`; cannot change those that say `?`."""

    count = 0

    def concerns(self, event: Held) -> bool:
        return any(mark in event.data for mark in (b"x", b"?"))

    def rewritten(self, event: Held, raw: bytes) -> bytes | None:
        if b"?" in event.data:
            raise Unreadable("rewrite_failed")
        assert event.data in raw
        return raw.replace(b"x", b"[long]")


def made(*, rewriter: Any = None, limit: int = 10_000, coded: bool = False) -> Sluice:
    return Sluice(Held20, rewriter, limit, coded=coded)  # type: ignore[arg-type]


def fed(sluice: Sluice, texts: list[str], sizes: list[int], choices: int = 1) -> list[bytes]:
    """Events of `|text` in chunks of these sizes; an event is told once its last byte has come."""
    whole = b"".join(b"|" + text.encode() for text in texts)
    ends, at = [], 0
    for text in texts:
        at += 1 + len(text)
        ends.append(at)
    out: list[bytes] = []
    seen = told = 0
    while seen < len(whole):
        size = sizes.pop(0) if sizes else 7
        chunk = whole[seen : seen + size]
        seen += len(chunk)
        sluice.put(chunk, len(chunk))
        while told < len(ends) and ends[told] <= seen:
            sluice.event(texts[told].encode(), [Delta(texts[told], choice=told % choices)], ends[told])
            sluice.boundary(ends[told])
            told += 1
        out += sluice.take()
        if sluice.cut is not None:
            return out
    sluice.over()
    return [*out, *sluice.take()]


SIZES = st.lists(st.integers(1, 30), max_size=20)


@given(st.lists(st.text("ab", max_size=9), min_size=1, max_size=20), SIZES, st.integers(1, 3))
def test_chunks_come_out_as_they_went_in(texts: list[str], sizes: list[int], choices: int) -> None:
    whole = b"".join(b"|" + text.encode() for text in texts)
    chunks, at = [], 0
    for size in [*sizes, *[7] * len(whole)]:
        if at < len(whole):
            chunks.append(whole[at : at + size])
            at += size
    assert fed(made(), texts, list(sizes), choices) == chunks


@given(st.lists(st.text("ab!", max_size=9), min_size=1, max_size=20), SIZES, st.booleans())
def test_nothing_of_the_event_at_a_cut_comes_out(texts: list[str], sizes: list[int], coded: bool) -> None:
    out = b"".join(fed(made(coded=coded), texts, sizes))
    bad = next((number for number, text in enumerate(texts) if "!" in text), len(texts))
    before = b"".join(b"|" + text.encode() for text in texts[:bad])
    assert before.startswith(out)
    if not coded:
        assert out == before


@given(st.lists(st.text("abx", max_size=9), min_size=1, max_size=20), SIZES)
def test_changes_are_made_inside_their_events(texts: list[str], sizes: list[int]) -> None:
    out = b"".join(fed(made(rewriter=Upper()), texts, sizes))
    assert out == b"".join(b"|" + text.replace("x", "[long]").encode() for text in texts)


def test_what_cannot_be_changed_is_a_cut() -> None:
    sluice = made(rewriter=Upper())
    assert b"".join(fed(sluice, ["a", "x", "b?", "c"], [1])) == b"|a|[long]"
    assert sluice.fault == "rewrite_failed"
    assert sluice.cut is not None


def test_full_and_open() -> None:
    sluice = made(limit=10)
    for number in range(4):
        sluice.put(b"12345", 5)
        assert sluice.full is (number > 1)
        assert sluice.take() == []
    sluice.open()
    assert sluice.take() == [b"12345"] * 4
    assert not sluice.full
    sluice.put(b"6", 1)
    assert sluice.take() == [b"6"]


@pytest.mark.parametrize("woven", [False, True])
def test_a_piece_that_does_not_go_on_is_left_behind(woven: bool) -> None:
    sluice = made()
    order = [0, 1] * 3 if woven else [0]
    for number in range(LEFT_BEHIND + 8):
        part = order[number] if number < len(order) else 1
        sluice.put(b"e", 1)
        sluice.event(b"e", [Delta("e", "tool_call", 0, part)], number + 1)
        sluice.boundary(number + 1)
        out = sluice.take()
        if not woven and number > 1:
            assert out == [b"e"]
    sluice.over()
    assert sluice.take() == [b"e"]
