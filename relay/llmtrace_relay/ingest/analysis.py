"""The texts of a reported call -> what the detectors find in them, and what the policy makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from llmtrace_relay.ingest.hiding import Hidden
from llmtrace_sdk.core.model import Finding, Phase
from llmtrace_sdk.core.policy import STRENGTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_relay.ingest.messages import Texts
    from llmtrace_sdk.core.model import ActionName
    from llmtrace_sdk.core.policy import Policy
    from llmtrace_sdk.core.scan import Engine, ScanReport

_PHASES: Final[tuple[Phase, Phase]] = ("input", "output")


class Analysis(Struct, frozen=True):
    """What was found in the texts of a call.

    `hidden` is what must not be shown of the texts of a direction. `reasons` are coverage codes for what was not looked
    at, `scanned` the directions that were.
    """

    findings: tuple[Finding, ...]
    hidden: Mapping[Phase, Hidden]
    reasons: tuple[str, ...]
    scanned: tuple[Phase, ...]

    @property
    def coverage(self) -> str:
        """How much of the call was inspected: scanned, partial or unscanned."""
        if not self.scanned:
            return "unscanned"
        return "partial" if self.reasons else "scanned"


def analysed(texts: Texts, engine: Engine, policy: Policy) -> Analysis:
    """Inspects the texts that came along, as far as the policy's scope goes."""
    findings: list[Finding] = []
    hidden: dict[Phase, Hidden] = {}
    scanned: list[Phase] = []
    reasons = [*texts.input.notes, *texts.output.notes]
    for phase, segments in zip(_PHASES, (texts.input.segments, texts.output.segments), strict=True):
        if not segments:
            continue
        if not policy.inspects(phase):
            reasons.append("out_of_scope")
            continue
        report = engine.scan(segments, phase)
        scanned.append(phase)
        findings += report.findings
        codes = _codes(report)
        reasons += codes
        hidden[phase] = Hidden.of(report.findings, complete=not codes, failed=bool(report.failed))
    return Analysis(tuple(findings), hidden, _reasons(reasons, texts), tuple(scanned))


def action_of(findings: Sequence[Finding], policy: Policy) -> tuple[ActionName, str]:
    """What is done about a call that is over, which is to flag it at most, and why."""
    verdict = policy.decide(findings)
    action = "flag" if STRENGTH[verdict.action] > STRENGTH["flag"] else verdict.action
    return action, verdict.reason


def _codes(report: ScanReport) -> list[str]:
    codes = ["text_limit"] * report.truncated + ["findings_limit"] * bool(report.dropped)
    return codes + ["detector_failed"] * bool(report.failed)


def _reasons(codes: list[str], texts: Texts) -> tuple[str, ...]:
    """Most instrumentations send no texts unless they are told to."""
    nothing = not (texts.input.segments or texts.output.segments)
    return tuple(dict.fromkeys([*codes, *["no_text"] * nothing]))
