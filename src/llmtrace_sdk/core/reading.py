"""One reading of a segment's text, as it stands or decoded -> findings, with their places in the text as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from llmtrace_sdk.core.fusion import INJECTION_CATEGORIES
from llmtrace_sdk.core.model import Evidence, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from llmtrace_sdk.core.fusion import Assessment
    from llmtrace_sdk.core.model import Phase, Segment
    from llmtrace_sdk.core.patterns import Rule
    from llmtrace_sdk.core.plan import Fusing, Plan
    from llmtrace_sdk.core.text import View

MATCHES_PER_RULE: Final = 1024
"""How many places of one rule are looked at in one segment; reaching it counts as a dropped finding."""

SURE: Final = 0.9
"""The score from which a finding of the classifier alone is of high severity."""


class Reading:
    """Reads one view of a segment. `failed` collects the names of detectors that raised; with `every` no place is left
    out.
    """

    __slots__ = (
        "_failed",
        "_fingerprint",
        "_most",
        "_phase",
        "_plan",
        "_segment",
        "_view",
        "_words",
        "dropped",
        "judged",
        "score",
    )

    def __init__(
        self,
        view: View,
        segment: Segment,
        plan: Plan,
        phase: Phase,
        failed: dict[str, None],
        fingerprint: Callable[[str], str] | None,
        *,
        every: bool = False,
    ) -> None:
        self._view = view
        self._words = view.words
        self._segment = segment
        self._plan = plan
        self._phase: Phase = phase
        self._failed = failed
        self._fingerprint = fingerprint
        self._most = len(view.text) + 1 if every else MATCHES_PER_RULE
        self.dropped = 0
        self.judged = False
        self.score = 0.0

    def findings(self) -> list[Finding]:
        """Everything that rules and classifier find."""
        found: list[Finding] = []
        for index in self._matched():
            found += self._confirmed(index)
        if self._plan.fusing is not None:
            found = self._fused(self._plan.fusing, found)
        return self._placed(found)

    # One bad detector must not stop the others, nor the call: what it raises is not looked at further.

    def _matched(self) -> Sequence[int]:
        try:
            return self._plan.patterns.match(self._view.text, self._words)
        except Exception:  # noqa: BLE001 - see above
            self._failed.update((owner.name, None) for owner in self._plan.owners)
            return ()

    def _confirmed(self, index: int) -> Sequence[Finding]:
        plan, text = self._plan, self._view.text
        rule, owner = plan.patterns.rules[index], plan.owners[index]
        try:
            spans = plan.patterns.spans(index, text, self._most)
            self.dropped += len(spans) == self._most
            return [self._of_rule(rule, owner.name, *at) for at in spans if owner.confirm(rule, text, *at)]
        except Exception:  # noqa: BLE001 - see above
            self._failed[owner.name] = None
            return ()

    def _fused(self, fusing: Fusing, found: list[Finding]) -> list[Finding]:
        """The same with what speaks of an injection put together: kept and scored, or left out, as a whole."""
        signs = [f for f in found if f.category in INJECTION_CATEGORIES]
        others = [f for f in found if f.category not in INJECTION_CATEGORIES] if signs else found
        try:
            assessment = fusing.weigh(self._words, self._segment.channel, signs)
            if assessment is None:
                return found
            self.judged, self.score = True, assessment.score
            if assessment.score < self._plan.threshold:
                return others
            evidence = _checked(fusing.explain(self._view.text, assessment, signs))
        except Exception:  # noqa: BLE001 - see above
            self._failed[fusing.name] = None
            return found
        return others + self._attacks(fusing.name, assessment, signs, evidence)

    def _attacks(
        self, fusing: str, assessment: Assessment, signs: list[Finding], evidence: tuple[Evidence, ...]
    ) -> list[Finding]:
        score, codecs, decoding = assessment.score, self._view.codecs, self._plan.decoding
        if codecs and decoding is not None:
            rule, place = f"{decoding.name}.{'.'.join(codecs)}", (0, len(self._view.text))
            return [self._attack(decoding.name, rule, Severity.HIGH, score, place, decoding.name, evidence)]
        if signs:
            return [structs.replace(sign, confidence=score, evidence=evidence) for sign in signs]
        severity = Severity.HIGH if score >= SURE else Severity.MEDIUM
        start = min((e.start for e in evidence), default=0)
        end = max((e.end for e in evidence), default=len(self._view.text))
        rule = f"classifier.{assessment.head}"
        return [self._attack("prompt_injection", rule, severity, score, (start, end), fusing, evidence)]

    def _of_rule(self, rule: Rule, detector: str, start: int, end: int) -> Finding:
        return self._finding(
            rule.type, rule.id, rule.severity, rule.confidence, start, end, detector=detector, category=rule.category
        )

    def _attack(
        self,
        type_: str,
        rule: str,
        severity: Severity,
        score: float,
        place: tuple[int, int],
        detector: str,
        evidence: tuple[Evidence, ...],
    ) -> Finding:
        category = "prompt_injection"
        return self._finding(
            type_, rule, severity, score, *place, detector=detector, category=category, evidence=evidence
        )

    def _finding(
        self, type_: str, rule: str, severity: Severity, confidence: float, start: int, end: int, **more: Any
    ) -> Finding:
        at = self._segment
        return Finding(
            type_, rule, severity, confidence, start, end, at.pointer, at.channel, at.kind, self._phase, **more
        )

    def _placed(self, found: list[Finding]) -> list[Finding]:
        origin, text, codecs = self._view.origin, self._segment.text, self._view.codecs
        # All signs of an injection have the same reasons.
        reasons: dict[tuple[Evidence, ...], tuple[Evidence, ...]] = {(): ()}
        placed: list[Finding] = []
        for finding in found:
            start, end = origin(finding.start, finding.end)
            evidence = reasons.get(finding.evidence)
            if evidence is None:
                evidence = tuple(Evidence(e.source, *origin(e.start, e.end), e.weight) for e in finding.evidence)
                reasons[finding.evidence] = evidence
            digest = self._fingerprint(text[start:end]) if self._fingerprint else ""
            placed.append(
                structs.replace(finding, start=start, end=end, match_hash=digest, codecs=codecs, evidence=evidence)
            )
        return placed


def _checked(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    taken = tuple(evidence)
    if not all(isinstance(reason, Evidence) for reason in taken):
        raise TypeError("a detector explained itself with something else than evidence")
    return taken
