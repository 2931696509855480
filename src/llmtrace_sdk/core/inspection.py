"""What one call says and what the policy makes of it: request and answer in, findings, coverage and decision out.

It only thinks. When it is asked, and on which thread, is the exchange's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from llmtrace_sdk.core import jsonio
from llmtrace_sdk.core.effects import Ask
from llmtrace_sdk.core.encoding import decode_all
from llmtrace_sdk.core.intake import Intake
from llmtrace_sdk.core.model import Answer, Coverage, Decision, Prompt
from llmtrace_sdk.core.policy import STRENGTH, Verdict
from llmtrace_sdk.core.tiers import settled
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.typing import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from llmtrace_sdk.core.effects import Pipeline
    from llmtrace_sdk.core.model import ActionName, Finding, Phase, Segment
    from llmtrace_sdk.core.tiers import Question, Reply, Tier
    from llmtrace_sdk.typing import Endpoint, Provider, RequestHead, ResponseHead

_INCOMPLETE = frozenset({"detector_failed", "findings_limit"})
REFUSAL_HEADERS = (("content-type", "application/json"), ("x-should-retry", "false"))


class Inspection:
    """The inspection of one call. `endpoint` and `provider` are None when nobody knows the wire format.

    `enforceable` says whether an answer can still be refused: nobody has seen any of it yet.
    """

    __slots__ = (
        "_endpoint",
        "_head",
        "_intake",
        "_pipeline",
        "_provider",
        "answer",
        "asked",
        "decision",
        "enforceable",
        "findings",
        "grey",
        "parse_ns",
        "prompt",
        "reasons",
        "scan_ns",
        "scanned",
    )

    def __init__(
        self, pipeline: Pipeline, head: RequestHead, provider: Provider | None, endpoint: Endpoint | None
    ) -> None:
        self._pipeline = pipeline
        self._head = head
        self._provider = provider
        self._endpoint = endpoint
        self._intake: Intake | None = None
        self.prompt = Prompt()
        self.answer = Answer()
        self.decision = Decision(pipeline.new_id())
        self.enforceable = False
        self.findings: list[Finding] = []
        self.grey: list[tuple[Segment, float]] = []
        self.asked: list[str] = []
        self.reasons: list[str] = []
        self.scanned: set[Phase] = set()
        self.parse_ns = 0
        self.scan_ns: dict[Phase, int] = {"input": 0, "output": 0}

    def request(self, body: bytes | None) -> None:
        """Read, scan and judge the request. `body` is None when it is a stream of the application's own."""
        self._guarded("request", self._request, body)

    def begin_answer(self, head: ResponseHead) -> None:
        """The head of the answer has come."""
        self._guarded("response", self._begin_answer, head)

    def feed(self, chunk: bytes) -> None:
        """Look at one chunk of the answer as it came off the wire."""
        intake = self._intake
        if intake is not None:
            try:
                intake.feed(chunk)
            except Exception as error:  # noqa: BLE001 - the guard of `_guarded`, unrolled: this runs once per chunk
                self._fault("response", error)
                self._intake = None

    def feed_decoded(self, body: bytes) -> None:
        """Look at an answer that the transport gave out whole and without its content coding."""
        if self._intake is not None:
            self._guarded("response", self._intake.feed_decoded, body)

    def end_answer(self) -> None:
        """The answer is over, complete or not: read what is left, scan and judge it."""
        self._guarded("response", self._end_answer)

    def consult(self, *, late: bool) -> Generator[Ask, tuple[Reply, ...], None]:
        """Ask the tiers that have not been asked about what the scan left open: those of mode `inline`, late all."""
        for tier in self._pipeline.tiers:
            if tier.name in self.asked or not (late or tier.mode == "inline") or self.decision.blocked:
                continue
            questions = self._guarded("request", self._questions, tier) or ()
            if questions:
                self.asked.append(tier.name)
                replies = yield Ask(tier.name, questions, tier.deadline_ms)
                self._guarded("request", self._hear, tier, questions, replies, late)

    @property
    def streamed(self) -> bool:
        """Whether the answer comes as events."""
        return self._intake.streamed if self._intake is not None else self.prompt.stream

    @property
    def done(self) -> bool:
        """Whether the stream's own end mark has gone by (`[DONE]`, `message_stop`, ...)."""
        return self._intake is not None and self._intake.done

    @property
    def readable(self) -> bool:
        """Whether the answer is being read at all."""
        return self._intake is not None

    @property
    def coverage(self) -> Coverage:
        """How much was inspected so far."""
        if not self.scanned:
            return Coverage("unscanned", tuple(self.reasons) or ("no_text",))
        return Coverage("partial" if self.reasons else "scanned", tuple(self.reasons))

    def refusal(self) -> Refusal:
        """The refusal of a blocked call, in the vendor's own error shape."""
        # only what has a wire format is ever blocked
        assert self._provider is not None
        assert self._endpoint is not None
        status = self._pipeline.policy.options.block_status
        try:
            body = self._provider.refusal(self._endpoint, self.decision, status)
        except Exception as error:  # noqa: BLE001 - a refusal in the wrong shape is still a refusal
            self._pipeline.on_fault("refusal", error)
            body = b'{"error":{"code":"llmtrace_blocked"}}'
        return Refusal(status, (*REFUSAL_HEADERS, ("x-llmtrace-blocked", self.decision.id)), body)

    def _request(self, body: bytes | None) -> None:
        if self._endpoint is None or self._provider is None:
            self.reasons.append("unknown_endpoint")
            return
        tick = self._pipeline.tick_ns
        began = tick()
        try:
            self.prompt = self._provider.parse_request(self._endpoint, self._payload(body))
        except Unreadable as fault:
            self.reasons.append(fault.reason)
            return
        finally:
            self.parse_ns = tick() - began
        self.reasons.extend(dict.fromkeys(self.prompt.notes))
        if self.prompt.blobs:
            self.reasons.append("binary_part")
        self._scan("input", self.prompt.segments)

    def _payload(self, body: bytes | None) -> Any:
        if body is None:  # reading the application's own stream would use it up
            raise Unreadable("streamed_body")
        if not body and self._head.method != "POST":
            return {}
        limit = self._pipeline.limits.request_bytes
        encoding = self._head.headers.get("content-encoding")
        fault = None
        if encoding:
            body, fault = decode_all(encoding, body, limit)
        if fault is not None or len(body) > limit:
            raise Unreadable(fault or "body_limit")
        return jsonio.decode(body)

    def _begin_answer(self, head: ResponseHead) -> None:
        if self._endpoint is not None and self._provider is not None:
            reader = self._provider.reader(self._endpoint)
            self._intake = Intake(self._endpoint, head, reader, self._pipeline.limits.response_bytes)

    def _end_answer(self) -> None:
        intake = self._intake
        if intake is None:
            return
        intake.finish()
        self.answer = intake.answer()
        self.reasons.extend(reason for reason in intake.reasons if reason not in self.reasons)
        if self.answer.segments:
            self._scan("output", self.answer.segments)
        elif not intake.reasons:
            self.scanned.add("output")

    def _scan(self, phase: Phase, segments: tuple[Segment, ...]) -> None:
        began = self._pipeline.tick_ns()
        report = self._pipeline.engine.scan(segments, phase)
        self.scan_ns[phase] = self._pipeline.tick_ns() - began
        self.scanned.add(phase)
        if report.truncated:
            self.reasons.append("text_limit")
        if report.dropped:
            self.reasons.append("findings_limit")
        self.findings.extend(report.findings)
        if phase == "input" and self._pipeline.tiers:
            self.grey += report.grey
        verdict = self._pipeline.policy.decide(report.findings)
        if report.failed:
            self.reasons.append("detector_failed")
            self.decision = structs.replace(self.decision, degraded=True)
            if self._pipeline.policy.options.fail_mode == "closed":
                verdict = Verdict("block", "detector_failed", verdict.findings)
        self._decide(phase, verdict)

    def _questions(self, tier: Tier) -> tuple[Question, ...]:
        questions, left_out = tier.questions(self.grey, self.findings)
        if questions and tier.masked and not _INCOMPLETE.isdisjoint(self.reasons):
            questions, left_out = (), True  # what is not known cannot be masked
        if left_out and (code := f"{tier.name}_skipped") not in self.reasons:
            self.reasons.append(code)
        return questions

    def _hear(self, tier: Tier, questions: tuple[Question, ...], replies: tuple[Reply, ...], late: bool) -> None:
        heard = tier.hear(questions, replies)
        self.findings.extend(heard.findings)
        self.grey = settled(tier, heard.findings, self.grey)
        self.reasons.extend(code for code in heard.codes if code not in self.reasons)
        if heard.enforce and heard.findings:
            self._decide("input", self._pipeline.policy.decide(heard.findings), late=late)
        if heard.failed:
            self.decision = structs.replace(self.decision, degraded=True)
            if self._pipeline.policy.options.fail_mode == "closed" and not late:
                self._decide("input", Verdict("block", f"{tier.name}_failed", ()))

    def _decide(self, phase: Phase, verdict: Verdict, *, late: bool = False) -> None:
        """The stronger of the decision so far and this phase's verdict, as far as it can still be enforced."""
        if STRENGTH[verdict.action] <= STRENGTH[self.decision.verdict]:
            return
        action: ActionName = verdict.action
        if action in ("block", "redact") and (late or (phase == "output" and not self.enforceable)):
            action = "flag"  # the request was sent, or the answer is on its way already
        self.decision = structs.replace(
            self.decision,
            action=action,
            verdict=verdict.action,
            reason=verdict.reason,
            phase=phase,
            findings=verdict.findings,
        )

    def _guarded(self, component: str, step: Callable[..., Any], *args: object) -> Any:
        """The one place where a fault of ours meets the host: counted, visible in the coverage, then the fail mode."""
        try:
            return step(*args)
        except Exception as error:  # noqa: BLE001 - this is the guard
            self._fault(component, error)
            return None

    def _fault(self, component: str, error: Exception) -> None:
        self._pipeline.on_fault(component, error)
        self.reasons.append(f"{component}_fault")
        self.decision = structs.replace(self.decision, degraded=True)
        if self._pipeline.policy.options.fail_mode == "closed" and self._provider is not None:
            phase: Phase = "input" if component == "request" else "output"
            self._decide(phase, Verdict("block", f"{component}_fault", ()))
