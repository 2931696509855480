"""One call in flight: the eight steps of the architecture as a sans-IO state machine.

A driver (sync, async, ASGI) runs `flow` and does what its effects ask for; then it shows every body chunk to `feed`
and says with `finish` how the body ended. The same code serves every colour, and knows none of them.

Where the policy could stop the call it is inspected on the way. Where it could not, the bytes are only kept, and
inspected by whoever first asks for the outcome.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core import consulting, endings, outcome, peek, pictures
from llmtrace_sdk.core.effects import SEND, Hold, Send
from llmtrace_sdk.core.inspection import Inspection
from llmtrace_sdk.core.quota import streamed
from llmtrace_sdk.core.recording import record_of
from llmtrace_sdk.core.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from llmtrace_sdk.core.credentials import CredentialGuard
    from llmtrace_sdk.core.effects import Ask, Effect, Pipeline
    from llmtrace_sdk.core.model import CallRecord, Coverage, Decision, Finding, Labels, Prompt, StreamEnd
    from llmtrace_sdk.core.quota import Quota, Reservation
    from llmtrace_sdk.typing import Endpoint, Provider, Refusal, RequestHead, ResponseHead

KEPT_REQUEST_BYTES: Final = 256 << 10
KEPT_ANSWER_BYTES: Final = 128 << 10


class Exchange:
    """The state machine of one call. `endpoint` and `provider` are None when nobody knows the wire format.

    `may_defer` allows to inspect later what the policy cannot stop. Bodies over `KEPT_REQUEST_BYTES` and
    `KEPT_ANSWER_BYTES` are inspected on the way all the same, which bounds what is kept. `over` becomes true when the
    stream's own end mark has gone by: some SDKs stop there, and neither read on nor close. `held`: the answer is a
    stream that may only go on as far as `pass_on` lets it. `ends`: the driver will ask for `ending`.
    """

    __slots__ = (
        "_answer_head",
        "_body",
        "_concluded",
        "_decoded",
        "_deferred",
        "_encoded",
        "_end_mark",
        "_inspection",
        "_kept",
        "_lock",
        "_may_defer",
        "_open",
        "_pipeline",
        "endpoint",
        "head",
        "held",
        "labels",
        "over",
        "reservation",
        "traffic",
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
        ends: bool = False,
    ) -> None:
        self.traffic = Traffic(pipeline.now_ns())
        self.head = head
        self.endpoint = endpoint
        self.labels = labels
        self.upstream_called = False
        self.over = self.held = False
        self.reservation: Reservation | None = None
        self._pipeline = pipeline
        self._end_mark = endpoint.end_mark if endpoint else b""
        self._inspection = Inspection(pipeline, head, provider, endpoint, labels)
        self._inspection.treatment.ending = endings.prepared(provider, endpoint) if ends else None
        self._may_defer = may_defer
        self._deferred = self._concluded = False
        self._lock = threading.Lock()
        self._body: bytes | None = None
        self._answer_head: ResponseHead | None = None
        self._kept: list[bytes] = []
        self._decoded = self._encoded = False
        self._open = [True]

    # the driver's side

    def flow(self, body: bytes | None) -> Generator[Effect, Any, Refusal | None]:
        """Steps 2 to 6. `body` is None when the request's body is a stream of the application's own.

        Returns a refusal to give instead of an answer, or None when the answer may go through.
        """
        inspection, tick = self._inspection, self._pipeline.tick_ns
        began = tick()
        self.traffic.request_bytes = len(body) if body is not None else 0
        yield from self._gate(body or b"")
        if not inspection.decision.blocked:
            yield from self._judge(body)
        self.traffic.added_ns += tick() - began
        if inspection.decision.blocked:
            return inspection.refusal()
        self.upstream_called = True
        sent = inspection.treatment.sent
        return (yield from self._receive((yield SEND if sent is None else Send(sent))))

    def _gate(self, body: bytes) -> Generator[Effect, Any, None]:
        """Step 3: whose key goes where, and what the call takes of the limits; a look ahead is enough for it."""
        if self._pipeline.credentials is not None:
            self._watch(self._pipeline.credentials, body)
        quota, known = self._pipeline.quota, self.endpoint is not None
        if quota is not None and (known or self._pipeline.limits_all) and not self._inspection.decision.blocked:
            self._look_ahead(body)
            yield from self._enter(quota, self.endpoint.provider if self.endpoint else "", body)

    def _judge(self, body: bytes | None) -> Generator[Effect, Any, None]:
        """Steps 2, 4 and 5: read, scan and decide, and change what has to be; later, where nothing could be stopped."""
        inspection = self._inspection
        if self._pipeline.policy.options.overrides:
            self._look_ahead(body or b"")
            inspection.choose_policy(inspection.prompt.model)
            self._may_defer = self._may_defer and self.head.headers.get("content-encoding") is None
        self._may_defer = self._may_defer and body is not None and len(body) <= KEPT_REQUEST_BYTES
        self._deferred = self._may_defer and not self._may_refuse() and self._pipeline.harden is None
        if self._deferred:
            self._body = body
            self._look_ahead(body or b"")
            return
        inspection.request(body)
        if inspection.policy.may_stop:
            yield from consulting.consult(inspection, self._pipeline, late=False)
            inspection.rewrite_request()
        inspection.harden_request()

    def _watch(self, guard: CredentialGuard, body: bytes) -> None:
        """Whether a vendor's key is on its way to somebody else; what has no known wire format can only be flagged."""
        inspection = self._inspection
        finding = inspection.guarded("request", guard.finding, self.head)
        if finding is not None:
            self._look_ahead(body)
            if self._pipeline.policy.options.overrides:
                inspection.choose_policy(inspection.prompt.model)
            inspection.findings.append(finding)
            verdict = guard.verdict(finding, shadow=inspection.policy.options.shadow)
            inspection.decide("input", verdict, late=self.endpoint is None)

    def _enter(self, quota: Quota, provider: str, body: bytes) -> Generator[Effect, Any, None]:
        """Take what the call needs of the limits, or be refused."""
        prompt, retried = self._inspection.prompt, outcome.attempt(self.head) > 0
        size, labels, now_s = pictures.text_size(body), self.labels, self.traffic.started_ns / 1e9
        make = partial(quota.reservation, self.id, provider, labels, prompt, size, now_s, retried=retried)
        reservation: Reservation | None = self._inspection.guarded("request", make)
        if reservation is None:
            return  # a fault of ours, and the call goes on: the fail mode has decided so
        self.reservation = reservation
        limited = yield from reservation.take()
        if reservation.admission is not None and reservation.admission.degraded:
            self._inspection.degrade()
        if limited is not None:
            self._inspection.limit(limited)

    def _receive(self, head: ResponseHead) -> Generator[Effect, Any, Refusal | None]:
        """What there is to do between the answer's head and its body."""
        inspection = self._inspection
        self.traffic.status = head.status
        self._encoded = head.headers.get("content-encoding") is not None
        allowance = streamed(self.reservation, head, inspection.prompt, shadow=inspection.policy.options.shadow)
        if self._deferred and not self._encoded and allowance is None:
            self._answer_head = head
            return None
        inspection.begin_answer(head)
        if self._holds(head):
            inspection.enforceable = whole = yield Hold(self._pipeline.limits.response_bytes)
            if whole:
                began = self._pipeline.tick_ns()
                self._conclude()
                self.traffic.added_ns += self._pipeline.tick_ns() - began
            else:
                inspection.too_large()
            inspection.enforceable = False
        elif inspection.hold_stream(allowance):
            self.held = True
        else:
            # behind a content coding the end of a stream can only be seen by inspecting it
            self._deferred = self._may_defer and not (self._encoded and inspection.streamed)
            if not self._deferred:
                self._inspect_kept_request()
        return inspection.refusal() if inspection.decision.blocked else None

    def feed(self, chunk: bytes) -> None:
        """Step 7: look at one chunk of the body, or keep it for later. Nothing happens once the call is finished."""
        if not self._open:
            return
        self.traffic.count(len(chunk), self._pipeline.now_ns())
        if not self._deferred:
            self._inspection.feed(chunk)
            if self._end_mark and (self._encoded or self._end_mark in chunk):
                self.over = self._inspection.done
            return
        if self._end_mark and self._end_mark in chunk:
            self.over = peek.at_end(chunk, self._end_mark, self._kept[-1] if self._kept else b"\n")
        self._kept.append(chunk)
        if self.traffic.response_bytes > KEPT_ANSWER_BYTES:
            self._catch_up()

    def pass_on(self, chunk: bytes | None) -> Sequence[bytes]:
        """`feed` for a `held` stream, with None at its end: gives the chunks that may go on. See `stopped`."""
        if not self._open:  # behind the end mark; the record may be made at this very moment
            with self._lock:
                return self._inspection.pass_on(chunk)
        began = self._pipeline.tick_ns()
        if chunk is not None:
            self.traffic.count(len(chunk), self._pipeline.now_ns())
        out = self._inspection.pass_on(chunk)
        self.over = bool(self._end_mark) and self._inspection.done
        self.traffic.added_ns += self._pipeline.tick_ns() - began
        return out

    def is_decoded(self) -> None:
        """A held answer comes without the content coding of its head."""
        self._inspection.is_decoded()

    @property
    def stopped(self) -> bool:
        """Whether a held stream must end here."""
        return self._inspection.stopped

    def ending(self) -> bytes | None:
        """What to send, once, behind all that went on of a `stopped` stream; None: nothing fits, break it off."""
        return endings.made(self._inspection, self._pipeline, self.started_ns) if self.stopped else None

    @property
    def recoded(self) -> bool:
        """Whether a held stream may come in another length, and without the content coding, than its head promises."""
        held = self._inspection.treatment.held
        return held is not None and held.alters

    @property
    def given(self) -> bytes | None:
        """What is to be given out in place of a whole answer, without its content coding; None: as it came."""
        return self._inspection.treatment.given

    def feed_decoded(self, body: bytes) -> None:
        """Like `feed`, for a body that the transport gave out whole and without its content coding."""
        self.traffic.count(len(body), self._pipeline.now_ns())
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
        self.traffic.over(end, error, self._pipeline.now_ns())
        if not self._deferred and not self.held:
            began = self._pipeline.tick_ns()
            self._conclude()
            self.traffic.added_ns += self._pipeline.tick_ns() - began
        return True

    # what others may ask

    @property
    def prompt(self) -> Prompt:
        """The request, as far as it was read."""
        return self._inspection.prompt

    @property
    def started_ns(self) -> int:
        """When it began, in nanoseconds since the Unix epoch."""
        return self.traffic.started_ns

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
        return self._concluded or not (self._deferred or self.held)

    @property
    def blocked(self) -> bool:
        """Whether the call is blocked, as far as is known."""
        return self._inspection.decision.blocked

    @property
    def found(self) -> Sequence[Finding]:
        """What was found so far; nothing is worked out for it."""
        return self._inspection.findings

    @property
    def coverage(self) -> Coverage:
        """How much was inspected so far."""
        self._settle()
        return self._inspection.coverage

    def afterthought(self) -> Generator[Ask, Any, None]:
        """What the tiers are still to be asked when the call is over, before its record is taken."""
        self._settle()
        yield from consulting.consult(self._inspection, self._pipeline, late=True)

    def record(self) -> CallRecord:
        """The record of a finished call, to be taken once. Made by whoever delivers it: it need not cost the
        application's time.
        """
        self._settle()
        inspection, anomalies = self._inspection, self._pipeline.anomalies
        record = record_of(self, inspection, self._pipeline)
        if anomalies is None or self.endpoint is None:
            return record
        found = inspection.guarded("anomaly_detection", anomalies.observe, record)
        if found == ():
            return record
        if found:
            inspection.findings.extend(found)
            inspection.decide("output", inspection.policy.decide(found), late=True)
        return record_of(self, inspection, self._pipeline)

    # inside

    def _look_ahead(self, body: bytes) -> None:
        seen = peek.at_call(self.head, self.endpoint, body, self._pipeline.limits.request_bytes)
        self._inspection.prompt = seen or self._inspection.prompt

    def _may_refuse(self) -> bool:
        """Whether the policy, or an action that blocks, could keep the request from being sent, or change it."""
        policy = self._inspection.policy
        return policy.may_stop or (self._pipeline.router is not None and not policy.options.shadow)

    def _holds(self, head: ResponseHead) -> bool:
        """Whether the answer must be seen whole before it is given out: only where a block could follow from it."""
        inspection, has_length = self._inspection, head.headers.get("content-length") is not None
        may_stop = inspection.policy.may_stop_output or inspection.treatment.known is not None
        # What has a length is no stream, unless it is lines that were gathered on the way.
        whole = has_length and self.endpoint is not None and self.endpoint.framing != "ndjson"
        return may_stop and inspection.readable and not inspection.streamed and (whole or not inspection.prompt.stream)

    def _settle(self) -> None:
        """Inspect what was kept, as far as there is something to inspect: the request, and an answer that is over."""
        if (self._deferred or self.held) and not self._concluded:
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
