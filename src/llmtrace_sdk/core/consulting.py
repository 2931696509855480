"""The optional tiers are asked about what the engine left open, and the judge about what a rule hands over to it; what
they say is taken in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from msgspec import structs

from llmtrace_sdk.core.effects import Ask
from llmtrace_sdk.core.model import ActionStatus
from llmtrace_sdk.core.routing import JUDGE_ROUTE, resolve
from llmtrace_sdk.core.tiers import settled

if TYPE_CHECKING:
    from collections.abc import Generator

    from llmtrace_sdk.core.effects import Pipeline
    from llmtrace_sdk.core.inspection import Inspection
    from llmtrace_sdk.core.model import Segment
    from llmtrace_sdk.core.routing import RouterOptions
    from llmtrace_sdk.core.tiers import Question, Reply, Tier

_INCOMPLETE: Final = frozenset({"detector_failed", "findings_limit"})
_STATUSES: Final[dict[str, Literal["success", "error"]]] = {"asked": "success", "unanswered": "error"}


class Consulted:
    """What the tiers were asked about one call.

    `asked` are their names, in order; `open` the texts of the grey zone that none of them has found anything in, None
    before any has spoken. Of the judge: `seen` are the places that it was asked about, `routed` whether the call was
    handed over to it, `outcome` what came of that.
    """

    __slots__ = ("asked", "open", "outcome", "routed", "seen")

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.open: list[tuple[Segment, float]] | None = None
        self.seen: set[str] = set()
        self.routed = False
        self.outcome = ""


def consult(call: Inspection, pipeline: Pipeline, *, late: bool) -> Generator[Ask, tuple[Reply, ...], None]:
    """Ask the tiers that have not been asked yet: those of mode `inline`, late all.

    The judge may be asked once more, when the call is handed over to it: about texts that it has not seen, whatever
    their scores.
    """
    for tier in pipeline.tiers:
        if call.decision.blocked:
            return
        router = pipeline.judged if tier.name == "judge" else None
        routed = router is not None and bool(call.guarded("request", _is_routed, call, router, late))
        if not routed and (tier.name in call.consulted.asked or not (late or tier.mode == "inline")):
            continue
        questions = call.guarded("request", _questions, call, tier, routed) or ()
        if questions:
            _asking(call.consulted, tier, questions)
            waits = router is not None and routed and not late
            deadline_ms = router.judge_route.inline_timeout_ms if router and waits else tier.deadline_ms
            replies = yield Ask(tier.name, questions, deadline_ms)
            call.guarded("request", _hear, call, tier, questions, replies, late)


def routing_status(call: Inspection, router: RouterOptions | None) -> tuple[ActionStatus, ...]:
    """What became of handing a finished call over to the judge; nothing where no rule does."""
    if router is None or JUDGE_ROUTE not in resolve(router, call.findings, call.decision.action):
        return ()
    outcome = call.consulted.outcome or ("blocked" if call.decision.blocked else "too_late")
    status = _STATUSES.get(outcome)
    return (ActionStatus(JUDGE_ROUTE, status or "skipped", int(status is not None), outcome),)


def _is_routed(call: Inspection, router: RouterOptions, late: bool) -> bool:
    if call.consulted.routed or not (late or router.judge_route.inline_await):
        return False
    return JUDGE_ROUTE in resolve(router, call.findings, call.decision.action)


def _questions(call: Inspection, tier: Tier, routed: bool) -> tuple[Question, ...]:
    consulted = call.consulted
    texts = _unseen(call) if routed else call.grey if consulted.open is None else consulted.open
    questions, left_out = tier.questions(texts, call.findings, routed=routed)
    maskable = not (questions and tier.masked and not _INCOMPLETE.isdisjoint(call.reasons))
    if not maskable:
        questions, left_out = (), True  # what is not known cannot be masked
    if left_out:
        call.note(f"{tier.name}_skipped")
    if routed:
        consulted.routed = True
        consulted.outcome = consulted.outcome or ("no_text" if maskable else "not_masked")
    return questions


def _unseen(call: Inspection) -> list[tuple[Segment, float]]:
    """The texts of the request that were looked at, but not by the judge; those without a score behind all others."""
    texts = list(call.grey)
    if "input" in call.scanned and "text_limit" not in call.reasons:
        scored = {segment.pointer for segment, _ in texts}
        # what a tool is for is said in orders by nature, which no tier can tell from others
        rest = (s for s in call.prompt.segments if s.kind != "tool_definition" and s.pointer not in scored)
        texts += [(segment, 0.0) for segment in rest]
    return [(segment, score) for segment, score in texts if segment.pointer not in call.consulted.seen]


def _asking(consulted: Consulted, tier: Tier, questions: tuple[Question, ...]) -> None:
    if tier.name not in consulted.asked:
        consulted.asked.append(tier.name)
    if tier.name == "judge":
        consulted.seen.update(question.segment.pointer for question in questions)
        consulted.outcome = "unanswered"  # it may be that nobody waits for the replies


def _hear(
    call: Inspection, tier: Tier, questions: tuple[Question, ...], replies: tuple[Reply, ...], late: bool
) -> None:
    heard, consulted = tier.hear(questions, replies), call.consulted
    call.findings.extend(heard.findings)
    consulted.open = settled(tier, heard.findings, call.grey if consulted.open is None else consulted.open)
    if tier.name == "judge" and not heard.failed:
        consulted.outcome = "asked"
    for code in heard.codes:
        call.note(code)
    if heard.enforce and heard.findings:
        call.decide("input", call.policy.decide(heard.findings), late=late)
    if heard.failed:
        call.decision = structs.replace(call.decision, degraded=True)
        if not late:
            call.decide("input", call.policy.on_failure(tier.name))
