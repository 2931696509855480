"""The optional tiers are asked about what the engine left open, and what they say is taken in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import structs

from llmtrace_sdk.core.effects import Ask
from llmtrace_sdk.core.tiers import settled

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from llmtrace_sdk.core.inspection import Inspection
    from llmtrace_sdk.core.tiers import Question, Reply, Tier

_INCOMPLETE: Final = frozenset({"detector_failed", "findings_limit"})


def consult(call: Inspection, tiers: Iterable[Tier], *, late: bool) -> Generator[Ask, tuple[Reply, ...], None]:
    """Ask the tiers that have not been asked yet: those of mode `inline`, late all."""
    for tier in tiers:
        if tier.name in call.asked or not (late or tier.mode == "inline") or call.decision.blocked:
            continue
        questions = call.guarded("request", _questions, call, tier) or ()
        if questions:
            call.asked.append(tier.name)
            replies = yield Ask(tier.name, questions, tier.deadline_ms)
            call.guarded("request", _hear, call, tier, questions, replies, late)


def _questions(call: Inspection, tier: Tier) -> tuple[Question, ...]:
    questions, left_out = tier.questions(call.grey, call.findings)
    if questions and tier.masked and not _INCOMPLETE.isdisjoint(call.reasons):
        questions, left_out = (), True  # what is not known cannot be masked
    if left_out:
        call.note(f"{tier.name}_skipped")
    return questions


def _hear(
    call: Inspection, tier: Tier, questions: tuple[Question, ...], replies: tuple[Reply, ...], late: bool
) -> None:
    heard = tier.hear(questions, replies)
    call.findings.extend(heard.findings)
    call.grey = settled(tier, heard.findings, call.grey)
    for code in heard.codes:
        call.note(code)
    if heard.enforce and heard.findings:
        call.decide("input", call.policy.decide(heard.findings), late=late)
    if heard.failed:
        call.decision = structs.replace(call.decision, degraded=True)
        if not late:
            call.decide("input", call.policy.on_failure(tier.name))
