"""How a stopped stream ends for a client that no exception can reach: with the last events of its vendor's own shape.

What the client has been told is noted as it goes on, in bounded space. Events are read again, and the ending is made,
only when a stream is really stopped.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from msgspec import structs

from llmtrace_sdk.core import splice
from llmtrace_sdk.core.assembly import Assembly
from llmtrace_sdk.typing import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from llmtrace_sdk.core.effects import Pipeline
    from llmtrace_sdk.core.inspection import Inspection
    from llmtrace_sdk.core.model import Decision, Delta, Kind
    from llmtrace_sdk.core.streaming import HeldStream
    from llmtrace_sdk.core.window import Held
    from llmtrace_sdk.typing import Endpoint, Provider

TEXT_LIMIT: Final = 1 << 20
"""How many characters of an answer are kept to be said again at its end."""

FIRST_EVENTS: Final = 8
FIRST_BYTES: Final = 1 << 20
QUIET_EVENTS: Final = 512
QUIET_BYTES: Final = 256 << 10
PIECES: Final = 128
EVENT_BYTES: Final = 64 << 10
"""Larger events are not kept, but among the first."""

NS_PER_S: Final = 10**9

_Noted = tuple[int, bytes]


def prepared(provider: Provider | None, endpoint: Endpoint | None) -> Ending | None:
    """Where a stream's end will be made; None for a wire format that does not say how its streams could end early."""
    make = getattr(provider, "ending", None)
    return None if endpoint is None or make is None else Ending(make, endpoint)


class Ending:
    """What was told of one stream, and whose shape its ending has to have."""

    __slots__ = ("_count", "_endpoint", "_first", "_first_room", "_make", "_quiet", "_quiet_size", "_said", "_spoken")

    def __init__(self, make: Callable[[Endpoint, Decision, Told], bytes | None], endpoint: Endpoint) -> None:
        self._make = make
        self._endpoint = endpoint
        self._count = 0
        self._first: list[_Noted] = []
        self._first_room = FIRST_BYTES
        self._quiet: deque[_Noted] = deque()
        self._quiet_size = 0
        self._spoken: dict[tuple[Kind, int, int], _Noted] = {}
        self._said = Assembly(TEXT_LIMIT)

    def note(self, event: Held) -> None:
        """An event goes on, as it is now."""
        noted, size = (self._count, event.data), len(event.data)
        self._count += 1
        deltas: Sequence[Delta] = event.deltas
        for slot in event.slots:
            if slot.edits:
                deltas = tuple(_as_told(event))
                break
        self._said.add(deltas)
        if self._count <= FIRST_EVENTS and size <= self._first_room:
            self._first.append(noted)
            self._first_room -= size
        elif size > EVENT_BYTES:
            return
        elif event.slots:
            self._note_spoken(noted, deltas)
        else:
            self._note_quiet(noted)

    def _note_spoken(self, noted: _Noted, deltas: Sequence[Delta]) -> None:
        spoken = self._spoken
        for delta in deltas:
            key = (delta.kind, delta.choice, delta.part)
            spoken.pop(key, None)
            spoken[key] = noted
        while len(spoken) > PIECES:
            del spoken[next(iter(spoken))]

    def _note_quiet(self, noted: _Noted) -> None:
        self._quiet.append(noted)
        self._quiet_size += len(noted[1])
        while len(self._quiet) > QUIET_EVENTS or self._quiet_size > QUIET_BYTES:
            self._quiet_size -= len(self._quiet.popleft()[1])

    def _told(self, held: HeldStream, inspection: Inspection, began: int) -> Told:
        kept = dict((*self._first, *self._quiet, *self._spoken.values()))
        return Told(
            framing=held.framing or self._endpoint.framing,
            events=tuple(kept[number] for number in sorted(kept)),
            said=None if self._said.fault else self._said.segments(),
            model=inspection.prompt.model or self._endpoint.model or "",
            request=inspection.plain or b"",
            began=began,
        )

    def made(self, inspection: Inspection, held: HeldStream, began: int) -> bytes | None:
        """What is to be sent behind all that went on; None where nothing can be."""
        rest = held.up_to_now()
        if rest is None:
            return None
        ending = self._make(self._endpoint, inspection.decision, self._told(held, inspection, began))
        return None if ending is None else rest + ending


def made(inspection: Inspection, pipeline: Pipeline, began_ns: int) -> bytes | None:
    """The ending of a stopped stream; None where there is none. Never raises: to break the stream off is safe too."""
    ending, held = inspection.treatment.ending, inspection.treatment.held
    if ending is None or held is None:
        return None
    try:
        return ending.made(inspection, held, began_ns // NS_PER_S)
    except Exception as error:  # noqa: BLE001 - ours or a third party's
        pipeline.on_fault("ending", error)
        return None


def _as_told(event: Held) -> Iterator[Delta]:
    """What an event says, changed as it is on the wire."""
    slots = iter(event.slots)
    for delta in event.deltas:
        slot = next(slots, None) if delta.text else None
        if slot is not None and slot.edits:
            yield structs.replace(delta, text=splice.applied(slot.text, sorted(slot.edits)))
        else:
            yield delta
