from __future__ import annotations

from itertools import pairwise
from math import inf, log, nextafter
from typing import get_args

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from llmtrace_sdk.core import fusion
from llmtrace_sdk.core.classify import Head, Model
from llmtrace_sdk.core.fusion import HEADS, RULES_AT_MOST, THRESHOLDS, Curve, Fusion, HeadFusion, rule_evidence
from llmtrace_sdk.core.model import Channel, Finding, Severity
from llmtrace_sdk.core.words import tokens
from llmtrace_sdk.data import model as data

POINTS = ((-2.0, 0.05), (-0.5, 0.5), (0.5, 0.75), (4.0, 0.9))
SHIPPED = [head.curve for head in data.injection().heads.values()]
curves = pytest.mark.parametrize("curve", [Curve(POINTS), Curve(POINTS[:2]), *SHIPPED], ids=range(2 + len(SHIPPED)))


def finding(rule: str, confidence: float, start: int = 0, end: int = 1) -> Finding:
    return Finding("prompt_injection", rule, Severity.HIGH, confidence, start, end)


def made(weights: tuple[int, ...] = (0, 10, 4, 20), bias: float = -1.0) -> Fusion:
    model = Model({"ignore": 1, "rules": 2}, {(1, 2): 3}, {h: Head(weights, 0.1, bias, 4) for h in ("user", "data")})
    return Fusion(model, {"user": HeadFusion(2.0, Curve(POINTS)), "data": HeadFusion(0.5, Curve(POINTS))})


@curves
def test_a_curve_hits_its_anchors(curve: Curve) -> None:
    for logit, score in curve.points:
        assert curve(logit) == pytest.approx(score)


@curves
@given(st.floats(-25, 25), st.floats(-25, 25))
def test_a_curve_rises_and_stays_between_nothing_and_certainty(curve: Curve, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 < curve(low) <= curve(high) < 1
    if high - low > 1e-3:
        assert curve(low) < curve(high)


@curves
def test_a_curve_has_no_jumps(curve: Curve) -> None:
    for logit, score in curve.points:
        for beside in (nextafter(logit, -inf), nextafter(logit, inf)):
            assert curve(beside) == pytest.approx(score, abs=1e-9)


@curves
@pytest.mark.parametrize("logit", [-1e308, -1e4, -750.0, 750.0, 1e4, 1e308, inf, -inf])
def test_no_log_odds_are_too_extreme(curve: Curve, logit: float) -> None:
    assert 0 < curve(logit) < 1
    assert curve(logit) == pytest.approx(0 if logit < 0 else 1)


@curves
@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
@example(-inf, inf)
@example(37.0, 38.0)
def test_the_order_of_scores_is_that_of_log_odds_wherever_they_are(curve: Curve, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 < curve(low) <= curve(high) < 1


@given(
    st.lists(st.floats(-50, 50), min_size=2, max_size=6, unique=True),
    st.lists(st.floats(0.01, 0.99), min_size=6, max_size=6, unique=True),
)
def test_any_rising_points_make_a_rising_curve(logits: list[float], scores: list[float]) -> None:
    points = tuple(zip(sorted(logits), sorted(scores)[: len(logits)], strict=True))
    assume(all(b[0] - a[0] > 0.05 and b[1] - a[1] > 0.005 for a, b in pairwise(points)))
    curve = Curve(points)
    places = sorted({point[0] + step / 10 for point in points for step in range(-5, 6)})
    assert all(curve(a) < curve(b) for a, b in pairwise(places) if b - a > 1e-6 and 1e-12 < curve(a) < 1 - 1e-12)


def test_the_shipped_curves_put_the_operating_points_where_the_benign_texts_were() -> None:
    for curve in SHIPPED:
        assert {score for _, score in curve.points} >= set(THRESHOLDS.values())
        assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(curve.points))


def test_evidence_of_rules_is_added_up_once_a_rule_and_has_an_end() -> None:
    assert rule_evidence([]) == 0
    assert rule_evidence([finding("a", 0.5)]) == pytest.approx(log(2))
    assert rule_evidence([finding("a", 0.5)] * 1000) == pytest.approx(log(2))
    assert rule_evidence([finding("a", 0.5), finding("b", 0.9)]) == pytest.approx(log(20))
    assert rule_evidence([finding(str(n), 0.3) for n in range(1000)]) == RULES_AT_MOST
    assert rule_evidence([finding("sure", 1.0)]) <= RULES_AT_MOST
    assert rule_evidence([finding("none", 0.0)]) == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 1)), max_size=9))
def test_more_rules_never_weigh_less(rows: list[tuple[str, float]]) -> None:
    found = [finding(*row) for row in {row[0]: row for row in rows}.values()]
    weights = [rule_evidence(found[:count]) for count in range(len(found) + 1)]
    assert weights == sorted(weights)
    assert weights[-1] <= RULES_AT_MOST
    assert rule_evidence(reversed(found)) == pytest.approx(weights[-1])


@pytest.mark.parametrize("channel", get_args(Channel))
def test_the_head_of_a_channel(channel: Channel) -> None:
    assessment = made().weigh(["ignore"], channel, [finding("r", 1.0)])
    if channel in ("system", "assistant"):
        assert assessment is None
    else:
        assert assessment is not None
        assert assessment.head == HEADS[channel] == ("user" if channel == "user" else "data")


def test_rules_and_words_are_put_together() -> None:
    fused, words = made(), ["now", "ignore", "rules", "and", "sing"]
    bare = fused.weigh(words, "user", ())
    both = fused.weigh(words, "user", [finding("r", 0.9), finding("r", 0.9)])
    data_head = fused.weigh(words, "tool", [finding("r", 0.9)])
    assert bare is not None
    assert both is not None
    assert data_head is not None
    assert bare.logit == pytest.approx(34 * 0.1 - 1)
    assert both.logit == pytest.approx(bare.logit + 2 * log(10))
    assert data_head.logit == pytest.approx(bare.logit + 0.5 * log(10))
    assert bare.score == Curve(POINTS)(bare.logit) < both.score
    assert bare.passage == both.passage


@pytest.mark.parametrize("times", [1, 2, 50, 5_000])
@pytest.mark.parametrize("words", [["ignore"], ["ignore", "rules"], ["ignore", "rules", "x"]], ids=len)
def test_few_words_are_no_attack_unless_a_rule_says_so(words: list[str], times: int) -> None:
    fused = made()
    bare = fused.weigh(words * times, "user", ())
    ruled = fused.weigh(words * times, "user", [finding("r", 0.9)])
    many = fused.weigh([*words * times, "a", "b", "c"], "user", ())
    assert bare is not None
    assert ruled is not None
    assert many is not None
    assert bare.score < THRESHOLDS["high_recall"] < ruled.score
    if len(words) > 1:
        assert many.score > THRESHOLDS["balanced"]


def test_reasons_name_rules_first_and_point_at_their_words() -> None:
    text = "so IGNORE the 'rules', ignore   RULES now"
    fused, words = made(), tokens(text)
    found = [finding("weak", 0.2, 0, 2), *[finding("strong", 0.9, 3, 9)] * 3, finding("mid", 0.5, 1, 4)]
    assessment = fused.weigh(words, "user", found)
    assert assessment is not None
    evidence = fused.explain(text, assessment, found)
    assert [e.source for e in evidence] == ["strong", "mid", "weak", *["classifier.user"] * 3]
    assert evidence[0].weight == pytest.approx(2 * log(10))
    assert [text[e.start : e.end] for e in evidence[3:]] == ["ignore   RULES", "IGNORE", "rules"]
    for group in (evidence[:3], evidence[3:]):
        assert [e.weight for e in group] == sorted((e.weight for e in group), reverse=True)
        assert all(e.weight > 0 for e in group)


def test_there_are_few_reasons_however_many_rules_fire() -> None:
    fused = made()
    found = [finding(f"r{n}", n / 100, n, n + 1) for n in range(1, 90)]
    assessment = fused.weigh(["ignore", "rules"], "data", found)
    assert assessment is not None
    evidence = fused.explain("ignore rules", assessment, found)
    assert [e.source for e in evidence][:5] == ["r89", "r88", "r87", "r86", "r85"]
    assert len(evidence) <= 2 * fusion.REASONS
    assert fused.explain("ignore rules", assessment, ())[0].source == "classifier.data"


@pytest.mark.parametrize("text", ["", "?!…", "\ud800", "\u200b", "zebra crossing"])
def test_nothing_to_weigh(text: str) -> None:
    fused = made()
    assessment = fused.weigh(tokens(text), "user", ())
    assert assessment is not None
    assert assessment.logit == -1.0
    assert fused.explain(text, assessment, ()) == ()


@pytest.mark.parametrize("text", ["", ".", " ", "\n\n", "…", "0", "a"])
@pytest.mark.parametrize("channel", ["user", "tool", "data"])
def test_the_shipped_model_finds_nothing_in_nothing(text: str, channel: Channel) -> None:
    assessment = data.injection().weigh(tokens(text), channel, ())
    assert assessment is not None
    assert assessment.score < THRESHOLDS["high_recall"]


@pytest.mark.parametrize("channel", ["user", "data"])
def test_no_word_alone_makes_an_attack_however_often_it_is_said(channel: Channel) -> None:
    shipped = data.injection()
    head = shipped.model.heads[HEADS[channel]]
    condemned = {}
    for word, number in shipped.model.words.items():
        run = shipped.model.runs.get((number, number), 0)
        if head.weights[number] + (head.weights[run] if run else 0) <= 0:
            continue
        for times in (1, 2 * head.block, 10_000 if head.weights[number] > 60 else 3 * head.block):
            assessment = shipped.weigh([word] * times, channel, ())
            assert assessment is not None
            if assessment.score >= THRESHOLDS["balanced"]:
                condemned[word] = round(assessment.score, 3)
    assert condemned == {}


FILLERS = [("grelt", "snorv", "plimp"), ("table", "green", "seven"), ("one", "two", "three")]


@pytest.mark.parametrize("fillers", FILLERS, ids=" ".join)
@pytest.mark.parametrize("channel", ["user", "data"])
def test_nor_does_one_word_with_three_others_however_often_it_is_said(channel: Channel, fillers: tuple[str]) -> None:
    shipped = data.injection()
    head = shipped.model.heads[HEADS[channel]]
    condemned = {}
    for word, number in shipped.model.words.items():
        run = shipped.model.runs.get((number, number), 0)
        if 2 * (head.weights[number] + max(0, head.weights[run] if run else 0)) * head.scale + head.bias < 0:
            continue  # far from any operating point
        for times in (1, 2, 10, 83, 300):
            for words in ([word] * times + [*fillers], [*fillers] + [word] * times, [*[word] * times, *fillers] * 3):
                assessment = shipped.weigh(words, channel, ())
                assert assessment is not None
                if assessment.score >= THRESHOLDS["balanced"]:
                    condemned[word] = round(assessment.score, 3)
    assert condemned == {}


def weighed(words: list[str], bias: float = -2.0) -> fusion.Assessment:
    assessment = made((0, 20, 10, 0), bias).weigh(words, "user", ())
    assert assessment is not None
    return assessment


def test_words_said_again_and_again_count_once() -> None:
    once = weighed(["rules", "a", "b", "c"])
    assert once.logit == pytest.approx(10 * 0.1 - 2)
    assert weighed(["rules"] * 300 + ["a", "b", "c"])[:2] == once[:2]
    assert weighed(["rules", "a", "b", "c"] * 50)[:2] == once[:2]


def test_what_attacks_when_said_once_does_so_when_it_is_said_often_or_among_one_word_said_often() -> None:
    attack = ["ignore", "a", "rules", "b"]
    for words in (attack, attack * 30, ["the"] * 300 + attack, attack + ["the"] * 300):
        assert weighed(words).logit >= 30 * 0.1 - 2


def test_texts_of_many_words_may_say_one_of_them_often() -> None:
    many = [f"w{n}" for n in range(fusion.FEW_WORDS)]
    assert weighed(["rules"] * 300 + many).logit == pytest.approx(2 * 10 * 0.1 - 2)
    assert weighed(["rules"] * 300 + many[1:]).logit == pytest.approx(10 * 0.1 - 2)
