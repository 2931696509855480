"""The inspecting side of a response: encoded bytes -> decoded view -> events or one JSON body -> answer.

It only looks. Whatever goes wrong here ends up as a coverage code, never as an exception or as a changed byte.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, Protocol

from llmtrace_sdk.core import framing, jsonio
from llmtrace_sdk.core.assembly import Assembly
from llmtrace_sdk.core.encoding import View
from llmtrace_sdk.core.model import Answer
from llmtrace_sdk.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.model import Delta
    from llmtrace_sdk.typing import Endpoint, Framing, ResponseHead, ResponseReader

_STREAM_TYPES: Final[dict[str, Framing]] = {
    "text/event-stream": "sse",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/stream+json": "ndjson",
    "application/vnd.amazon.eventstream": "aws",
}
SNIFF_LIMIT = 1024
# What the first bytes of a body say, whatever its content type claims.
_SSE_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b":")
# No event of a line-based framing ends inside such a piece.
_LINES: Final = re.compile(rb"[^\r\n]*[\r\n]+|[^\r\n]+")


class Watcher(Protocol):
    """Somebody who must know where in the decoded stream each event is."""

    def event(self, data: bytes, deltas: Sequence[Delta], end: int, /) -> None:
        """An event was read: its payload, what it says, and an offset behind it; it begins at the last boundary."""

    def boundary(self, offset: int, /) -> None:
        """All that comes before this offset has been read, and is complete."""


class Intake:
    """Reads one response. `reasons` collects the coverage codes of what could not be inspected.

    `whole` is the decoded body of an answer that was not streamed, once it is over.
    """

    __slots__ = (
        "_assembly",
        "_framing",
        "_held",
        "_limit",
        "_offset",
        "_promised",
        "_reader",
        "_seen",
        "_settled",
        "_single",
        "_size",
        "_view",
        "_watcher",
        "reasons",
        "streamed",
        "whole",
    )

    def __init__(self, endpoint: Endpoint, head: ResponseHead, reader: ResponseReader, limit: int) -> None:
        self.reasons: list[str] = []
        self._reader = reader
        self._limit = limit
        self._size = 0
        self._offset = 0
        self._watcher: Watcher | None = None
        self.whole: bytes | None = None
        self._held: list[bytes] = []
        self._settled = False
        self._assembly = Assembly(limit)
        self._framing: framing.Framing | None = None
        encoding = head.headers.get("content-encoding", "")
        self._view = View(encoding, limit) if encoding else None
        content_type = head.headers.get("content-type", "").partition(";")[0].strip().lower()
        self._promised: Framing | Literal["json"] = _STREAM_TYPES.get(content_type, "json")
        self.streamed = self._promised != "json"
        # Lines of JSON that are announced as JSON: one line alone is an answer that was not streamed.
        self._seen = 0
        self._single = not self.streamed and endpoint.framing == "ndjson"
        if self._single:
            self._promised = "ndjson"

    @property
    def done(self) -> bool:
        """Whether the stream's own end mark was seen."""
        return self._reader.done

    @property
    def cut_as(self) -> Framing | None:
        """How the body is cut into events; None if it is not, or not known to be, or an event was skipped."""
        if self._framing is None:
            return None if self._settled or self._promised == "json" else self._promised
        return None if self._framing.fault is not None else self._framing.name

    @property
    def coded(self) -> bool:
        """Whether the body has a content coding."""
        return self._view is not None

    @property
    def editable(self) -> bool:
        """Whether events can be changed in place: those of a binary framing have lengths and sums over them."""
        return self._promised != "aws"

    @property
    def undecodable(self) -> str | None:
        """The coverage code of why the content coding cannot be undone (any more)."""
        return self._view.fault if self._view is not None else None

    def is_decoded(self) -> None:
        """What will be fed has no content coding, whatever the head says."""
        self._view = None

    def watch(self, watcher: Watcher) -> None:
        """Tell somebody where the events are. To be called before anything is fed."""
        self._watcher = watcher

    def feed(self, chunk: bytes) -> None:
        """Look at one chunk as it came off the wire."""
        self.feed_decoded(self.decoded(chunk))

    def decoded(self, chunk: bytes) -> bytes:
        """A chunk as it came off the wire, with its content coding undone; to be given to `feed_decoded`."""
        return chunk if self._view is None else self._view.feed(chunk)

    def feed_decoded(self, data: bytes) -> None:
        """Look at bytes that carry no content coding (any more)."""
        if self._framing is not None:
            self._frame(self._framing, data)
        elif data:
            self._collect(data)

    def _collect(self, data: bytes) -> None:
        if self._settled:
            self._keep(data)
            return
        beginning = b"".join(self._held) + data
        kind = _sniff(beginning, self._promised)
        if kind is None and len(beginning) < SNIFF_LIMIT:
            self._held.append(data)
            return
        self._held = []
        if kind is None or kind == "json":
            self._settled, self.streamed = True, False
            self._keep(beginning)
        else:
            self._framing, self.streamed = framing.make(kind), True
            self._frame(self._framing, beginning)

    def _keep(self, data: bytes) -> None:
        if self._size + len(data) > self._limit:
            self._note("body_limit")
            return
        self._held.append(data)
        self._size += len(data)

    def _frame(self, frames: framing.Framing, data: bytes) -> None:
        if self._single:
            self._keep_line(data)
        watcher = self._watcher
        if watcher is None:
            self._events(frames.feed(data))
            return
        for piece in _LINES.findall(data) if frames.by_lines else (data,):
            events = frames.feed(piece)
            if frames.fault is not None:
                self._note(frames.fault)
            self._offset += len(piece)
            complete = self._offset if frames.by_lines else self._offset - frames.pending
            self._events(events, complete)
            if not (frames.by_lines and frames.pending):
                watcher.boundary(complete)

    def _keep_line(self, data: bytes) -> None:
        self._held.append(data)
        self._size += len(data)
        if self._seen > 1 or self._size > self._limit:
            self._single, self._held = False, []

    def _events(self, events: Sequence[framing.Event], end: int = 0) -> None:
        self._seen += len(events)
        reader, add, watcher = self._reader, self._assembly.add, self._watcher
        for name, data in events:
            deltas: Sequence[Delta] = ()
            try:
                deltas = tuple(reader.event(name, data))
            except Unreadable as fault:
                self._note(fault.reason)
            if deltas:
                add(deltas)
            if watcher is not None:
                watcher.event(data, deltas, end)

    def finish(self) -> None:
        """The body is over, complete or not: read what is left."""
        if self._framing is not None:
            self._events(self._framing.flush(), self._offset)
            if self._framing.fault is not None:
                self._note(self._framing.fault)
            if self._watcher is not None:
                self._watcher.boundary(self._offset)
            if self._single and self._seen == 1:
                self.whole, self.streamed = b"".join(self._held), False
        elif self._held:
            self.whole = b"".join(self._held)
            self._whole(self.whole)
        self._held = []
        for fault in (self._view.fault if self._view else None, self._assembly.fault):
            if fault is not None:
                self._note(fault)

    def _whole(self, data: bytes) -> None:
        if "body_limit" in self.reasons or (self._view is not None and self._view.fault):
            return  # what is there is not the whole text; the fault is noted already
        try:
            self._assembly.add(self._reader.body(jsonio.decode(data)))
        except Unreadable as fault:
            self._note(fault.reason)

    def _note(self, reason: str) -> None:
        if reason not in self.reasons:
            self.reasons.append(reason)

    def answer(self) -> Answer:
        """What was understood so far."""
        reader = self._reader
        return Answer(
            segments=self._assembly.segments(),
            model=reader.model,
            response_id=reader.response_id,
            finish_reasons=tuple(reader.finish_reasons),
            usage=reader.usage,
            error_type=reader.error_type,
            service_tier=reader.service_tier,
        )


def _sniff(beginning: bytes, promised: str) -> str | None:
    """The framing that the first bytes speak for; None when there is nothing to go by yet."""
    if promised == "aws":
        return "aws"
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        return None
    if text.startswith(_SSE_BEGINNINGS):
        return "sse"
    if promised == "sse" and any(mark.startswith(text) for mark in _SSE_BEGINNINGS):
        return None
    if text.startswith(b"{"):
        return promised if promised == "ndjson" else "json"
    return "json" if text.startswith(b"[") else promised
