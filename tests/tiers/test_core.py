"""The pure part: which texts are asked about, and what the replies come to."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.model import Finding, Segment, Severity
from llmtrace_sdk.core.tiers import JudgeOptions, MLOptions, Opinion, Tier, Unanswered, settled

from . import parts

ML = MLOptions(enabled=True, model_path="m").tier()
JUDGE = JudgeOptions(enabled=True, model="m").tier()


def pii(start: int, end: int, **more: Any) -> Finding:
    given = {"pointer": "/messages/0/content", "category": "sensitive_info_disclosure", **more}
    return Finding("pii_detected", "pii.email", Severity.MEDIUM, 0.9, start, end, **given)


@pytest.mark.parametrize(
    ("score", "asked"),
    [
        (0.0, False),
        (0.299, False),
        (0.3, True),
        (0.6, True),
        (0.899, True),
        (0.9, False),
        (1.0, False),
        (math.nan, False),
    ],
)
def test_only_the_grey_zone_is_asked_about(score: float, asked: bool) -> None:
    questions, left_out = ML.questions([(parts.segment("some text"), score)], ())
    assert (bool(questions), left_out) == (asked, False)


@pytest.mark.parametrize(("channel", "asked"), [("user", 1), ("tool", 1), ("data", 1), ("system", 0), ("assistant", 0)])
def test_only_what_others_wrote_is_asked_about(channel: Any, asked: int) -> None:
    assert len(ML.questions([(parts.segment("some text", channel), 0.5)], ())[0]) == asked


def test_nothing_is_asked_about_blank_texts() -> None:
    assert ML.questions([(parts.segment(" \n\t"), 0.5)], ()) == ((), False)


def test_the_most_suspicious_texts_come_first_and_the_rest_is_told() -> None:
    grey = [(parts.segment(f"text {i}", pointer=f"/{i}"), 0.3 + i / 100) for i in range(10)]
    questions, left_out = ML.questions(grey, ())
    assert [q.text for q in questions] == ["text 9", "text 8", "text 7", "text 6"]
    assert left_out


def test_what_leaves_the_process_is_masked() -> None:
    key = "sk-" + "proj-abcdefghijklmnop1234"
    text = f"write to maren.holt@example.com with {key} \ud800"
    found = [pii(9, 31), pii(0, 5, pointer="/other"), pii(0, 5, phase="output")]
    grey = [(parts.segment(text), 0.5)]
    assert JUDGE.questions(grey, found)[0][0].text == "write to [REDACTED:pii_detected] with [REDACTED:credential] ?"
    assert ML.questions(grey, found)[0][0].text == text


def test_a_threat_becomes_a_finding() -> None:
    question = parts.question("an attack", "tool")
    heard = JUDGE.hear([question], [parts.threat("jailbreak", 0.95)])
    (finding,) = heard.findings
    assert (finding.type, finding.rule, finding.detector, finding.category) == (
        "prompt_injection",
        "judge.jailbreak",
        "judge",
        "jailbreak",
    )
    assert (finding.severity, finding.confidence, finding.channel) == (Severity.HIGH, 0.95, "tool")
    assert (finding.pointer, finding.start, finding.end) == ("/messages/0/content", 0, 9)
    assert (heard.codes, heard.failed, heard.enforce) == ((), False, True)


@pytest.mark.parametrize(
    ("opinion", "severity"),
    [
        (parts.threat("prompt_injection", 0.89), Severity.MEDIUM),
        (parts.threat("data_exfiltration", 0.9), Severity.HIGH),
        (parts.threat("policy_violation", 1.0), Severity.LOW),
        (parts.threat("other", 0.7), Severity.LOW),
    ],
)
def test_how_bad_it_is(opinion: Opinion, severity: Severity) -> None:
    (finding,) = JUDGE.hear([parts.question("x")], [opinion]).findings
    assert (finding.severity, finding.rule) == (severity, f"judge.{opinion.category}")


@pytest.mark.parametrize(
    "opinion",
    [
        parts.harmless("benign", 1.0),
        parts.harmless("other", 1.0),
        parts.threat("benign", 1.0),
        parts.threat("prompt_injection", 0.699),
        parts.threat("prompt_injection", math.nan),
        parts.threat("prompt_injection", 1.01),
    ],
)
def test_what_adds_nothing(opinion: Opinion) -> None:
    assert JUDGE.hear([parts.question("x")], [opinion]) == ((), (), False, True)


@pytest.mark.parametrize("reason", ["timeout", "busy", "paused", "failed"])
def test_no_answer_is_told_and_never_clean(reason: Any) -> None:
    heard = JUDGE.hear([parts.question("x")] * 2, [Unanswered(reason), parts.ATTACK])
    assert (heard.codes, heard.failed, len(heard.findings)) == ((f"judge_{reason}",), True, 1)


def test_a_partial_opinion_is_told() -> None:
    assert ML.hear([parts.question("x")], [parts.harmless("benign", 0.1, partial=True)]).codes == ("ml_partial",)


def test_a_shadow_tier_only_writes_down() -> None:
    tier = JudgeOptions(enabled=True, model="m", shadow=True).tier()
    heard = tier.hear([parts.question("x")], [parts.ATTACK])
    assert (heard.findings[0].severity, heard.enforce) == (Severity.INFO, False)
    grey = [(parts.segment("x"), 0.5)]
    assert settled(tier, heard.findings, grey) == grey
    assert settled(ML, heard.findings, grey) == []


@given(
    st.lists(st.tuples(st.text(max_size=20), st.floats(), st.sampled_from(["user", "system", "data"])), max_size=12),
    st.lists(st.tuples(st.integers(-5, 30), st.integers(-5, 30)), max_size=4),
)
def test_any_input_gives_bounded_questions(texts: list[tuple[str, float, Any]], spans: list[tuple[int, int]]) -> None:
    grey = [(Segment(text, channel, f"/{i}"), score) for i, (text, score, channel) in enumerate(texts)]
    found = [pii(a, b, pointer="/0") for a, b in spans]
    for tier in (ML, JUDGE):
        questions, left_out = tier.questions(grey, found)
        assert len(questions) <= tier.texts
        assert left_out == (sum(tier._is_grey(s, x) for s, x in grey) > tier.texts)
        for q in questions:
            assert tier is ML or q.text.encode()


def test_deadlines() -> None:
    assert [o.tier().deadline_ms for o in (MLOptions(mode="inline"), MLOptions(), JudgeOptions(mode="inline"))] == [
        300,
        2_000,
        2_000,
    ]
    assert JudgeOptions(deadline_ms=70).tier().deadline_ms == 70


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (MLOptions(enabled=True), "ml.model_path"),
        (MLOptions(enabled=True, model_path="m", low=0.9, high=0.3), "in order"),
        (MLOptions(enabled=True, model_path="m", threshold=1.5), "ml.threshold"),
        (MLOptions(enabled=True, model_path="m", threads=0), "ml.threads"),
        (JudgeOptions(enabled=True), "judge.model"),
        (JudgeOptions(enabled=True, model="m", base_url="ftp://x"), "judge.base_url"),
        (JudgeOptions(enabled=True, model="m", max_chars=3), "judge.max_chars"),
        (JudgeOptions(enabled=True, model="m", min_confidence=math.nan), "judge.min_confidence"),
        (JudgeOptions(enabled=True, model="m", deadline_ms=0), "judge.deadline_ms"),
    ],
)
def test_options_that_cannot_be(options: MLOptions | JudgeOptions, words: str) -> None:
    (problem,) = options.problems()
    assert words in problem


def test_what_is_off_has_no_problems() -> None:
    assert MLOptions(low=3).problems() == JudgeOptions(low=3).problems() == []


def test_a_tier_is_cheap_to_ask_when_nothing_is_grey() -> None:
    assert Tier("ml", "async", 0.3, 0.9, 0.8, 100).questions([], []) == ((), False)
