"""Segments -> findings: every detector over every text it may judge, within bounds, never raising."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final, get_args

from msgspec import Struct, structs

from llmtrace_sdk.core.fusion import THRESHOLDS
from llmtrace_sdk.core.memo import Known, Memo
from llmtrace_sdk.core.model import Channel, Finding, Kind, Phase, Segment
from llmtrace_sdk.core.plan import Decoding, Fusing, Plan, RuleBased
from llmtrace_sdk.core.reading import Reading
from llmtrace_sdk.core.rulebook import Rulebook
from llmtrace_sdk.core.text import View, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from llmtrace_sdk.core.fusion import OperatingPoint
    from llmtrace_sdk.core.patterns import Rule
    from llmtrace_sdk.typing import Detector


_OURS: Final = "llmtrace_sdk.detectors."


class ScanReport(Struct, frozen=True):
    """What one scan found, and how complete it is.

    `score` is the highest injection score of any segment (0..1, calibrated; 0 where nothing was judged). `truncated`:
    text over the limit was not looked at. `failed`: detectors that raised. `dropped`: findings left out because there
    were too many (at least that many). `detectors`: the names of those that ran. `elapsed_ns` is 0 without a clock.
    `grey`: each segment that was judged for injection, with its score, so that others may judge it too.
    """

    findings: tuple[Finding, ...] = ()
    truncated: bool = False
    failed: tuple[str, ...] = ()
    dropped: int = 0
    detectors: tuple[str, ...] = ()
    elapsed_ns: int = 0
    score: float = 0.0
    grey: tuple[tuple[Segment, float], ...] = ()


class Engine:
    """Runs detectors over the segments of a call. Thread-safe; compiles its rules at the first scan.

    A detector with `rules` and `confirm` is matched in one pass with all others like it, over the folded text, and its
    rules say which channels and kinds they judge. One with `weigh` turns all evidence of an injection into one score:
    such findings stay when it reaches the `operating_point`, and have it as their confidence. One with `decodings`
    gives further readings of a text, which are read in the same way. Any other is asked by `detect`, for the channels
    in its `channels` attribute if it has one, else for all.

    `text_limit` is in characters and for one whole scan, first come first served; `findings_limit` too, and keeps the
    strongest. `fingerprint` makes `match_hash` of a matched text; without it there is none. `clock` counts nanoseconds.
    `memo_key` are random bytes: with them what was found in a text of a request is remembered (`Memo`).
    """

    __slots__ = (
        "_clock",
        "_detectors",
        "_findings_limit",
        "_fingerprint",
        "_memo",
        "_plans",
        "_ran",
        "_sets",
        "_text_limit",
        "_threshold",
        "names",
    )

    def __init__(
        self,
        detectors: Iterable[Detector],
        *,
        operating_point: OperatingPoint = "balanced",
        text_limit: int = 1_048_576,
        findings_limit: int = 64,
        fingerprint: Callable[[str], str] | None = None,
        clock: Callable[[], int] | None = None,
        memo_key: bytes | None = None,
    ) -> None:
        self._detectors = tuple(detectors)
        self.names = tuple(detector.name for detector in self._detectors)
        self._threshold = THRESHOLDS[operating_point]
        self._text_limit = text_limit
        self._findings_limit = findings_limit
        self._fingerprint = fingerprint
        self._clock = clock or _no_clock
        self._memo = Memo(memo_key) if memo_key is not None else None
        self._plans: dict[tuple[Phase, Channel, Kind], Plan] = {}
        self._sets: dict[tuple[Rule, ...], Rulebook] = {}
        self._ran: dict[Phase, tuple[str, ...]] = {
            phase: tuple(d.name for d in self._detectors if phase in d.phases) for phase in get_args(Phase)
        }

    def scan(self, segments: Iterable[Segment], phase: Phase, *, every: bool = False) -> ScanReport:
        """What the detectors of this phase find in the segments: the strongest of it, or `every` finding.

        Nothing but the text limit bounds how many those are: it is for who has to take all of them out.
        """
        began = self._clock()
        if not self._detectors:
            return ScanReport(elapsed_ns=self._clock() - began)
        work = _Scan(phase, self._fingerprint, self._memo if phase == "input" else None, every=every)
        left, truncated = self._text_limit, False
        for whole in segments:
            truncated = truncated or len(whole.text) > left
            segment = structs.replace(whole, text=whole.text[:left]) if len(whole.text) > left else whole
            left -= len(segment.text)
            if segment.text:
                work.inspect(segment, self._plan(phase, segment.channel, segment.kind))
        work.inspect_joined()
        findings, dropped = (work.findings, 0) if every else _strongest(work.findings, self._findings_limit)
        return ScanReport(
            tuple(findings),
            truncated,
            tuple(work.failed),
            dropped + work.dropped,
            self._ran[phase],
            self._clock() - began,
            work.score,
            tuple(work.judged),
        )

    def rules(self, phase: Phase, channel: Channel, kind: Kind) -> Sequence[Rule]:
        """The rules that judge such texts."""
        return self._plan(phase, channel, kind).patterns.rules

    def warm(self) -> None:
        """Compile every set of rules, and load the models, now instead of at the first scan that needs them."""
        for phase in get_args(Phase):
            for channel in get_args(Channel):
                for kind in get_args(Kind):
                    self._plan(phase, channel, kind).patterns.warm()
        self.scan((Segment("warm up", "user", ""), Segment("warm up", "data", "")), "input")

    def _plan(self, phase: Phase, channel: Channel, kind: Kind) -> Plan:
        # Two threads may both make it; the first one's is kept.
        plan = self._plans.get((phase, channel, kind))
        return plan or self._plans.setdefault((phase, channel, kind), self._make_plan(phase, channel, kind))

    def _make_plan(self, phase: Phase, channel: Channel, kind: Kind) -> Plan:
        rules: list[Rule] = []
        owners: list[RuleBased] = []
        others: list[Detector] = []
        present = [detector for detector in self._detectors if phase in detector.phases]
        for detector in present:
            if isinstance(detector, RuleBased):
                applicable = [rule for rule in detector.rules if _applies(rule, phase, channel, kind)]
                rules += applicable
                owners += [detector] * len(applicable)
            elif channel in getattr(detector, "channels", (channel,)) and not isinstance(detector, Fusing | Decoding):
                others.append(detector)
        # What a tool is for is said in orders by nature; only rules judge it.
        fusing = next((d for d in present if isinstance(d, Fusing)), None) if kind != "tool_definition" else None
        decoding = next((d for d in present if isinstance(d, Decoding)), None)
        patterns = self._sets.setdefault(tuple(rules), Rulebook(rules))
        own = all(type(each).__module__.startswith(_OURS) for each in present)
        return Plan(patterns, tuple(owners), tuple(others), fusing, decoding, self._threshold, own)


class _Scan:
    """What one scan has gathered so far."""

    __slots__ = (
        "_every",
        "_fingerprint",
        "_memo",
        "_phase",
        "_seen",
        "dropped",
        "failed",
        "findings",
        "judged",
        "score",
    )

    def __init__(
        self, phase: Phase, fingerprint: Callable[[str], str] | None, memo: Memo | None, *, every: bool
    ) -> None:
        self._phase: Phase = phase
        self._every = every
        self._fingerprint = fingerprint
        self._memo = memo
        self._seen: dict[Channel, list[tuple[View | None, Segment, Plan]]] = {}
        self.findings: list[Finding] = []
        self.failed: dict[str, None] = {}
        self.judged: list[tuple[Segment, float]] = []
        self.dropped = 0
        self.score = 0.0

    def inspect(self, segment: Segment, plan: Plan) -> None:
        """Judge one segment, or recall what it was judged to be."""
        memo = self._memo
        key = memo.key_of(segment, self._phase) if memo is not None and plan.own else None
        if memo is None or key is None:
            self._judge(segment, plan)
            return
        known = memo.recall(key)
        if known is not None:
            self._recall(known, segment, plan)
            return
        before, dropped, failed = len(self.findings), self.dropped, len(self.failed)
        score, self.score = self.score, 0.0
        judged = self._judge(segment, plan)
        if self.dropped == dropped and len(self.failed) == failed:
            memo.keep(key, Known(tuple(self.findings[before:]), judged, self.score))
        self.score = max(score, self.score)

    def _recall(self, known: Known, segment: Segment, plan: Plan) -> None:
        pointer = segment.pointer
        self.findings += [structs.replace(finding, pointer=pointer) for finding in known.findings]
        self.score = max(self.score, known.score)
        if known.judged is not None:
            self.judged.append((segment, known.judged))
        self._seen.setdefault(segment.channel, []).append((None, segment, plan))

    def _judge(self, segment: Segment, plan: Plan) -> float | None:
        """The text as it stands, and what is encoded in it; gives its injection score, if it was judged for that."""
        found: list[Finding] = []
        judged = None
        for detector in plan.others:
            found += self._detected(segment, detector)
        view = self._folded(segment)
        if view is not None:
            readings = [self._read(each, segment, plan) for each in (view, *self._decoded(view, plan))]
            for _, more in readings:
                found += more
            if readings[0][0].judged:
                judged = max(reading.score for reading, _ in readings)
                self.judged.append((segment, judged))
            self._seen.setdefault(segment.channel, []).append((view, segment, plan))
        self.findings += _distinct(found) if len(found) > 1 else found
        return judged

    def inspect_joined(self) -> None:
        """Judge what was split over several segments of one channel; its findings are those of the last one."""
        for parts in self._seen.values():
            _, segment, plan = parts[-1]
            if plan.decoding is None or len(parts) < 2:
                continue
            try:
                whole = plan.decoding.joined([fold(part.text) if view is None else view for view, part, _ in parts])
                joined = _views(() if whole is None else (whole,))
            except Exception:  # noqa: BLE001 - see below
                self.failed[plan.decoding.name] = None
                continue
            known = {_identity(finding) for finding in self.findings}
            for each in joined:
                found = self._read(each, segment, plan)[1]
                self.findings += [finding for finding in found if _identity(finding) not in known]

    # One bad detector must not stop the others, nor the call: what it raises is not looked at further.

    def _read(self, view: View, segment: Segment, plan: Plan) -> tuple[Reading, list[Finding]]:
        reading = Reading(view, segment, plan, self._phase, self.failed, self._fingerprint, every=self._every)
        found = reading.findings()
        self.dropped += reading.dropped
        self.score = max(self.score, reading.score)
        return reading, found

    def _folded(self, segment: Segment) -> View | None:
        try:
            return fold(segment.text)
        except Exception:  # noqa: BLE001 - see above
            self.failed["fold"] = None
            return None

    def _decoded(self, view: View, plan: Plan) -> Sequence[View]:
        if plan.decoding is None:
            return ()
        try:
            return _views(plan.decoding.decodings(view))
        except Exception:  # noqa: BLE001 - see above
            self.failed[plan.decoding.name] = None
            return ()

    def _detected(self, segment: Segment, detector: Detector) -> Sequence[Finding]:
        try:
            return _checked(detector.detect(segment, self._phase))
        except Exception:  # noqa: BLE001 - see above
            self.failed[detector.name] = None
            return ()


def _identity(finding: Finding) -> tuple[Any, ...]:
    return finding.type, finding.rule, finding.pointer, finding.start, finding.end


def _views(given: Iterable[View]) -> tuple[View, ...]:
    taken = tuple(given)
    if not all(isinstance(view, View) for view in taken):
        raise TypeError("a detector decoded a text to something else than views")
    return taken


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


_Ranked = tuple[int, int, Finding]
"""Where a finding starts, and how many are stronger."""


def _distinct(findings: list[Finding]) -> list[Finding]:
    """Without those that overlap a stronger one of the same type; in the order of the text."""
    types: dict[str, list[_Ranked]] = {}
    for rank, finding in enumerate(sorted(findings, key=_strength, reverse=True)):
        types.setdefault(finding.type, []).append((finding.start, rank, finding))
    return sorted((each for those in types.values() for near in _apart(those) for each in _best(near)), key=_start)


def _apart(ranked: list[_Ranked]) -> Iterator[list[_Ranked]]:
    """The findings in groups, none of which overlaps anything of another: few in each, however many there are."""
    group: list[_Ranked] = []
    end = 0
    for each in sorted(ranked):
        if group and each[0] >= end and each[0] > group[-1][0]:
            yield group
            group, end = [], 0
        group.append(each)
        end = max(end, each[2].end)
    yield group


def _best(ranked: list[_Ranked]) -> list[Finding]:
    """Those that overlap no stronger one that is kept."""
    if len(ranked) == 1:
        return [ranked[0][2]]
    places: list[Finding] = []
    for _, _, finding in sorted(ranked, key=_rank):
        at = bisect_left(places, finding.start, key=_start)
        before_ends = at == 0 or places[at - 1].end <= finding.start
        if before_ends and (at == len(places) or finding.end <= places[at].start):
            places.insert(at, finding)
    return places


def _rank(ranked: _Ranked) -> int:
    return ranked[1]


def _start(finding: Finding) -> int:
    return finding.start


def _strongest(findings: list[Finding], limit: int) -> tuple[list[Finding], int]:
    """At most `limit` findings in their order, and how many were left out: a flood of weak ones hides no strong one."""
    if len(findings) <= limit:
        return findings, 0
    order = sorted(range(len(findings)), key=lambda i: _strength(findings[i])[:2], reverse=True)
    return [findings[i] for i in sorted(order[:limit])], len(findings) - limit
