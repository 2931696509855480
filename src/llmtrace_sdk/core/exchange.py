"""One call in flight: the eight steps of the architecture as a sans-IO state machine.

A driver (sync, async, ASGI) runs `flow` and does what its effects ask for; then it shows every body chunk to `feed`
and says with `finish` how the body ended. The same code serves every colour, and knows none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from llmtrace_sdk.core import jsonio
from llmtrace_sdk.core.effects import SEND, Hold
from llmtrace_sdk.core.encoding import decode_all
from llmtrace_sdk.core.intake import Intake
from llmtrace_sdk.core.model import Answer, CallRecord, Content, Coverage, Decision, Labels, Prompt, Timings
from llmtrace_sdk.core.policy import STRENGTH, Verdict
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.typing import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from llmtrace_sdk.core.effects import Effect, Pipeline
    from llmtrace_sdk.core.model import ActionName, Finding, Outcome, Phase, Segment, StreamEnd
    from llmtrace_sdk.typing import Endpoint, Provider, RequestHead, ResponseHead

REFUSAL_HEADERS = (("content-type", "application/json"), ("x-should-retry", "false"))


class Exchange:
    """The state machine of one call. `endpoint` and `provider` are None when nobody knows the wire format."""

    __slots__ = (
        "_added_ns",
        "_answer",
        "_answer_seen",
        "_chunks",
        "_end",
        "_ended_ns",
        "_error",
        "_findings",
        "_first_chunk_ns",
        "_held",
        "_intake",
        "_open",
        "_parse_ns",
        "_pipeline",
        "_provider",
        "_reasons",
        "_request_bytes",
        "_response_bytes",
        "_scan_ns",
        "_scanned",
        "_status",
        "decision",
        "endpoint",
        "head",
        "labels",
        "prompt",
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
    ) -> None:
        self.started_ns = pipeline.now_ns()
        self.head = head
        self.endpoint = endpoint
        self.labels = labels
        self.prompt = Prompt()
        self.decision = Decision(pipeline.new_id())
        self.upstream_called = False
        self._pipeline = pipeline
        self._provider = provider
        self._open = [True]
        self._end: StreamEnd = "abandoned"
        self._ended_ns = self.started_ns
        self._error: str | None = None
        self._intake: Intake | None = None
        self._answer = Answer()
        self._answer_seen = False
        self._held = False
        self._findings: list[Finding] = []
        self._reasons: list[str] = []
        self._scanned: set[Phase] = set()
        self._status: int | None = None
        self._first_chunk_ns: int | None = None
        self._chunks = self._request_bytes = self._response_bytes = 0
        self._added_ns = self._parse_ns = 0
        self._scan_ns: dict[Phase, int] = {"input": 0, "output": 0}

    def flow(self, body: bytes | None) -> Generator[Effect, Any, Refusal | None]:
        """Steps 2 to 6. `body` is None when the request's body is a stream of the application's own.

        Returns a refusal to give instead of an answer, or None when the answer may go through.
        """
        self._guarded("request", self._inspect_request, body)
        if self.decision.blocked:
            return self._refusal()
        self.upstream_called = True
        answer: ResponseHead = yield SEND
        self._guarded("response", self._answered, answer)
        if self._holds():
            whole: bool = yield Hold(self._pipeline.limits.response_bytes)
            self._held = whole
            if whole:
                self._guarded("response", self._inspect_answer)
            self._held = False
        return self._refusal() if self.decision.blocked else None

    def feed(self, chunk: bytes) -> None:
        """Step 7: look at one chunk of the body."""
        if self._first_chunk_ns is None:
            self._first_chunk_ns = self._pipeline.now_ns()
        self._chunks += 1
        self._response_bytes += len(chunk)
        intake = self._intake
        if intake is not None:
            try:
                intake.feed(chunk)
            except Exception as error:  # noqa: BLE001 - the guard of `_guarded`, unrolled: this runs once per chunk
                self._fault("response", error)
                self._intake = None

    def feed_decoded(self, body: bytes) -> None:
        """Like `feed`, for a body that the transport gave out whole and without its content coding."""
        self._first_chunk_ns = self._pipeline.now_ns()
        self._chunks, self._response_bytes = 1, len(body)
        if self._intake is not None:
            self._guarded("response", self._intake.feed_decoded, body)

    @property
    def unfinished(self) -> bool:
        """Whether nobody has reported the end of the call yet."""
        return bool(self._open)

    @property
    def ended(self) -> bool:
        """Whether the stream's own end mark has gone by (`[DONE]`, `message_stop`, ...)."""
        return self._intake is not None and self._intake.done

    def finish(self, end: StreamEnd, error: BaseException | None = None) -> bool:
        """Step 8: the end of the call. True for the first caller only, who then sees to it that `record` is taken."""
        try:
            self._open.pop()  # atomic: the reader, close() and garbage collection may race
        except IndexError:
            return False
        self._guarded("response", self._inspect_answer)
        self._end = "complete" if end == "closed" and self.ended else end
        self._error = None if error is None else _name_of(error)
        self._ended_ns = self._pipeline.now_ns()
        return True

    def _inspect_request(self, body: bytes | None) -> None:
        if self.endpoint is None or self._provider is None:
            self._reasons.append("unknown_endpoint")
            return
        tick = self._pipeline.tick_ns
        began = tick()
        try:
            self.prompt = self._provider.parse_request(self.endpoint, self._payload(body))
        except Unreadable as fault:
            self._reasons.append(fault.reason)
            return
        finally:
            self._parse_ns = tick() - began
        self._reasons.extend(dict.fromkeys(self.prompt.notes))
        if self.prompt.blobs:
            self._reasons.append("binary_part")
        self._scan("input", self.prompt.segments)

    def _payload(self, body: bytes | None) -> Any:
        if body is None:  # reading the application's own stream would use it up
            raise Unreadable("streamed_body")
        self._request_bytes = len(body)
        if not body and self.head.method != "POST":
            return {}
        limit = self._pipeline.limits.request_bytes
        encoding = self.head.headers.get("content-encoding")
        fault = None
        if encoding:
            body, fault = decode_all(encoding, body, limit)
        if fault is not None or len(body) > limit:
            raise Unreadable(fault or "body_limit")
        return jsonio.decode(body)

    def _scan(self, phase: Phase, segments: tuple[Segment, ...]) -> None:
        began = self._pipeline.tick_ns()
        report = self._pipeline.engine.scan(segments, phase)
        self._scan_ns[phase] = self._pipeline.tick_ns() - began
        self._scanned.add(phase)
        if report.truncated:
            self._reasons.append("text_limit")
        if report.dropped:
            self._reasons.append("findings_limit")
        self._findings.extend(report.findings)
        verdict = self._pipeline.policy.decide(report.findings)
        if report.failed:
            self._reasons.append("detector_failed")
            self.decision = structs.replace(self.decision, degraded=True)
            if self._pipeline.policy.options.fail_mode == "closed":
                verdict = Verdict("block", "detector_failed", verdict.findings)
        self._decide(phase, verdict)

    def _decide(self, phase: Phase, verdict: Verdict) -> None:
        """The stronger of the decision so far and this phase's verdict, as far as it can still be enforced."""
        if STRENGTH[verdict.action] <= STRENGTH[self.decision.verdict]:
            return
        action: ActionName = verdict.action
        if action in ("block", "redact") and phase == "output" and not self._held:
            action = "flag"  # the answer is on its way already
        self.decision = structs.replace(
            self.decision,
            action=action,
            verdict=verdict.action,
            reason=verdict.reason,
            phase=phase,
            findings=verdict.findings,
        )

    def _answered(self, head: ResponseHead) -> None:
        self._status = head.status
        if self.endpoint is not None and self._provider is not None:
            reader = self._provider.reader(self.endpoint)
            self._intake = Intake(self.endpoint, head, reader, self._pipeline.limits.response_bytes)

    def _holds(self) -> bool:
        """Whether the answer must be seen whole before it is given out: only where a block could follow from it."""
        intake = self._intake
        return intake is not None and not intake.streamed and not self.prompt.stream and self._pipeline.policy.may_block

    def _inspect_answer(self) -> None:
        intake = self._intake
        if self._answer_seen or intake is None:
            return
        self._answer_seen = True
        intake.finish()
        self._answer = intake.answer()
        for reason in intake.reasons:
            if reason not in self._reasons:
                self._reasons.append(reason)
        if self._answer.segments:
            self._scan("output", self._answer.segments)
        elif not intake.reasons:
            self._scanned.add("output")

    def _refusal(self) -> Refusal:
        status = self._pipeline.policy.options.block_status
        # only what has a wire format is ever blocked
        assert self._provider is not None
        assert self.endpoint is not None
        try:
            body = self._provider.refusal(self.endpoint, self.decision, status)
        except Exception as error:  # noqa: BLE001 - a third party's provider: a refusal in the wrong shape is still a refusal
            self._pipeline.on_fault("refusal", error)
            body = b'{"error":{"code":"llmtrace_blocked"}}'
        return Refusal(status, (*REFUSAL_HEADERS, ("x-llmtrace-blocked", self.decision.id)), body)

    def _guarded(self, component: str, step: Callable[..., None], *args: object) -> None:
        """The one place where a fault of ours meets the host: counted, visible in the coverage, then the fail mode."""
        began = self._pipeline.tick_ns()
        try:
            step(*args)
        except Exception as error:  # noqa: BLE001 - this is the guard
            self._fault(component, error)
        self._added_ns += self._pipeline.tick_ns() - began

    def _fault(self, component: str, error: Exception) -> None:
        self._pipeline.on_fault(component, error)
        self._reasons.append(f"{component}_fault")
        self.decision = structs.replace(self.decision, degraded=True)
        if self._pipeline.policy.options.fail_mode == "closed" and self._provider is not None:
            self._decide("output" if self.upstream_called else "input", Verdict("block", f"{component}_fault", ()))

    def record(self) -> CallRecord:
        """The record of a finished call. Made by whoever delivers it: it need not cost the application's time."""
        pipeline, endpoint, head, answer = self._pipeline, self.endpoint, self.head, self._answer
        keep = pipeline.keep_content
        return CallRecord(
            id=self.decision.id,
            provider=endpoint.provider if endpoint else "",
            operation=endpoint.operation if endpoint else "",
            api=endpoint.api if endpoint else "",
            address=head.host,
            port=head.port,
            path=head.path,
            started_ns=self.started_ns,
            ended_ns=self._ended_ns,
            first_chunk_ns=self._first_chunk_ns,
            outcome=self._outcome(),
            stream_end=self._end,
            streamed=self._intake.streamed if self._intake else self.prompt.stream,
            status=self._status,
            error_type=self._error_type(),
            attempt=_attempt(head),
            upstream_called=self.upstream_called,
            prompt=structs.replace(self.prompt, segments=()),
            answer=structs.replace(answer, segments=()),
            decision=self.decision,
            coverage=self.coverage,
            findings=tuple(self._findings),
            cost_usd=pipeline.price(endpoint.provider, answer.model or self.prompt.model, answer.usage)
            if endpoint
            else None,
            chunks=self._chunks,
            request_bytes=self._request_bytes,
            response_bytes=self._response_bytes,
            labels=self.labels,
            timings=Timings(self._added_ns, self._parse_ns, self._scan_ns["input"], self._scan_ns["output"]),
            detectors=pipeline.engine.names if self._scanned else (),
            content=Content(self.prompt.segments, answer.segments) if keep else None,
        )

    def _outcome(self) -> Outcome:
        end = self._end
        if end == "blocked":
            return "blocked"
        if end in ("closed", "abandoned", "cancelled"):
            return "abandoned"
        status = self._status or 0
        if end == "error" or status >= 500 or (self._answer.error_type and status < 400):
            return "upstream_error"
        return "client_error" if status >= 400 else "complete"

    def _error_type(self) -> str | None:
        if self._end == "blocked":
            return "llmtrace.blocked" if self._pipeline.policy.options.on_block == "raise" else None
        if self._error is not None:
            return self._error
        failed = self._status is not None and self._status >= 400
        return self._answer.error_type or (str(self._status) if failed else None)

    @property
    def coverage(self) -> Coverage:
        """How much was inspected so far."""
        if not self._scanned:
            return Coverage("unscanned", tuple(self._reasons) or ("no_text",))
        return Coverage("partial" if self._reasons else "scanned", tuple(self._reasons))


def _name_of(error: BaseException) -> str:
    """The exception's qualified name; the exception itself would keep its frames, and so the call, alive."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _attempt(head: RequestHead) -> int:
    """The SDK's retry number, as the SDKs generated by Stainless send it."""
    count = head.headers.get("x-stainless-retry-count", "")
    return int(count) if count.isdecimal() and len(count) < 6 else 0
