"""Segments -> findings: every detector over every text it may judge, within bounds, never raising."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final, Protocol, get_args, runtime_checkable

from msgspec import Struct, structs

from llmtrace_sdk.core.model import Channel, Finding, Kind, Phase
from llmtrace_sdk.core.patterns import PatternSet, Rule
from llmtrace_sdk.typing import Detector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from llmtrace_sdk.core.model import Segment

MATCHES_PER_RULE: Final = 1024
"""How many places of one rule are looked at in one segment; reaching it counts as a dropped finding."""


@runtime_checkable
class RuleBased(Protocol):
    """A detector whose rules are matched together with those of all the others."""

    name: str
    phases: frozenset[Phase]
    rules: Sequence[Rule]

    def confirm(self, rule: Rule, text: str, start: int, end: int, /) -> bool:
        """Whether a match is a finding."""


class ScanReport(Struct, frozen=True):
    """What one scan found, and how complete it is.

    `truncated`: text over the limit was not looked at. `failed`: detectors that raised. `dropped`: findings left out
    because there were too many (at least that many). `detectors`: the names of those that ran. `elapsed_ns` is 0
    without a clock.
    """

    findings: tuple[Finding, ...] = ()
    truncated: bool = False
    failed: tuple[str, ...] = ()
    dropped: int = 0
    detectors: tuple[str, ...] = ()
    elapsed_ns: int = 0


class _Plan(Struct, frozen=True):
    """What runs over one sort of segment: a set of rules with the detector of each, and the other detectors."""

    patterns: PatternSet
    owners: tuple[RuleBased, ...]
    others: tuple[Detector, ...]


class Engine:
    """Runs detectors over the segments of a call. Thread-safe; compiles its rules at the first scan.

    A detector with `rules` and `confirm` is matched in one pass with all others like it, and its rules say which
    channels and kinds they judge. Any other is asked by `detect`, for the channels in its `channels` attribute if it
    has one, else for all.

    `text_limit` is in characters and for one whole scan, first come first served; `findings_limit` too, and keeps the
    strongest. `fingerprint` makes `match_hash` of a matched text; without it there is none. `clock` counts nanoseconds.
    """

    __slots__ = (
        "_clock",
        "_detectors",
        "_findings_limit",
        "_fingerprint",
        "_plans",
        "_ran",
        "_sets",
        "_text_limit",
        "names",
    )

    def __init__(
        self,
        detectors: Iterable[Detector],
        *,
        text_limit: int = 1_048_576,
        findings_limit: int = 64,
        fingerprint: Callable[[str], str] | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._detectors = tuple(detectors)
        self.names: Final = tuple(detector.name for detector in self._detectors)
        self._text_limit = text_limit
        self._findings_limit = findings_limit
        self._fingerprint = fingerprint
        self._clock = clock or _no_clock
        self._plans: dict[tuple[Phase, Channel, Kind], _Plan] = {}
        self._sets: dict[tuple[Rule, ...], PatternSet] = {}
        self._ran: dict[Phase, tuple[str, ...]] = {
            phase: tuple(d.name for d in self._detectors if phase in d.phases) for phase in get_args(Phase)
        }

    def scan(self, segments: Iterable[Segment], phase: Phase) -> ScanReport:
        """Everything the detectors of this phase find in the segments."""
        began = self._clock()
        work = _Scan(phase, self._fingerprint)
        left, truncated = self._text_limit, False
        for whole in segments:
            truncated = truncated or len(whole.text) > left
            segment = structs.replace(whole, text=whole.text[:left]) if len(whole.text) > left else whole
            left -= len(segment.text)
            if segment.text:
                work.inspect(segment, self._plan(phase, segment.channel, segment.kind))
        findings, dropped = _strongest(work.findings, self._findings_limit)
        return ScanReport(
            tuple(findings),
            truncated,
            tuple(work.failed),
            dropped + work.dropped,
            self._ran[phase],
            self._clock() - began,
        )

    def warm(self) -> None:
        """Compile every set of rules now instead of at the first scan that needs it."""
        for phase in get_args(Phase):
            for channel in get_args(Channel):
                for kind in get_args(Kind):
                    self._plan(phase, channel, kind).patterns.warm()

    def _plan(self, phase: Phase, channel: Channel, kind: Kind) -> _Plan:
        # Two threads may both make it; the first one's is kept.
        plan = self._plans.get((phase, channel, kind))
        return plan or self._plans.setdefault((phase, channel, kind), self._make_plan(phase, channel, kind))

    def _make_plan(self, phase: Phase, channel: Channel, kind: Kind) -> _Plan:
        rules: list[Rule] = []
        owners: list[RuleBased] = []
        others: list[Detector] = []
        for detector in self._detectors:
            if phase not in detector.phases:
                continue
            if isinstance(detector, RuleBased):
                applicable = [rule for rule in detector.rules if _applies(rule, phase, channel, kind)]
                rules += applicable
                owners += [detector] * len(applicable)
            elif channel in getattr(detector, "channels", (channel,)):
                others.append(detector)
        patterns = self._sets.setdefault(tuple(rules), PatternSet(rules))
        return _Plan(patterns, tuple(owners), tuple(others))


class _Scan:
    """What one scan has gathered so far."""

    __slots__ = ("_fingerprint", "_phase", "dropped", "failed", "findings")

    def __init__(self, phase: Phase, fingerprint: Callable[[str], str] | None) -> None:
        self._phase: Phase = phase
        self._fingerprint = fingerprint
        self.findings: list[Finding] = []
        self.failed: dict[str, None] = {}
        self.dropped = 0

    def inspect(self, segment: Segment, plan: _Plan) -> None:
        """Judge one segment."""
        found: list[Finding] = []
        for index in self._matched(segment.text, plan):
            found += self._confirmed(segment, plan.patterns, index, plan.owners[index])
        for detector in plan.others:
            found += self._detected(segment, detector)
        self.findings += _distinct(found) if len(found) > 1 else found

    # One bad detector must not stop the others, nor the call: what it raises is not looked at further.

    def _matched(self, text: str, plan: _Plan) -> Sequence[int]:
        try:
            return plan.patterns.match(text)
        except Exception:  # noqa: BLE001 - see above
            self.failed.update((owner.name, None) for owner in plan.owners)
            return ()

    def _confirmed(self, segment: Segment, patterns: PatternSet, index: int, owner: RuleBased) -> Sequence[Finding]:
        rule, text = patterns.rules[index], segment.text
        try:
            spans = patterns.spans(index, text, MATCHES_PER_RULE)
            self.dropped += len(spans) == MATCHES_PER_RULE
            return [self._finding(rule, segment, owner.name, *at) for at in spans if owner.confirm(rule, text, *at)]
        except Exception:  # noqa: BLE001 - see above
            self.failed[owner.name] = None
            return ()

    def _detected(self, segment: Segment, detector: Detector) -> Sequence[Finding]:
        try:
            return _checked(detector.detect(segment, self._phase))
        except Exception:  # noqa: BLE001 - see above
            self.failed[detector.name] = None
            return ()

    def _finding(self, rule: Rule, segment: Segment, detector: str, start: int, end: int) -> Finding:
        return Finding(
            rule.type,
            rule.id,
            rule.severity,
            rule.confidence,
            start,
            end,
            segment.pointer,
            segment.channel,
            segment.kind,
            self._phase,
            detector,
            rule.category,
            self._fingerprint(segment.text[start:end]) if self._fingerprint else "",
        )


def _checked(findings: Iterable[Finding]) -> list[Finding]:
    taken = list(findings)
    if not all(isinstance(finding, Finding) for finding in taken):
        raise TypeError("a detector gave something else than findings")
    return taken


def _no_clock() -> int:
    return 0


def _applies(rule: Rule, phase: Phase, channel: Channel, kind: Kind) -> bool:
    return phase in rule.phases and channel in rule.channels and (rule.kinds is None or kind in rule.kinds)


def _strength(finding: Finding) -> tuple[Any, ...]:
    return finding.severity, finding.confidence, finding.end - finding.start


def _distinct(findings: list[Finding]) -> list[Finding]:
    """Without those that overlap a stronger one of the same type; in the order of the text."""
    kept: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=_strength, reverse=True):
        places = kept.setdefault(finding.type, [])
        at = bisect_left(places, finding.start, key=_start)
        before_ends = at == 0 or places[at - 1].end <= finding.start
        if before_ends and (at == len(places) or finding.end <= places[at].start):
            places.insert(at, finding)
    return sorted((finding for places in kept.values() for finding in places), key=_start)


def _start(finding: Finding) -> int:
    return finding.start


def _strongest(findings: list[Finding], limit: int) -> tuple[list[Finding], int]:
    """At most `limit` findings in their order, and how many were left out: a flood of weak ones hides no strong one."""
    if len(findings) <= limit:
        return findings, 0
    order = sorted(range(len(findings)), key=lambda i: _strength(findings[i])[:2], reverse=True)
    return [findings[i] for i in sorted(order[:limit])], len(findings) - limit
