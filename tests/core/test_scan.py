from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core import reading, scan
from llmtrace_sdk.core.model import Channel, Finding, Phase, Segment, Severity
from llmtrace_sdk.core.patterns import Rule
from llmtrace_sdk.core.scan import Engine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.typing import Detector

ALL: tuple[Channel, ...] = ("user", "assistant", "system", "tool", "data")


def rule(name: str, pattern: str, **fields: Any) -> Rule:
    return Rule(
        **{
            "id": f"test.{name}",
            "type": name,
            "pattern": pattern,
            "severity": Severity.MEDIUM,
            "confidence": 0.5,
            "phases": frozenset({"input", "output"}),
            "channels": frozenset(ALL),
            "category": "test",
            "owasp": "LLM01",
            "max_length": 50,
            "examples": ("", ""),
            "near_misses": ("", ""),
            **fields,
        }
    )


class Ruled:
    """A detector of a third party: rules, and words that it does not confirm."""

    def __init__(
        self, name: str, rules: Sequence[Rule], *, unless: str = "", phases: Iterable[Phase] = ("input", "output")
    ):
        self.name = name
        self.phases = frozenset(phases)
        self.rules = tuple(rules)
        self.unless = unless

    def confirm(self, rule: Rule, text: str, start: int, end: int, /) -> bool:
        if self.unless == "raise":
            raise RuntimeError("broken")
        return text[start:end] != self.unless

    def detect(self, segment: Segment, phase: Phase, /) -> Iterable[Finding]:
        raise AssertionError("an engine matches the rules itself")


class Free:
    """A detector without rules."""

    def __init__(self, name: str, findings: Any, *, phases: Iterable[Phase] = ("input", "output")):
        self.name = name
        self.phases = frozenset(phases)
        self.findings = findings
        self.seen: list[tuple[str, Channel]] = []

    def detect(self, segment: Segment, phase: Phase, /) -> Iterable[Finding]:
        self.seen.append((segment.text, segment.channel))
        if isinstance(self.findings, Exception):
            raise self.findings
        found: Iterable[Finding] = self.findings
        return found


def user(*texts: str) -> tuple[Segment, ...]:
    return tuple(Segment(text, "user", f"/messages/{i}/content") for i, text in enumerate(texts))


def places(report: scan.ScanReport) -> list[tuple[str, int, int]]:
    return [(f.rule, f.start, f.end) for f in report.findings]


def test_a_finding_tells_all_it_knows() -> None:
    engine = Engine([Ruled("animals", [rule("cat", "cat")])], fingerprint=lambda text: f"<{text}>")
    segment = Segment("a cat", "tool", "/messages/3/content", "tool_result", "shop")
    assert engine.scan((segment,), "output").findings == (
        Finding(
            type="cat",
            rule="test.cat",
            severity=Severity.MEDIUM,
            confidence=0.5,
            start=2,
            end=5,
            pointer="/messages/3/content",
            channel="tool",
            kind="tool_result",
            phase="output",
            detector="animals",
            category="test",
            match_hash="<cat>",
        ),
    )
    assert Engine([Ruled("animals", [rule("cat", "cat")])]).scan((segment,), "output").findings[0].match_hash == ""


def test_nothing_to_do() -> None:
    assert Engine([]).scan((), "input") == scan.ScanReport()
    assert Engine([Ruled("animals", [rule("cat", "cat")])]).scan(user("", ""), "input").findings == ()


def test_rules_of_several_detectors_keep_their_own_confirmation() -> None:
    engine = Engine([Ruled("a", [rule("one", "x.")], unless="xa"), Ruled("b", [rule("two", "x.")], unless="xb")])
    report = engine.scan(user("xa xb"), "input")
    assert places(report) == [("test.two", 0, 2), ("test.one", 3, 5)]
    assert report.detectors == engine.names == ("a", "b")


@pytest.mark.parametrize("channel", ALL)
@pytest.mark.parametrize("phase", ["input", "output"])
def test_rules_judge_their_own_phases_channels_and_kinds(phase: Phase, channel: Channel) -> None:
    rules = [
        rule("in", "word", phases=frozenset({"input"})),
        rule("out", "word", phases=frozenset({"output"})),
        rule("foreign", "word", channels=frozenset({"tool", "data"})),
        rule("call", "word", kinds=frozenset({"tool_call"})),
    ]
    engine = Engine([Ruled("d", rules)])
    expected = {"in" if phase == "input" else "out"} | ({"foreign"} if channel in ("tool", "data") else set())
    assert {f.type for f in engine.scan((Segment("word", channel, ""),), phase).findings} == expected
    call = engine.scan((Segment("word", channel, "", "tool_call"),), phase)
    assert {f.type for f in call.findings} == expected | {"call"}


def test_a_detector_of_the_other_phase_does_not_run() -> None:
    ruled, free = Ruled("r", [rule("x", "x")], phases=["output"]), Free("f", [], phases=["output"])
    report = Engine([ruled, free]).scan(user("x"), "input")
    assert report == scan.ScanReport()
    assert free.seen == []


def test_other_detectors_are_asked_for_their_channels_only() -> None:
    everywhere, picky = Free("everywhere", []), Free("picky", [])
    picky.channels = frozenset({"data"})  # type: ignore[attr-defined]
    Engine([everywhere, picky]).scan((Segment("u", "user", ""), Segment("d", "data", "")), "input")
    assert everywhere.seen == [("u", "user"), ("d", "data")]
    assert picky.seen == [("d", "data")]


def test_overlapping_findings_of_a_type_leave_the_strongest() -> None:
    rules = [
        rule("t", "abcd", id="test.long"),
        rule("t", "bc", id="test.strong", severity=Severity.HIGH),
        rule("t", "de", id="test.touching", confidence=0.4),
        rule("other", "bcd", id="test.other"),
    ]
    report = Engine([Ruled("d", rules)]).scan(user("abcde abcd"), "input")
    assert places(report) == [
        ("test.strong", 1, 3),
        ("test.other", 1, 4),
        ("test.touching", 3, 5),
        ("test.strong", 7, 9),
        ("test.other", 7, 10),
    ]


def test_the_longer_of_two_equals_is_kept() -> None:
    rules = [rule("t", "ab", id="test.short"), rule("t", "abc", id="test.long")]
    assert places(Engine([Ruled("d", rules)]).scan(user("abc"), "input")) == [("test.long", 0, 3)]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8), st.integers(0, 4), st.sampled_from("ab")), max_size=20)
)
def test_what_is_left_does_not_overlap_and_covers_what_was_dropped(rows: list[tuple[int, int, int, str]]) -> None:
    given_ = [Finding(t, "r", Severity(s), 0.5, at, at + n) for at, n, s, t in rows]
    kept = Engine([Free("f", given_)]).scan(user("x" * 40), "input").findings
    for kind in "ab":
        mine = [f for f in kept if f.type == kind]
        assert all(a.end <= b.start for a, b in pairwise(mine))
        for finding in (f for f in given_ if f.type == kind):
            over = [f for f in mine if f.start < finding.end and finding.start < f.end]
            assert any(f.severity >= finding.severity for f in over)


def test_too_many_findings_leave_the_strongest_in_order() -> None:
    rules = [rule("weak", "w", confidence=0.2), rule("strong", "s", severity=Severity.CRITICAL)]
    engine = Engine([Ruled("d", rules)], findings_limit=3)
    report = engine.scan(user("w " * 50, "w w s w"), "input")
    assert report.dropped == 51
    assert [(f.type, f.pointer) for f in report.findings] == [
        ("weak", "/messages/0/content"),
        ("weak", "/messages/0/content"),
        ("strong", "/messages/1/content"),
    ]


def test_a_flood_of_matches_is_cut_and_said() -> None:
    report = Engine([Ruled("d", [rule("w", "w")], unless="w")]).scan(
        user("w" * (reading.MATCHES_PER_RULE + 5)), "input"
    )
    assert report.findings == ()
    assert report.dropped == 1


@pytest.mark.parametrize(
    ("limit", "found", "truncated"),
    [(20, 2, False), (14, 2, False), (13, 1, True), (6, 1, True), (2, 0, True), (0, 0, True)],
)
def test_the_text_limit_is_for_the_whole_scan(limit: int, found: int, truncated: bool) -> None:
    engine = Engine([Ruled("d", [rule("cat", "cat")])], text_limit=limit)
    report = engine.scan(user("a cat é", "the cat"), "input")
    assert (len(report.findings), report.truncated) == (found, truncated)


@pytest.mark.parametrize("broken", [RuntimeError("x"), [1], [None], 7])
def test_a_broken_detector_is_named_and_harms_no_other(broken: Any) -> None:
    detectors: list[Detector] = [
        Free("broken", broken),
        Ruled("bad", [rule("c", "c")], unless="raise"),
        Ruled("good", [rule("c", "c")]),
    ]
    report = Engine(detectors).scan(user("c", "c"), "input")
    assert set(report.failed) == {"bad", "broken"}
    assert [f.detector for f in report.findings] == ["good", "good"]


def test_rules_that_no_engine_takes_fail_their_detectors_only() -> None:
    report = Engine([Ruled("bad", [rule("x", "(")]), Free("good", [])]).scan(user("text"), "input")
    assert report.failed == ("bad",)
    assert report.detectors == ("bad", "good")


def test_a_clock_tells_the_time_it_took() -> None:
    ticks = iter((100, 350))
    assert Engine([], clock=lambda: next(ticks)).scan((), "input").elapsed_ns == 250


def test_warm_compiles_what_scans_share() -> None:
    engine = Engine([Ruled("d", [rule("cat", "cat"), rule("dog", "dog", channels=frozenset({"user"}))])])
    engine.warm()
    assert [len(book.rules) for book in engine._sets.values()] == [2, 1]
    assert all(book._gate is not None for book in engine._sets.values())
    assert all(part._patterns._groups is not None for book in engine._sets.values() for part in book._parts)


def test_threads_share_an_engine() -> None:
    engine = Engine([Ruled("d", [rule("cat", "cat")])])
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda i: engine.scan(user("cat " * i), "input"), range(64)))
    assert [len(report.findings) for report in reports] == list(range(64))
