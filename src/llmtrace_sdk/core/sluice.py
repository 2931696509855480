"""A streamed answer on its way through: chunks in, the same chunks out, as far as they may go on.

Bytes go on in whole chunks, as they came, once every event in them is settled; an event is settled when all of its
text is. So boundaries stay what they were, and nothing waits that need not. What must not be seen ends the stream in
front of its event. What must be changed is changed inside its event; nothing else is.

Behind a content coding (`coded`) a chunk can only go on or wait as a whole. Where something may have to be changed,
what is put in has the coding undone already.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.tokens import estimate_tokens
from llmtrace_sdk.core.window import Held, Slot, Stop, Window
from llmtrace_sdk.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmtrace_sdk.core.endings import Ending
    from llmtrace_sdk.core.eventedit import Rewriter
    from llmtrace_sdk.core.model import Channel, Delta, Kind

WINDOWS_LIMIT: Final = 4096
LEFT_BEHIND: Final = 64
"""How many events may wait for a piece that nothing is added to any more."""

_CHANNELS: Final[dict[Kind, Channel]] = {"tool_result": "tool", "tool_definition": "tool"}


SPENT: Final = "cost_cap_exceeded"
"""The fault of a stream that has to end because a budget is spent."""


class Sluice:
    """The held part of one stream. `window` makes the window of a new piece, `rewriter` changes events.

    With more than `limit` bytes waiting it is `full`; after `open` nothing is held. `cut` is where the stream must end,
    `fault` the reason if that is for an event that could not be changed.

    The reading side tells it of each event (`event`) and of each place between two (`boundary`), in offsets of the
    decoded stream; the driving side puts chunks in and takes chunks out.

    `allowance` is how many tokens may go by before the stream has to end; None: as many as come. `ending` is told of
    every event that goes on.
    """

    __slots__ = (
        "_chunks",
        "_coded",
        "_current",
        "_emitted",
        "_ending",
        "_events",
        "_limit",
        "_patches",
        "_reached",
        "_rewriter",
        "_safe",
        "_seen",
        "_window",
        "_windows",
        "_woven",
        "allowance",
        "cut",
        "fault",
        "overflowed",
    )

    def __init__(
        self,
        window: Callable[[Channel, Kind, str | None], Window],
        rewriter: Rewriter | None,
        limit: int,
        *,
        coded: bool,
        allowance: int | None = None,
        ending: Ending | None = None,
    ) -> None:
        self._window = window
        self._limit = limit
        self._coded = coded
        self._rewriter = rewriter
        self._ending = ending
        self._windows: dict[tuple[Kind, int, int], Window] = {}
        self._current: dict[int, tuple[Kind, int, int]] = {}
        self._woven: set[int] = set()
        self._events: deque[Held] = deque()
        self._chunks: deque[tuple[bytes, int]] = deque()
        self._patches: deque[tuple[int, int, bytes]] = deque()
        self._seen = 0
        self._reached = 0
        self._safe = 0
        self._emitted = 0
        self.cut: Stop | None = None
        self.allowance = allowance
        self.fault: str | None = None
        self.overflowed = False

    # the reading side

    def event(self, data: bytes, deltas: Sequence[Delta], end: int) -> None:
        """One event has been read: its payload, what it says, and where it ends."""
        held = Held(self._reached, end, data)
        if self._ending is not None:
            held.deltas = tuple(deltas)
        self._events.append(held)
        for delta in deltas:
            if self.cut is None:
                self._add(delta, held)
        if len(self._events) > LEFT_BEHIND:
            self._leave_behind()

    def boundary(self, offset: int) -> None:
        """Up to this offset every event is complete and read."""
        self._reached = offset

    def over(self) -> None:
        """Nothing will be added to any piece."""
        for window in self._windows.values():
            self._advance(window, final=True)
        self._windows.clear()
        self._current.clear()

    def _add(self, delta: Delta, held: Held) -> None:
        key = (delta.kind, delta.choice, delta.part)
        if self._current.get(delta.choice) != key:
            self._begin(key, delta.name)
        window = self._windows[key]
        if delta.text:
            if self.allowance is not None and self._spends(self.allowance, delta.text):
                self.cut, self.fault = Stop(held, ()), SPENT
            slot = Slot(delta.text, held)
            held.slots.append(slot)
            window.add(slot)
            self._advance(window, final=False)

    def _spends(self, allowance: int, text: str) -> bool:
        """Whether these tokens are more than the budget has left."""
        self.allowance = allowance - estimate_tokens(text)
        return self.allowance < 0

    def _begin(self, key: tuple[Kind, int, int], name: str | None) -> None:
        """A piece of an answer is over when the next one of the same choice begins, unless such pieces were resumed."""
        before = self._current.get(key[1])
        if key in self._windows:
            self._woven.add(key[1])
        elif len(self._windows) >= WINDOWS_LIMIT:
            self.over()
        if before in self._windows and key[1] not in self._woven:
            self._advance(self._windows[before], final=True)
        self._current[key[1]] = key
        if key not in self._windows:
            self._windows[key] = self._window(_CHANNELS.get(key[0], "assistant"), key[0], name)

    def _leave_behind(self) -> None:
        """Let go what waits for a piece that has not gone on for long; if it does, it is looked at as a whole."""
        oldest = self._events[-LEFT_BEHIND]
        for window in self._windows.values():
            if window.waits_since is not None and window.waits_since.start < oldest.start:
                self._advance(window, final=True)

    def _advance(self, window: Window, *, final: bool) -> None:
        stop = window.advance(final=final)
        if stop is not None and (self.cut is None or stop.event.start < self.cut.event.start):
            self.cut = stop

    # the driving side

    def put(self, chunk: bytes, decoded: int) -> None:
        """A chunk has come: as it is to go out, and how many bytes of the decoded stream it stands for."""
        self._seen += decoded
        self._chunks.append((chunk, self._seen))

    def take(self) -> Sequence[bytes]:
        """The chunks that may go on now."""
        if self.overflowed:
            return self._let_go()
        self._settle()
        out: list[bytes] = []
        while self._chunks and self._chunks[0][1] <= self._safe:
            out.append(self._emit(*self._chunks.popleft()))
        if self.cut is not None:
            out += self._before_cut()
        return [chunk for chunk in out if chunk]

    @property
    def framed(self) -> bool:
        """Whether the reading side tells events apart at all."""
        return self._reached > 0

    @property
    def full(self) -> bool:
        """Whether more waits than may."""
        return self._seen - self._emitted > self._limit and self.cut is None and not self.overflowed

    def open(self) -> None:
        """Hold nothing any more."""
        self.overflowed = True

    def up_to_now(self) -> bytes | None:
        """The settled part of a chunk that waits; None where what went on may not have stopped between two events."""
        return None if self.overflowed or self._coded else b"".join(self._before_cut())

    def _let_go(self) -> Sequence[bytes]:
        """Everything that waits, whatever it is."""
        out = []
        while self._chunks:
            out.append(self._emit(*self._chunks.popleft()))
        return out

    def _settle(self) -> None:
        limit = self._reached if self.cut is None else self.cut.event.start
        events = self._events
        while events and events[0].pending == 0 and events[0].end <= limit:
            try:
                self._patch(events[0])
            except Unreadable as fault:
                self.fault, self.cut = fault.reason, Stop(events[0], ())
                limit = events[0].start
                break
            if self._ending is not None:
                self._ending.note(events[0])
            events.popleft()
        self._safe = max(self._safe, min(events[0].start, limit) if events else limit)

    def _patch(self, event: Held) -> None:
        if self._rewriter is not None and self._rewriter.concerns(event):
            changed = self._rewriter.rewritten(event, self._bytes(event.start, event.end))
            if changed is not None:
                self._patches.append((event.start, event.end, changed))

    def _bytes(self, start: int, end: int) -> bytes:
        """Waiting bytes of the decoded stream."""
        parts, begin = [], self._emitted
        for chunk, finish in self._chunks:
            if finish > start:
                parts.append(chunk[max(start - begin, 0) : end - begin])
            begin = finish
            if finish >= end:
                break
        return b"".join(parts)

    def _before_cut(self) -> Sequence[bytes]:
        """What of the first waiting chunk comes before the event that must not be seen."""
        if self._coded or not self._chunks or self._safe <= self._emitted:
            return ()
        chunk, _ = self._chunks[0]
        self._chunks.clear()
        return (self._emit(chunk[: self._safe - self._emitted], self._safe),)

    def _emit(self, chunk: bytes, end: int) -> bytes:
        """A chunk with the changed events in it; one that reaches over several chunks goes out with its first."""
        begin, self._emitted = self._emitted, end
        if not self._patches:
            return chunk
        parts, at = [], begin
        while self._patches and self._patches[0][0] < end:
            start, finish, changed = self._patches[0]
            parts.append(chunk[at - begin : max(start, at) - begin])
            if start >= begin:
                parts.append(changed)
            at = min(finish, end)
            if finish > end:
                break
            self._patches.popleft()
        parts.append(chunk[at - begin :])
        return b"".join(parts)
