"""One call in flight: the eight steps of the architecture as a sans-IO state machine.

A driver (sync, async, ASGI) runs `flow` and does what its effects ask for; then it shows every body chunk to `feed`
and says with `finish` how the body ended. The same code serves every colour, and knows none of them.

Where the policy could stop the call, it is inspected on the way: the request before it is sent, a whole answer before
it is given out. Where it could not, whatever is found, the bytes are only kept, and inspected by whoever first asks
for the outcome: the worker, as a rule, or the application when it looks at the decision. So a call pays for
enforcement only where there is something to enforce.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmtrace_sdk.core.effects import SEND, Hold
from llmtrace_sdk.core.inspection import Inspection
from llmtrace_sdk.core.model import CallRecord, Content, Labels, Prompt, Timings

if TYPE_CHECKING:
    from collections.abc import Generator

    from llmtrace_sdk.core.effects import Ask, Effect, Pipeline
    from llmtrace_sdk.core.model import Coverage, Decision, Outcome, StreamEnd
    from llmtrace_sdk.typing import Endpoint, Provider, Refusal, RequestHead, ResponseHead

# The value of error.type where nothing better is known (OpenTelemetry semantic conventions).
OTHER_ERROR: Final = "_OTHER"
KEPT_REQUEST_BYTES: Final = 256 << 10
KEPT_ANSWER_BYTES: Final = 128 << 10


class _Peek(msgspec.Struct, gc=False):
    """The members of a request that its span wants to know before the request is read."""

    model: str | None = None
    stream: bool | None = None


_peek = msgspec.json.Decoder(_Peek).decode


class Exchange:
    """The state machine of one call. `endpoint` and `provider` are None when nobody knows the wire format.

    `may_defer` allows to inspect later what the policy cannot stop. Bodies over `KEPT_REQUEST_BYTES` and
    `KEPT_ANSWER_BYTES` are inspected on the way all the same, which bounds what is kept. `over` becomes true when the
    stream's own end mark has gone by: some SDKs stop there, and neither read on nor close.
    """

    __slots__ = (
        "_added_ns",
        "_answer_head",
        "_body",
        "_chunks",
        "_concluded",
        "_decoded",
        "_deferred",
        "_encoded",
        "_end",
        "_end_mark",
        "_ended_ns",
        "_error",
        "_first_chunk_ns",
        "_inspection",
        "_kept",
        "_last_chunk_ns",
        "_lock",
        "_may_defer",
        "_open",
        "_pipeline",
        "_request_bytes",
        "_response_bytes",
        "_status",
        "endpoint",
        "head",
        "labels",
        "over",
        "started_ns",
        "upstream_called",
    )

    def __init__(
        self,
        pipeline: Pipeline,
        head: RequestHead,
        provider: Provider | None,
        endpoint: Endpoint | None,
        labels: Labels,
        *,
        may_defer: bool = False,
    ) -> None:
        self.started_ns = pipeline.now_ns()
        self.head = head
        self.endpoint = endpoint
        self.labels = labels
        self.upstream_called = False
        self.over = False
        self._pipeline = pipeline
        self._end_mark = endpoint.end_mark if endpoint else b""
        self._inspection = Inspection(pipeline, head, provider, endpoint)
        self._may_defer = may_defer
        self._deferred = False
        self._lock = threading.Lock()
        self._concluded = False
        self._body: bytes | None = None
        self._answer_head: ResponseHead | None = None
        self._kept: list[bytes] = []
        self._decoded = False
        self._encoded = False
        self._open = [True]
        self._end: StreamEnd = "abandoned"
        self._ended_ns = self.started_ns
        self._error: str | None = None
        self._status: int | None = None
        self._first_chunk_ns: int | None = None
        self._last_chunk_ns: int | None = None
        self._chunks = self._request_bytes = self._response_bytes = 0
        self._added_ns = 0

    # the driver's side

    def flow(self, body: bytes | None) -> Generator[Effect, Any, Refusal | None]:
        """Steps 2 to 6. `body` is None when the request's body is a stream of the application's own.

        Returns a refusal to give instead of an answer, or None when the answer may go through.
        """
        tick = self._pipeline.tick_ns
        began = tick()
        inspection = self._inspection
        self._request_bytes = len(body) if body is not None else 0
        stoppable = self._pipeline.policy.may_stop
        self._may_defer = self._may_defer and body is not None and len(body) <= KEPT_REQUEST_BYTES
        self._deferred = self._may_defer and not stoppable
        if self._deferred:
            self._body = body
            self._look_ahead(body or b"")
        else:
            inspection.request(body)
            if stoppable:
                yield from inspection.consult(late=False)
        self._added_ns += tick() - began
        if inspection.decision.blocked:
            return inspection.refusal()
        self.upstream_called = True
        head: ResponseHead = yield SEND
        self._status = head.status
        self._encoded = head.headers.get("content-encoding") is not None
        if self._deferred and not self._encoded:
            self._answer_head = head
            return None
        inspection.begin_answer(head)
        if not self._holds():
            # behind a content coding the end of a stream can only be seen by inspecting it
            self._deferred = self._may_defer and not (self._encoded and inspection.streamed)
            if not self._deferred:
                self._inspect_kept_request()
        else:
            inspection.enforceable = whole = yield Hold(self._pipeline.limits.response_bytes)
            if whole:
                began = tick()
                self._conclude()
                self._added_ns += tick() - began
            inspection.enforceable = False
        return inspection.refusal() if inspection.decision.blocked else None

    def feed(self, chunk: bytes) -> None:
        """Step 7: look at one chunk of the body, or keep it for later. Nothing happens once the call is finished."""
        if not self._open:
            return
        self._last_chunk_ns = now = self._pipeline.now_ns()
        if self._first_chunk_ns is None:
            self._first_chunk_ns = now
        self._chunks += 1
        self._response_bytes += len(chunk)
        if not self._deferred:
            self._inspection.feed(chunk)
            if self._end_mark and (self._encoded or self._end_mark in chunk):
                self.over = self._inspection.done
            return
        if self._end_mark and self._end_mark in chunk:
            self.over = self._ends(chunk)
        self._kept.append(chunk)
        if self._response_bytes > KEPT_ANSWER_BYTES:
            self._catch_up()

    def feed_decoded(self, body: bytes) -> None:
        """Like `feed`, for a body that the transport gave out whole and without its content coding."""
        self._first_chunk_ns = self._pipeline.now_ns()
        self._chunks, self._response_bytes = 1, len(body)
        self._decoded = True
        if self._deferred:
            self._kept.append(body)
        else:
            self._inspection.feed_decoded(body)

    @property
    def unfinished(self) -> bool:
        """Whether nobody has reported the end of the call yet."""
        return bool(self._open)

    def finish(self, end: StreamEnd, error: BaseException | None = None) -> bool:
        """Step 8: the end of the call. True for the first caller only, who then sees to it that `record` is taken."""
        try:
            self._open.pop()  # atomic: the reader, close() and garbage collection may race
        except IndexError:
            return False
        self._end = end
        self._error = None if error is None else _name_of(error)
        # garbage collection may come long after the application lost interest
        late = self._last_chunk_ns if end == "abandoned" else None
        self._ended_ns = late or self._pipeline.now_ns()
        if not self._deferred:
            began = self._pipeline.tick_ns()
            self._conclude()
            self._added_ns += self._pipeline.tick_ns() - began
        return True

    # what others may ask

    @property
    def prompt(self) -> Prompt:
        """The request, as far as it was read."""
        return self._inspection.prompt

    @property
    def id(self) -> str:
        """The id of the call's decision and record."""
        return self._inspection.decision.id

    @property
    def decision(self) -> Decision:
        """The decision so far: of the request, and of the answer once it is over."""
        self._settle()
        return self._inspection.decision

    @property
    def decided(self) -> bool:
        """Whether `decision` is there already, or would have to be worked out first."""
        return not self._deferred or self._concluded

    @property
    def coverage(self) -> Coverage:
        """How much was inspected so far."""
        self._settle()
        return self._inspection.coverage

    def afterthought(self) -> Generator[Ask, Any, None]:
        """What the tiers are still to be asked when the call is over, before its record is taken."""
        self._settle()
        yield from self._inspection.consult(late=True)

    def record(self) -> CallRecord:
        """The record of a finished call. Made by whoever delivers it: it need not cost the application's time."""
        self._settle()
        pipeline, endpoint, head, inspection = self._pipeline, self.endpoint, self.head, self._inspection
        prompt, answer, keep = inspection.prompt, inspection.answer, pipeline.keep_content
        provider = endpoint.provider if endpoint else ""
        return CallRecord(
            id=self.id,
            provider=provider,
            operation=endpoint.operation if endpoint else "",
            api=endpoint.api if endpoint else "",
            address=head.host,
            port=head.port,
            path=head.path,
            started_ns=self.started_ns,
            ended_ns=self._ended_ns,
            first_chunk_ns=self._first_chunk_ns,
            outcome=self._outcome(),
            stream_end=self._stream_end(),
            streamed=inspection.streamed,
            status=self._status,
            error_type=self._error_type(),
            attempt=_attempt(head),
            upstream_called=self.upstream_called,
            prompt=msgspec.structs.replace(prompt, segments=()),
            answer=msgspec.structs.replace(answer, segments=()),
            decision=inspection.decision,
            coverage=inspection.coverage,
            findings=tuple(inspection.findings),
            cost_usd=pipeline.price(provider, answer.model or prompt.model, answer.usage) if endpoint else None,
            chunks=self._chunks,
            request_bytes=self._request_bytes,
            response_bytes=self._response_bytes,
            labels=self.labels,
            timings=Timings(self._added_ns, inspection.parse_ns, *inspection.scan_ns.values()),
            detectors=(*pipeline.engine.names, *inspection.asked) if inspection.scanned else (),
            content=Content(prompt.segments, answer.segments) if keep else None,
        )

    # inside

    def _ends(self, chunk: bytes) -> bool:
        """Whether the end mark in this chunk is a line of its own: JSON escapes the line ends of what a model says."""
        before = self._kept[-1] if self._kept else b"\n"
        return b"\n" + self._end_mark in chunk or (chunk.startswith(self._end_mark) and before.endswith(b"\n"))

    def _look_ahead(self, body: bytes) -> None:
        try:
            seen = _peek(body)
        except (ValueError, RecursionError):
            return  # whatever is wrong with it will be found when it is read
        self._inspection.prompt = Prompt(model=seen.model, stream=bool(seen.stream))

    def _holds(self) -> bool:
        """Whether the answer must be seen whole before it is given out: only where a block could follow from it."""
        inspection = self._inspection
        may_stop = self._pipeline.policy.may_stop
        return may_stop and inspection.readable and not inspection.streamed and not inspection.prompt.stream

    def _settle(self) -> None:
        """Inspect what was kept, as far as there is something to inspect: the request, and an answer that is over."""
        if self._deferred and not self._concluded:
            with self._lock:
                self._inspect_kept_request()
                if not self._open and not self._concluded:
                    self._inspect_kept_answer()
                    self._conclude()

    def _catch_up(self) -> None:
        """Too much to keep: inspect what there is, and the rest as it comes."""
        with self._lock:
            self._inspect_kept_request()
            self._inspect_kept_answer()
            self._deferred = False

    def _inspect_kept_request(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            self._inspection.request(body)

    def _inspect_kept_answer(self) -> None:
        if self._answer_head is not None:
            self._inspection.begin_answer(self._answer_head)
        feed = self._inspection.feed_decoded if self._decoded else self._inspection.feed
        kept, self._kept = self._kept, []
        for chunk in kept:
            feed(chunk)

    def _conclude(self) -> None:
        if not self._concluded:
            self._inspection.end_answer()
            self._concluded = True  # last: others read without the lock what is concluded

    def _stream_end(self) -> StreamEnd:
        # several SDKs stop at the stream's own end mark, and close the body or drop it without reading to its end
        return "complete" if self._end in ("closed", "abandoned") and self._inspection.done else self._end

    def _outcome(self) -> Outcome:
        end = self._stream_end()
        if end == "blocked":
            return "blocked"
        if end in ("closed", "abandoned", "cancelled"):
            return "abandoned"
        status = self._status or 0
        if end == "error" or status >= 500 or (self._inspection.answer.error_type and status < 400):
            return "upstream_error"
        return "client_error" if status >= 400 else "complete"

    def _error_type(self) -> str | None:
        if self._end == "blocked":
            return "llmtrace.blocked" if self._pipeline.policy.options.on_block == "raise" else None
        if self._error is not None:
            return self._error
        told = self._inspection.answer.error_type
        if self._status is not None and self._status >= 400 and told in (None, OTHER_ERROR):
            return str(self._status)
        return told


def _name_of(error: BaseException) -> str:
    """The exception's qualified name; the exception itself would keep its frames, and so the call, alive."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _attempt(head: RequestHead) -> int:
    """The SDK's retry number, as the SDKs generated by Stainless send it."""
    count = head.headers.get("x-stainless-retry-count", "")
    return int(count) if count.isdecimal() and len(count) < 6 else 0
