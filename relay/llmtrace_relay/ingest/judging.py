"""What is to be thought of a reported call: the judgement of the process that made it, or else ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from llmtrace_relay import findings as keeping
from llmtrace_relay import model
from llmtrace_relay.ingest import analysis, names, own
from llmtrace_relay.ingest.fate import provider_of
from llmtrace_relay.ingest.hiding import UNKNOWN, Hidden
from llmtrace_relay.ingest.shapes import TEXT_LIMIT
from llmtrace_sdk.core.model import ActionName, Phase
from llmtrace_sdk.core.score import score_of
from llmtrace_sdk.telemetry import names as ours

if TYPE_CHECKING:
    from llmtrace_relay.ingest.calls import Call
    from llmtrace_relay.ingest.facts import Facts
    from llmtrace_relay.ingest.messages import Texts
    from llmtrace_relay.ingest.shapes import Reading
    from llmtrace_sdk.core.effects import Pipeline

BUDGET_NS: Final = 20_000_000_000
_CODE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}", re.ASCII)


class Judgement(Struct, frozen=True):
    """`hidden` is what must not be shown of the texts, as far as that is known.

    `reasons` are coverage codes: why some of the texts were not inspected.
    """

    findings: tuple[model.Finding, ...]
    score: int | None
    action: ActionName
    reason: str
    coverage: str
    reasons: tuple[str, ...]
    hidden: Mapping[Phase, Hidden]


_NOT_SHOWN: Final[dict[Phase, Hidden]] = {"input": Hidden(failed=True), "output": Hidden(failed=True)}
_UNJUDGED: Final = Judgement((), None, "allow", "", "unscanned", ("time_limit",), _NOT_SHOWN)


def hidden_of(judged: Judgement, texts: Texts) -> dict[Phase, Hidden]:
    """What must not be shown of the texts of each direction."""
    directions: tuple[tuple[Phase, Reading], ...] = (("input", texts.input), ("output", texts.output))
    return {
        phase: structs.replace(judged.hidden.get(phase, UNKNOWN), cut=TEXT_LIMIT in reading.notes)
        for phase, reading in directions
    }


class Judge:
    """Judges the calls of one request with the engine and the policy of a pipeline.

    Once that has taken `BUDGET_NS`, the texts of further calls are neither inspected nor shown: whoever reports has
    stopped waiting by then, and would send all of it again.
    """

    def __init__(self, pipeline: Pipeline, tenant_id: str) -> None:
        self._engine = pipeline.engine
        self._policy = pipeline.policy
        self._tenant_id = tenant_id
        self._tick_ns = pipeline.tick_ns
        self._began_ns = pipeline.tick_ns()

    def judge(self, call: Call, facts: Facts, texts: Texts, call_id: str, at_us: int) -> Judgement:
        """The judgement of one call, with its findings at a time in microseconds since the Unix epoch."""
        late = self._tick_ns() - self._began_ns > BUDGET_NS
        if own.is_inspected(facts) or call.is_guard:
            return _told(call, facts, call_id, _NOT_SHOWN if late else {})
        return _UNJUDGED if late else self._made(facts, texts, call_id, at_us)

    def _made(self, facts: Facts, texts: Texts, call_id: str, at_us: int) -> Judgement:
        policy = self._policy.for_call(
            tenant=self._tenant_id,
            agent=facts.text(names.AGENT),
            model=facts.text(names.REQUEST_MODEL),
            user=facts.text(names.USER),
            provider=provider_of(facts),
        )
        found = analysis.analysed(texts, self._engine, policy)
        action, reason = analysis.action_of(found.findings, policy)
        return Judgement(
            findings=tuple(keeping.kept(finding, call_id, at_us) for finding in found.findings),
            score=score_of(found.findings),
            action=action,
            reason=reason,
            coverage=found.coverage,
            reasons=found.reasons,
            hidden=found.hidden,
        )


def _told(call: Call, facts: Facts, call_id: str, hidden: Mapping[Phase, Hidden]) -> Judgement:
    findings, score = own.findings_of(call, facts, call_id)
    reason = facts.text(ours.DECISION_REASON) or ""
    return Judgement(
        findings=tuple(findings),
        score=score,
        action=own.action_of(facts),
        reason=reason if _CODE.fullmatch(reason) else "",
        coverage=own.coverage_of(facts),
        reasons=own.reasons_of(facts),
        hidden=hidden,
    )
