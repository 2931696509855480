"""Enforcement on a streamed answer: what the reader understands decides which bytes go on.

It ties the reading side (`Intake`) to the `Sluice`, and asks the policy what to do about what the rules find.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, get_args

from llmtrace_sdk.core import redaction
from llmtrace_sdk.core.eventedit import Rewriter
from llmtrace_sdk.core.holdback import HoldBack, hold_back
from llmtrace_sdk.core.model import Channel, Kind
from llmtrace_sdk.core.sluice import Sluice
from llmtrace_sdk.core.window import Judgement, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.endings import Ending
    from llmtrace_sdk.core.intake import Intake
    from llmtrace_sdk.core.model import Finding, Segment
    from llmtrace_sdk.core.policy import Policy
    from llmtrace_sdk.core.scan import Engine
    from llmtrace_sdk.core.vault import Vault
    from llmtrace_sdk.typing import Framing


class HeldStream:
    """One streamed answer under enforcement.

    Where something may have to be changed on the way (`rewrites`) a content coding is undone, and the head of the
    answer must not promise it. Where events cannot be changed, the stream ends in front of what would have to be.
    With an `ending`, which is told of all that goes on, a known content coding is undone as well.
    `stopped` has the findings at which the stream had to end, or is empty where it could not go on for another reason
    (`fault`); None while it goes on. `refused`: it is an error of the vendor's, which need not be readable.
    `framing` is how what went on was cut into events; None where that is not known, or one of them was skipped.
    """

    __slots__ = (
        "_ending",
        "_engine",
        "_failed",
        "_intake",
        "_known",
        "_policy",
        "_read",
        "_refused",
        "_rewriter",
        "_sluice",
        "_taken",
        "changes",
        "fault",
        "framing",
        "redacted",
        "stopped",
    )

    def __init__(
        self,
        engine: Engine,
        policy: Policy,
        intake: Intake,
        known: Vault | None,
        limit: int,
        *,
        refused: bool = False,
        allowance: int | None = None,
        ending: Ending | None = None,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._intake = intake
        self._known = known if intake.editable else None
        rewrites = self._known is not None or (intake.editable and _redacts(engine, policy))
        self._rewriter = Rewriter(self._known) if rewrites else None
        self._refused = refused
        self._ending = ending if intake.undecodable is None else None
        self.framing: Framing | None = intake.cut_as
        coded = intake.coded and not self.recoded
        self._sluice = Sluice(
            self._window, self._rewriter, limit, coded=coded, allowance=allowance, ending=self._ending
        )
        self._taken = True
        self._failed = False
        self._read = 0
        self.changes = 0
        self.redacted: list[Finding] = []
        self.stopped: tuple[Finding, ...] | None = None
        self.fault: str | None = None
        intake.watch(self._sluice)

    @property
    def rewrites(self) -> bool:
        """Whether the bytes may be changed: their number is not known before."""
        return self._rewriter is not None

    @property
    def alters(self) -> bool:
        """Whether what the head of the answer says of length and coding may not hold."""
        return self.rewrites or self._ending is not None

    @property
    def recoded(self) -> bool:
        """Whether what goes on has its content coding undone."""
        return self._intake.coded and self.alters

    def up_to_now(self) -> bytes | None:
        """What else may go on of a stream that has stopped, up to the end of an event; None if nothing may follow."""
        return self._sluice.up_to_now() if self.framing is not None else None

    def pass_on(self, chunk: bytes) -> Sequence[bytes]:
        """A chunk came; gives those that may go on."""
        intake, sluice = self._intake, self._sluice
        self._taken = False
        data = intake.decoded(chunk)
        sluice.put(data if self.recoded else chunk, len(data))
        self._taken = True
        intake.feed_decoded(data)
        if intake.undecodable and self.fault is None:
            self._cannot_read(intake.undecodable)
        if intake.done:
            sluice.over()
        return self._take()

    def rest(self) -> Sequence[bytes]:
        """The stream is at its end; gives what still waits, as far as it may go on."""
        self._intake.finish()
        if not self._sluice.framed:
            return self._whole()
        self._sluice.over()
        return self._take()

    def let_go(self, chunk: bytes | None) -> Sequence[bytes]:
        """Something went wrong: everything that waits, with the chunk that was being looked at; no more is held.

        Where a coding has to be undone and could not be, the stream ends here instead.
        """
        if self.recoded and not self._taken:
            self.stopped = ()
            return ()
        self._sluice.open()
        left = () if chunk is None or self._taken else (chunk,)
        return (*self._sluice.take(), *left)

    def _cannot_read(self, fault: str) -> None:
        if self.recoded:
            self.fault, self.stopped = fault, ()  # what comes now cannot be given out without its coding
        else:
            self._unread(fault)

    def _unread(self, fault: str) -> None:
        """Nothing can be held any more: let everything go, if the policy does not mind."""
        self.fault = fault
        if not self._forbids((fault,)):
            self._sluice.open()

    def _forbids(self, reasons: Sequence[str]) -> bool:
        """Whether the policy wants the stream to end where something cannot be read for these reasons."""
        verdict = None if self._refused or not reasons else self._policy.on_unscanned(reasons)
        if verdict is None or verdict.action != "block":
            return False
        self.fault, self.stopped = reasons[0], ()
        return True

    def _ends_here(self) -> bool:
        """Whether the stream has to end for what was not, or could not be, read by now."""
        reasons = self._intake.reasons
        new, self._read = reasons[self._read :], len(reasons)
        if self._failed:
            self.fault, self.stopped = "detector_failed", ()
        return self.stopped is not None or self._forbids(new)

    def _take(self) -> Sequence[bytes]:
        sluice = self._sluice
        if self._ends_here():
            return ()
        if self._ending is not None:
            self.framing = self._intake.cut_as
        out = sluice.take()
        if sluice.full:
            self._unread("hold_limit")
            out = (*out, *(sluice.take() if self.stopped is None else ()))
        if self._rewriter is not None:
            self.changes = self._rewriter.count
        if sluice.cut is not None:
            self.fault, self.stopped = sluice.fault or self.fault, sluice.cut.findings
        return out

    def _whole(self) -> Sequence[bytes]:
        """What was announced as a stream came as one JSON body: an error, most of the time."""
        body, segments = self._intake.whole, self._intake.answer().segments
        judgements = [self._judge(segment) for segment in segments]
        stopping = tuple(finding for each in judgements for finding in each.stopping)
        if self._ends_here():
            return ()
        if stopping:
            self.stopped = stopping
            return ()
        self.redacted = [finding for each in judgements for finding in each.redacted]
        changed = body
        if body is not None and (self.redacted or self._known is not None):
            changed, self.changes = redaction.answer(body, self.redacted, segments, self._known)
        if changed is None and self.redacted:
            self.fault, self.stopped = "redaction_failed", tuple(self.redacted)
            return ()
        self._sluice.open()
        waiting = self._sluice.take()
        return waiting if changed == body or changed is None else (changed,)

    def _window(self, channel: Channel, kind: Kind, name: str | None) -> Window:
        hold = _holding(self._engine, self._policy, channel, kind)
        return Window(channel, kind, name, hold, self._known, self._judge, self._on_redacted)

    def _judge(self, segment: Segment) -> Judgement:
        stopping, redacted = [], []
        findings, failed = redaction.findings(self._engine, segment, "output")
        for finding in findings:
            action = self._policy.action(finding.type, finding.severity, finding.confidence, finding.channel)
            if action == "block" or (action == "redact" and not self.rewrites):
                stopping.append(finding)
            elif action == "redact":
                redacted.append(finding)
        for name in failed:
            verdict = self._policy.on_failure(name)
            self._failed = self._failed or (verdict is not None and verdict.action == "block")
        return Judgement(tuple(stopping), tuple(redacted))

    def _on_redacted(self, value: str, mark: str, finding: Finding) -> None:
        assert self._rewriter is not None
        self._rewriter.took_out(value, mark)
        self.redacted.append(finding)


def warm(engine: Engine, policy: Policy) -> None:
    """Compile what the first held stream would have to wait for."""
    _redacts(engine, policy)
    for kind in get_args(Kind):
        _holding(engine, policy, "assistant", kind).warm()


@lru_cache(maxsize=48)
def _holding(engine: Engine, policy: Policy, channel: Channel, kind: Kind) -> HoldBack:
    """The rules that must not be let through, of those that judge such a text."""
    return hold_back(
        tuple(
            rule
            for rule in engine.rules("output", channel, kind)
            if policy.action(rule.type, rule.severity, rule.confidence, channel) in ("block", "redact")
        )
        if policy.inspects("output")
        else ()
    )


@lru_cache(maxsize=64)
def _redacts(engine: Engine, policy: Policy) -> bool:
    """Whether any rule about answers may have something taken out of them."""
    return policy.inspects("output") and any(
        policy.action(rule.type, rule.severity, rule.confidence, channel) == "redact"
        for channel in get_args(Channel)
        for kind in get_args(Kind)
        for rule in engine.rules("output", channel, kind)
    )
