"""The inspecting side of a response: encoded bytes -> decoded view -> events or one JSON body -> answer.

It only looks. Whatever goes wrong here ends up as a coverage code, never as an exception or as a changed byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmtrace_sdk.core import framing, jsonio
from llmtrace_sdk.core.assembly import Assembly
from llmtrace_sdk.core.encoding import View
from llmtrace_sdk.core.model import Answer
from llmtrace_sdk.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.typing import Endpoint, ResponseHead, ResponseReader

_STREAM_TYPES = {
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


class Intake:
    """Reads one response. `reasons` collects the coverage codes of what could not be inspected."""

    __slots__ = (
        "_assembly",
        "_framing",
        "_held",
        "_limit",
        "_promised",
        "_reader",
        "_settled",
        "_size",
        "_view",
        "reasons",
        "streamed",
    )

    def __init__(self, endpoint: Endpoint, head: ResponseHead, reader: ResponseReader, limit: int) -> None:
        self.reasons: list[str] = []
        self._reader = reader
        self._limit = limit
        self._size = 0
        self._held: list[bytes] = []
        self._settled = False
        self._assembly = Assembly(limit)
        self._framing: framing.Framing | None = None
        encoding = head.headers.get("content-encoding", "")
        self._view = View(encoding, limit) if encoding else None
        content_type = head.headers.get("content-type", "").partition(";")[0].strip().lower()
        self._promised = _STREAM_TYPES.get(content_type, "json")
        self.streamed = self._promised != "json"
        if not self.streamed and endpoint.framing == "ndjson":
            self._promised = "ndjson"

    @property
    def done(self) -> bool:
        """Whether the stream's own end mark was seen."""
        return self._reader.done

    def feed(self, chunk: bytes) -> None:
        """Look at one chunk as it came off the wire."""
        if self._view is not None:
            chunk = self._view.feed(chunk)
        self.feed_decoded(chunk)

    def feed_decoded(self, data: bytes) -> None:
        """Look at bytes that carry no content coding (any more)."""
        if self._framing is not None:
            self._events(self._framing.feed(data))
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
            self._events(self._framing.feed(beginning))

    def _keep(self, data: bytes) -> None:
        if self._size + len(data) > self._limit:
            self._note("body_limit")
            return
        self._held.append(data)
        self._size += len(data)

    def _events(self, events: Sequence[framing.Event]) -> None:
        reader, add = self._reader, self._assembly.add
        for name, data in events:
            try:
                deltas = reader.event(name, data)
            except Unreadable as fault:
                self._note(fault.reason)
            else:
                if deltas:
                    add(deltas)

    def finish(self) -> None:
        """The body is over, complete or not: read what is left."""
        if self._framing is not None:
            self._events(self._framing.flush())
            if self._framing.fault is not None:
                self._note(self._framing.fault)
        elif self._held:
            self._whole(b"".join(self._held))
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
