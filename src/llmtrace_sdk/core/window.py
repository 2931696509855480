"""One piece of a streamed answer while it grows: what of it may be seen, what must not, what is changed first.

A text goes on as soon as nothing that the policy forbids can begin in it any more. What went on is kept only as far
as a rule looks behind its match.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import structs

from llmtrace_sdk.core import jsontext, vault
from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.core.splice import Edit, escaped
from llmtrace_sdk.core.text import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmtrace_sdk.core.holdback import HoldBack
    from llmtrace_sdk.core.model import Channel, Delta, Finding, Kind
    from llmtrace_sdk.core.text import View
    from llmtrace_sdk.core.vault import Vault

CONTEXT: Final = 64
"""How many characters behind the text that is held are kept, for a rule to look back at."""

TRIM: Final = 512


class Slot:
    """One delta of a held event: its text, and how it is to be changed. `event` counts those that are not settled."""

    __slots__ = ("edits", "event", "text")

    def __init__(self, text: str, event: Held) -> None:
        self.text = text
        self.event = event
        self.edits: list[Edit] = []
        event.pending += 1


class Held:
    """An event that may not go on yet: its place in the decoded stream, and its deltas.

    `deltas` are given where somebody asked for them; each that has a text has a slot.
    """

    __slots__ = ("data", "deltas", "end", "pending", "slots", "start")

    def __init__(self, start: int, end: int, data: bytes) -> None:
        self.start = start
        self.end = end
        self.data = data
        self.deltas: tuple[Delta, ...] = ()
        self.pending = 0
        self.slots: list[Slot] = []


class Stop(NamedTuple):
    """The event that must not be seen, nor anything behind it, and why."""

    event: Held
    findings: tuple[Finding, ...]


class Judgement(NamedTuple):
    """What the policy makes of findings: those to stop at, those to take out; a finding may be in neither."""

    stopping: tuple[Finding, ...]
    redacted: tuple[Finding, ...]


class Window:
    """The text of one piece. `held` keeps it back where a forbidden match may begin; `vault` restores placeholders.

    `judge` is asked about a text that some rule matches; `on_redacted` is told of a text that was taken out, of what
    stands in its place, and why.
    """

    __slots__ = (
        "_begun",
        "_channel",
        "_from",
        "_hold",
        "_is_source",
        "_judge",
        "_kind",
        "_name",
        "_nesting",
        "_on_redacted",
        "_slots",
        "_start",
        "_text",
        "_vault",
    )

    def __init__(
        self,
        channel: Channel,
        kind: Kind,
        name: str | None,
        hold: HoldBack | None,
        known: Vault | None,
        judge: Callable[[Segment], Judgement],
        on_redacted: Callable[[str, str, Finding], None],
    ) -> None:
        self._channel: Channel = channel
        self._kind: Kind = kind
        self._name = name
        self._hold = hold
        self._vault = known
        self._judge = judge
        self._on_redacted = on_redacted
        self._text = ""
        self._start = 0
        self._from = 0
        self._nesting = jsontext.Nesting()
        self._begun = False
        self._is_source = False
        self._slots: deque[tuple[int, int, Slot]] = deque()

    def add(self, slot: Slot) -> None:
        """The next delta."""
        begin = len(self._text)
        self._text += slot.text
        if self._kind == "tool_call" and not self._begun:
            self._begun, self._is_source = bool(self._text.strip()), jsontext.is_begun(self._text)
        self._slots.append((begin, len(self._text), slot))

    @property
    def waits_since(self) -> Held | None:
        """The event of the latest delta, if it waits."""
        return self._slots[-1][2].event if self._slots else None

    def advance(self, *, final: bool) -> Stop | None:
        """Settle what can be settled, or tell where to stop.

        `final`: nothing will be added. Settled text is what no rule can begin in any more, changed as it has to be.
        """
        stop, settled = None, len(self._text)
        if self._hold is not None and self._hold.rules:
            stop, settled = self._examine(self._hold, final=final)
        else:
            self._from = settled
        if self._vault is not None:
            settled = min(settled, self._restore(self._vault, settled, final=final or stop is not None))
        self._settle(settled)
        return stop

    def _examine(self, hold: HoldBack, *, final: bool) -> tuple[Stop | None, int]:
        text = self._text
        if text.isascii() and not self._escapes:
            live, found = hold.look(text, self._from)
            spans = [match[:2] for match in found]
        else:
            reading = Reading(text, json_source=self._is_source)
            start = self._from if reading.plain else 0
            live = min(reading.place(hold.live_from(reading.text, start)), reading.open)
            spans = [reading.origin(*match[:2]) for match in hold.matches(reading.text, start)]
        settled = len(text) if final else max(self._start, live)
        if not spans:
            self._from = min(live, settled)
            return None, settled
        stop = None
        settled = self._uncut(spans, settled)
        if any(self._start < last <= settled for _, last in spans):
            stop, settled = self._judged(settled)
        if all(last <= settled for _, last in spans):
            self._from = min(live, settled)
        return stop, settled

    def _judged(self, settled: int) -> tuple[Stop | None, int]:
        """What to do about the text up to there, and how far that is done."""
        judgement = self._judgement()
        findings = (*judgement.stopping, *judgement.redacted)
        places = [(finding.start, finding.end) for finding in findings]
        settled = self._uncut(places, settled)
        stopping = tuple(f for f in judgement.stopping if self._start < f.end <= settled)
        stop = None
        if stopping:
            first = min(f.start for f in stopping)
            stop, settled = Stop(self._at(first), stopping), self._uncut(places, max(first, self._start))
        done = self._start
        for finding in sorted(judgement.redacted, key=_by_place):
            if done < finding.end <= settled:
                self._redact(max(finding.start, done), finding)
                done = finding.end
        return stop, settled

    def _judgement(self) -> Judgement:
        """Of what the text says: the escapes of JSON source are no part of that."""
        segment = Segment(self._text, self._channel, "", self._kind, self._name)
        if not self._escapes:
            return self._judge(segment)
        source = jsontext.read(self._text)
        said = self._judge(structs.replace(segment, text=source.text))
        return Judgement(*(_placed(source, findings) for findings in said))

    @property
    def _escapes(self) -> bool:
        return self._is_source and "\\" in self._text

    def _uncut(self, spans: Iterable[tuple[int, int]], settled: int) -> int:
        """The last offset, that one or before it, that cuts none of the spans in two: they may still grow."""
        for first, last in sorted(spans, reverse=True):
            if first < settled < last:
                settled = first
        return max(settled, self._start)

    def _redact(self, start: int, finding: Finding) -> None:
        mark = f"[REDACTED:{finding.type}]"
        if self._change(start, finding.end, mark):
            self._on_redacted(self._text[start : finding.end], mark, finding)

    def _restore(self, known: Vault, settled: int, *, final: bool) -> int:
        text, at = self._text, self._start
        settled = settled if final else max(vault.live_from(text[:settled], at), at)
        for start, end, original in vault.replacements(text[at:settled], known):
            start, end = start + self._start, end + self._start  # noqa: PLW2901
            self._nesting.feed(text[at:start])
            at = start
            self._change(start, end, _escaped(original, self._nesting.depth))
        self._nesting.feed(text[at:settled])
        return settled

    def _change(self, start: int, end: int, text: str) -> bool:
        """Write a text in place of a span: into the first delta that has part of it; the others lose their parts.

        False where the span, or part of it, is changed already.
        """
        edits = [
            (slot, Edit(max(start, begin) - begin, min(end, finish) - begin, ""))
            for begin, finish, slot in self._slots
            if begin < end and start < finish
        ]
        if any(old.start < new.end and new.start < old.end for slot, new in edits for old in slot.edits):
            return False
        for number, (slot, edit) in enumerate(edits):
            slot.edits.append(edit if number else edit._replace(text=text))
        return True

    def _at(self, offset: int) -> Held:
        """The event of a character, or the first one that waits."""
        held = [slot.event for begin, end, slot in self._slots if offset < end]
        return held[0] if held else self._slots[-1][2].event

    def _settle(self, settled: int) -> None:
        self._start = settled
        slots = self._slots
        while slots and slots[0][1] <= settled:
            slots.popleft()[2].event.pending -= 1
        if settled > TRIM:
            self._trim(min(settled, self._from, slots[0][0] if slots else settled) - CONTEXT)

    def _trim(self, cut: int) -> None:
        if self._is_source:
            cut = jsontext.whole_up_to(self._text, cut)
        if cut <= 0:
            return
        self._text = self._text[cut:]
        self._start -= cut
        self._from = max(self._from - cut, 0)
        self._slots = deque((begin - cut, end - cut, slot) for begin, end, slot in self._slots)


def _escaped(text: str, times: int) -> str:
    for _ in range(times):
        text = escaped(text)
    return text


def _placed(source: jsontext.Source, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings of what JSON source says, where they are in the source."""
    placed = [(source.origin(finding.start, finding.end), finding) for finding in findings]
    return tuple(structs.replace(finding, start=start, end=end) for (start, end), finding in placed)


def _by_place(finding: Finding) -> tuple[int, int]:
    return finding.start, -finding.end


class Reading:
    """A text as rules read it, with the way back. `open`: from there on the text cannot be read yet."""

    __slots__ = ("_size", "_source", "_view", "open", "text")

    def __init__(self, text: str, *, json_source: bool) -> None:
        self._source = jsontext.read(text) if json_source and "\\" in text else None
        plain = text if self._source is None else self._source.text
        self.open = len(text) if self._source is None else self._source.open
        self._size = len(text)
        self._view: View | None = None
        if not plain.isascii():
            self._view = fold(plain)
            plain = self._view.text
        self.text = plain

    @property
    def plain(self) -> bool:
        """Whether it is the text as it stands."""
        return self._source is None and self._view is None

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where a span is in the text as it stands."""
        if self._view is not None:
            start, end = self._view.origin(start, end)
        return (start, end) if self._source is None else self._source.origin(start, end)

    def place(self, at: int) -> int:
        """Where an offset is in the text as it stands; the end is the end."""
        return self._size if at >= len(self.text) else self.origin(at, at + 1)[0]
