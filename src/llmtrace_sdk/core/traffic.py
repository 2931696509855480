"""What went over the wire in one call, and when. Times are nanoseconds since the Unix epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmtrace_sdk.core import outcome

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import StreamEnd


class Traffic:
    """Counts chunks and bytes, and knows how the body ended. `added_ns` is the time that we took of the application."""

    __slots__ = (
        "added_ns",
        "chunks",
        "end",
        "ended_ns",
        "error",
        "first_chunk_ns",
        "last_chunk_ns",
        "request_bytes",
        "response_bytes",
        "started_ns",
        "status",
    )

    def __init__(self, started_ns: int) -> None:
        self.started_ns = self.ended_ns = started_ns
        self.first_chunk_ns: int | None = None
        self.last_chunk_ns: int | None = None
        self.chunks = self.request_bytes = self.response_bytes = 0
        self.end: StreamEnd = "abandoned"
        self.error: str | None = None
        self.status: int | None = None
        self.added_ns = 0

    def count(self, size: int, now_ns: int) -> None:
        """A chunk of the answer has come."""
        self.last_chunk_ns = now_ns
        if self.first_chunk_ns is None:
            self.first_chunk_ns = now_ns
        self.chunks += 1
        self.response_bytes += size

    def over(self, end: StreamEnd, error: BaseException | None, now_ns: int) -> None:
        """The body is over."""
        self.end = end
        self.error = None if error is None else outcome.name_of(error)
        # garbage collection may come long after the application lost interest
        late = self.last_chunk_ns if end == "abandoned" else None
        self.ended_ns = late or now_ns
