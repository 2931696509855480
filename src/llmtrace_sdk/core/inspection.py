"""What one call says and what the policy makes of it: request and answer in, findings, coverage and decision out.

It only thinks. When it is asked, and on which thread, is the exchange's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from llmtrace_sdk.core import redaction
from llmtrace_sdk.core.consulting import Consulted
from llmtrace_sdk.core.intake import Intake
from llmtrace_sdk.core.model import Answer, Coverage, Decision, Prompt
from llmtrace_sdk.core.payload import read_payload
from llmtrace_sdk.core.policy import STRENGTH, Verdict
from llmtrace_sdk.core.refusals import refusal, status_of
from llmtrace_sdk.core.routing import escalated
from llmtrace_sdk.core.treatment import Treatment
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.typing import Refusal, row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmtrace_sdk.core.admission import Limited
    from llmtrace_sdk.core.effects import Pipeline
    from llmtrace_sdk.core.hygiene import Hardened
    from llmtrace_sdk.core.model import ActionName, Finding, Labels, Phase, Segment
    from llmtrace_sdk.core.policy import Policy
    from llmtrace_sdk.typing import Endpoint, Provider, RequestHead, ResponseHead

_PROMPTED = frozenset({"chat", "generate_content", "text_completion"})


class Inspection:
    """The inspection of one call. `endpoint` and `provider` are None when nobody knows the wire format.

    `enforceable` says whether an answer can still be refused: nobody has seen any of it yet. `treatment` has what
    is changed about the call, `plain` the body of the request without any content coding.
    """

    __slots__ = (
        "_endpoint",
        "_head",
        "_intake",
        "_judged",
        "_labels",
        "_pipeline",
        "_provider",
        "_redacting",
        "_refused",
        "answer",
        "consulted",
        "decision",
        "enforceable",
        "findings",
        "grey",
        "limited",
        "parse_ns",
        "plain",
        "policy",
        "prompt",
        "reasons",
        "scan_ns",
        "scanned",
        "treatment",
    )

    def __init__(
        self,
        pipeline: Pipeline,
        head: RequestHead,
        provider: Provider | None,
        endpoint: Endpoint | None,
        labels: Labels,
    ) -> None:
        self._pipeline = pipeline
        self._head = head
        self._labels = labels
        self._provider = provider
        self._endpoint = endpoint
        self._intake: Intake | None = None
        self._judged = 0
        self._refused = False
        self.plain: bytes | None = None
        self._redacting: dict[Phase, tuple[Finding, ...]] = {}
        self.policy: Policy = pipeline.policy
        self.treatment = Treatment(pipeline.vault)
        self.prompt = Prompt()
        self.answer = Answer()
        self.decision = Decision(pipeline.new_id())
        self.enforceable = False
        self.findings: list[Finding] = []
        self.limited: Limited | None = None
        self.grey: list[tuple[Segment, float]] = []
        self.consulted = Consulted()
        self.reasons: list[str] = []
        self.scanned: set[Phase] = set()
        self.parse_ns = 0
        self.scan_ns: dict[Phase, int] = {"input": 0, "output": 0}

    def choose_policy(self, model: str | None) -> None:
        """Take the policy of a call of this model. Without it, that of any call is in force."""
        endpoint, labels = self._endpoint, self._labels
        self.policy = self._pipeline.policy.for_call(
            tenant=labels.tenant,
            agent=labels.agent,
            user=labels.user,
            model=model or (endpoint.model if endpoint else None),
            provider=endpoint.provider if endpoint else None,
        )

    def request(self, body: bytes | None) -> None:
        """Read, scan and judge the request. `body` is None when it is a stream of the application's own."""
        self.guarded("request", self._request, body)
        self._judge_unread("input")

    def rewrite_request(self) -> None:
        """Take out of the request what the policy wants redacted; where that cannot be done the call is blocked."""
        found = self._redacting.get("input")
        if found and not self.decision.blocked and not self.guarded("request", self._rewrite_request, found):
            self.decide("input", Verdict("block", "redaction_failed", found))

    def begin_answer(self, head: ResponseHead) -> None:
        """The head of the answer has come."""
        before, self.enforceable = self.enforceable, True  # nobody has seen any of it yet
        self.guarded("response", self._begin_answer, head)
        self.enforceable = before

    def feed(self, chunk: bytes) -> None:
        """Look at one chunk of the answer as it came off the wire."""
        intake = self._intake
        if intake is not None:
            try:
                intake.feed(chunk)
            except Exception as error:  # noqa: BLE001 - the guard of `_guarded`, unrolled: this runs once per chunk
                self._fault("response", error)
                self._intake = None

    def harden_request(self) -> None:
        """Set apart what tools and documents say, where that is switched on: the last change to a request."""
        if self._pipeline.harden is not None and not self.decision.blocked:
            self.guarded("request", self._harden_request, self._pipeline.harden)

    def hold_stream(self, allowance: int | None = None) -> bool:
        """Let a streamed answer through by `pass_on` alone, if anything in it could be stopped or changed.

        `allowance` is how many tokens it may have.
        """
        before, self.enforceable = self.enforceable, True
        held = self._intake is not None and bool(self.guarded("response", self._hold_stream, self._intake, allowance))
        self.enforceable = before
        return held

    def pass_on(self, chunk: bytes | None) -> Sequence[bytes]:
        """A chunk of a held stream came, or its end (None); gives the chunks that may go on. See `stopped`."""
        held = self.treatment.held
        if held is None or self.stopped:
            return ()
        try:
            out = held.rest() if chunk is None else held.pass_on(chunk)
        except Exception as error:  # noqa: BLE001 - the guard of `_guarded`, unrolled: this runs once per chunk
            self._fault("response", error, enforceable=True)
            out = () if self.stopped else held.let_go(chunk)
        if held.fault is not None:
            self.note(held.fault)
            self._judge_unread("output", enforceable=True)
        if held.stopped is not None:
            verdict = self.policy.decide(held.stopped)  # to redact what cannot be changed is to block it
            fault = held.fault or ("rewrite_failed" if held.stopped else "response_fault")
            self._enforce(verdict if verdict.action == "block" else Verdict("block", fault, held.stopped))
        elif chunk is None and held.redacted:
            self._enforce(self.policy.decide(held.redacted))
        return out

    def too_large(self) -> None:
        """An answer that should have been judged whole is larger than may be held."""
        self.note("body_limit")
        self._judge_unread("output", enforceable=True)

    def is_decoded(self) -> None:
        """The answer comes without the content coding of its head."""
        if self._intake is not None:
            self._intake.is_decoded()

    @property
    def stopped(self) -> bool:
        """Whether a held stream had to be ended."""
        return self.decision.blocked and self.decision.phase == "output"

    def feed_decoded(self, body: bytes) -> None:
        """Look at an answer that the transport gave out whole and without its content coding."""
        if self._intake is not None:
            self.guarded("response", self._intake.feed_decoded, body)

    def end_answer(self) -> None:
        """The answer is over, complete or not: read what is left, scan and judge it."""
        self.guarded("response", self._end_answer)

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
        came = self._intake.streamed if self._intake is not None else None
        row = row_of(self._provider, self._endpoint, asked=self.prompt.stream, came=came)
        if not self.scanned:
            return Coverage("unscanned", tuple(self.reasons) or ("no_text",), row)
        return Coverage("partial" if self.reasons else "scanned", tuple(self.reasons), row)

    def degrade(self) -> None:
        """Something that the decision should rest on could not be asked."""
        self.decision = structs.replace(self.decision, degraded=True)

    def limit(self, limited: Limited) -> None:
        """Refuse the call for what it shares with others: it is not looked at any further."""
        self.limited = limited
        shadow = self.policy.options.shadow
        self.decide("input", Verdict("log" if shadow else "block", limited.code, (), "block" if shadow else "allow"))

    def refusal(self) -> Refusal:
        """The refusal of a blocked call, in the vendor's own error shape."""
        status = status_of(self.limited, self.policy.options.block_status)
        if self._provider is None or self._endpoint is None:  # the relay has refusals of its own
            return Refusal(status, (), b"")
        on_fault = self._pipeline.on_fault
        return refusal(self._provider, self._endpoint, self.decision, status, on_fault, self.limited)

    def _request(self, body: bytes | None) -> None:
        if self._endpoint is None or self._provider is None:
            self.note("unknown_endpoint")
            return
        tick = self._pipeline.tick_ns
        began = tick()
        try:
            self.plain, payload = read_payload(self._head, body, self._pipeline.limits.request_bytes)
            self.prompt = self._provider.parse_request(self._endpoint, payload)
        except Unreadable as fault:
            self.reasons.append(fault.reason)
            return
        finally:
            self.parse_ns = tick() - began
        if self.policy is not self._pipeline.policy or self._pipeline.policy.options.overrides:
            self.choose_policy(self.prompt.model)
        for note in (*self.prompt.notes, *("binary_part",) * bool(self.prompt.blobs)):
            self.note(note)
        if self.policy.inspects("input"):
            self._scan("input", self.prompt.segments)
        else:
            self.note("out_of_scope")

    def _begin_answer(self, head: ResponseHead) -> None:
        self._refused = head.status >= 400
        if self._endpoint is not None and self._provider is not None:
            reader = self._provider.reader(self._endpoint)
            self._intake = Intake(self._endpoint, head, reader, self._pipeline.limits.response_bytes)
            self.treatment.recall(self.policy, self._labels)

    def _end_answer(self) -> None:
        intake = self._intake
        if intake is None:
            return
        intake.finish()
        if self.treatment.held is not None and self.treatment.held.redacted:
            self._enforce(self.policy.decide(self.treatment.held.redacted))
        self.answer = intake.answer()
        for reason in intake.reasons:
            self.note(reason)
        if not self.policy.inspects("output"):
            self.note("out_of_scope")
        elif self.answer.segments:
            self._scan("output", self.answer.segments)
        elif not intake.reasons:
            self.scanned.add("output")
        self._judge_unread("output")
        if self.enforceable and not self.decision.blocked:
            found, body = self._redacting.get("output", ()), intake.whole
            if found if body is None else not self.treatment.give(body, found, self.answer.segments):
                self.decide("output", Verdict("block", "redaction_failed", found))

    def _scan(self, phase: Phase, segments: tuple[Segment, ...]) -> None:
        began = self._pipeline.tick_ns()
        report = self._pipeline.engine.scan(segments, phase)
        self.scan_ns[phase] = self._pipeline.tick_ns() - began
        self.scanned.add(phase)
        for code in ("text_limit",) * report.truncated + ("findings_limit",) * bool(report.dropped):
            self.note(code)
        self.findings.extend(report.findings)
        if phase == "input" and self._pipeline.tiers:
            self.grey += report.grey
        found = report.findings
        if report.dropped and self.policy.may_stop:  # what is not in the report has to be stopped or taken out as well
            found = redaction.every(self._pipeline.engine, segments, phase)
        self.decide(phase, self.policy.decide(found))
        if phase == "input":
            self.decide(phase, escalated(self._pipeline.router, found, self.decision.action, self.policy.options))
        if report.failed:
            self.note("detector_failed")
            self.degrade()
            for name in report.failed:
                self.decide(phase, self.policy.on_failure(name))

    def note(self, reason: str) -> None:
        """Something was not inspected, or not as it should be: a code for the coverage."""
        if reason not in self.reasons:
            self.reasons.append(reason)

    def _judge_unread(self, phase: Phase, *, enforceable: bool = False) -> None:
        """Judge what could not be read since the last time; an error of the vendor's need not be readable."""
        reasons = self.reasons[self._judged :]
        self._judged = len(self.reasons)
        if reasons and self._provider is not None and not (phase == "output" and self._refused):
            verdict = self.policy.on_unscanned(reasons)
            if enforceable:
                self._enforce(verdict)
            else:
                self.decide(phase, verdict)

    def _rewrite_request(self, found: tuple[Finding, ...]) -> bool:
        # a signature is over the bytes that the application made
        if self.plain is None or self._endpoint is None or self._endpoint.signed:
            return False
        return self.treatment.redact_request(self.plain, found, self.prompt.segments, self.policy, self._labels)

    def _harden_request(self, harden: Callable[[bytes, Prompt], Hardened]) -> None:
        endpoint = self._endpoint
        if self.plain is None or endpoint is None or endpoint.signed or endpoint.operation not in _PROMPTED:
            return
        self.treatment.harden(self.plain, self.prompt, harden)

    def _hold_stream(self, intake: Intake, allowance: int | None) -> bool:
        limit, refused = self._pipeline.limits.response_bytes, self._refused
        engine = self._pipeline.engine
        return self.treatment.hold(engine, self.policy, intake, limit, refused=refused, allowance=allowance)

    def _enforce(self, verdict: Verdict | None) -> None:
        """Decide about an answer of which nothing that matters has been seen."""
        before, self.enforceable = self.enforceable, True
        self.decide("output", verdict)
        self.enforceable = before

    def decide(self, phase: Phase, verdict: Verdict | None, *, late: bool = False) -> None:
        """The stronger of the decision so far and this phase's verdict, as far as it can still be enforced."""
        if verdict is None:
            return
        if STRENGTH[verdict.shadowed] > STRENGTH[self.decision.shadowed]:
            self.decision = structs.replace(self.decision, shadowed=verdict.shadowed)
        if verdict.action == "redact" and not late:
            self._redacting[phase] = self._redacting.get(phase, ()) + verdict.findings
        action: ActionName = verdict.action
        if action in ("block", "redact") and (late or (phase == "output" and not self.enforceable)):
            action = "flag"  # the request was sent, or the answer is on its way already
        stronger = STRENGTH[verdict.action] > STRENGTH[self.decision.verdict]
        if not stronger and STRENGTH[action] <= STRENGTH[self.decision.action]:
            return
        self.decision = structs.replace(
            self.decision,
            action=action,
            verdict=verdict.action,
            reason=verdict.reason,
            phase=phase,
            findings=verdict.findings,
        )

    def guarded(self, component: str, step: Callable[..., Any], *args: object) -> Any:
        """The one place where a fault of ours meets the host: counted, visible in the coverage, then the fail mode."""
        try:
            return step(*args)
        except Exception as error:  # noqa: BLE001 - this is the guard
            self._fault(component, error)
            return None

    def _fault(self, component: str, error: Exception, *, enforceable: bool = False) -> None:
        self._pipeline.on_fault(component, error)
        self.note(f"{component}_fault")
        self.decision = structs.replace(self.decision, degraded=True)
        if self._provider is not None:
            phase: Phase = "input" if component == "request" else "output"
            verdict = self.policy.on_failure(component)
            if enforceable:
                self._enforce(verdict)
            else:
                self.decide(phase, verdict)
