from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.classify import Head, Model, Passage
from llmtrace_sdk.core.words import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = {"ignore": 1, "rules": 2, "the": 3, "please": 4}
RUNS = {(1, 2): 5, (3, 2): 6, (1, 1): 7}
#          ?  ignore rules the please ignore+rules the+rules ignore+ignore
WEIGHTS = (0, 10, 4, -3, -8, 20, 1, 5)
SCALE = 0.5


def model(block: int = 4, contrast: float = 0.0, bias: float = -1.0) -> Model:
    return Model(WORDS, RUNS, {"user": Head(WEIGHTS, SCALE, bias, block, contrast)})


def by_definition(words: Sequence[str], head: Head) -> Passage:
    """The score as the module's text has it, written down without a thought of speed."""
    numbers = [WORDS.get(word, 0) for word in words]
    blocks = []
    for start in range(0, max(len(words), 1), head.block):
        ends = range(start, min(start + head.block, len(words)))
        features = {numbers[at] for at in ends} | {
            RUNS[pair] for at in ends if at + 1 < len(words) and (pair := (numbers[at], numbers[at + 1])) in RUNS
        }
        blocks.append(sum(head.weights[feature] for feature in features))
    pairs = [sum(blocks[at : at + 2]) for at in range(max(len(blocks) - 1, 1))]
    scores = [total * head.scale + head.bias for total in pairs]
    worst = scores.index(max(scores))
    rest = [score for at, score in enumerate(scores) if at != worst]
    logit = scores[worst] - (head.contrast * sum(rest) / len(rest) if rest else 0)
    return Passage(logit, worst * head.block, min((worst + 2) * head.block, len(words)))


@given(st.lists(st.sampled_from([*WORDS, "unknown"]), max_size=40), st.integers(1, 6), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_score_is_what_it_is_said_to_be(words: list[str], block: int, contrast: float) -> None:
    made = model(block, contrast)
    found, expected = made.score(words, "user"), by_definition(words, made.heads["user"])
    assert found.logit == pytest.approx(expected.logit)
    assert found[1:] == expected[1:]


def test_a_text_without_words_has_the_bias() -> None:
    assert model().score([], "user") == Passage(-1.0, 0, 0)
    assert model().reasons("", "user", Passage(-1.0, 0, 0)) == []
    assert model().reasons("?! \ud800", "user", model().score(tokens("?! \ud800"), "user")) == []


def test_unknown_words_weigh_nothing() -> None:
    assert model().score(["zebra"] * 3, "user").logit == -1.0
    assert model().score(["ignore", "zebra", "rules"], "user").logit == (10 + 4) * SCALE - 1


@pytest.mark.parametrize("times", [8, 80, 10_000])
def test_a_word_said_again_and_again_counts_twice_at_most(times: int) -> None:
    once = model().score(["rules"], "user").logit
    assert model().score(["rules"] * times, "user").logit == pytest.approx(once + 4 * SCALE)
    assert model().score(["ignore"] * times, "user").logit == pytest.approx(2 * (10 + 5) * SCALE - 1)


@pytest.mark.parametrize("at", [0, 1, 3, 4, 50, 97, 98])
def test_the_worst_passage_is_where_the_words_are(at: int) -> None:
    words = ["the"] * 100
    words[at : at + 2] = ["ignore", "rules"]
    passage = model().score(words, "user")
    assert passage.first <= at < at + 2 <= passage.last
    assert passage.last - passage.first <= 8


def test_a_pair_over_the_border_of_two_blocks_counts_with_the_first() -> None:
    apart = model().score(["the", "the", "the", "ignore", "the", "rules"], "user").logit
    across = model().score(["the", "the", "the", "ignore", "rules", "the"], "user").logit
    assert across == pytest.approx(apart + (20 - 1) * SCALE)


def test_an_attack_stands_out_by_contrast() -> None:
    attack = ["ignore", "rules", *["zebra"] * 6]
    calm, loud = ["please"] * 60, ["rules"] * 60
    bare = model(contrast=0.5).score(attack, "user").logit
    assert model(contrast=0.5).score(attack + calm, "user").logit > bare
    assert model(contrast=0.5).score(attack + loud, "user").logit < model().score(attack + loud, "user").logit
    assert model(contrast=0.0).score(attack + calm, "user").logit <= bare


def test_reasons_point_at_their_words() -> None:
    text = "Please, PLEASE... the 'Ignore'   RULES; ignore!"
    made = model(block=20)
    reasons = made.reasons(text, "user", made.score(tokens(text), "user"))
    assert [(text[reason.start : reason.end], reason.weight) for reason in reasons] == [
        ("Ignore'   RULES", 10.0),
        ("Ignore", 5.0),
        ("RULES", 2.0),
    ]


def test_reasons_are_of_the_passage_alone_and_as_many_as_wanted() -> None:
    text = "rules " * 30 + "ignore rules. " + "the rules " * 30
    made = model(block=4)
    passage = made.score(tokens(text), "user")
    (best, *_), at = made.reasons(text, "user", passage), text.index("ignore")
    assert (best.start, best.end) == (at, at + len("ignore rules"))
    assert len(made.reasons(text, "user", passage, 2)) == 2
    assert made.reasons(text, "user", passage, 0) == []
    begin = len(" ".join(tokens(text)[: passage.first]))
    assert all(reason.start >= begin for reason in made.reasons(text, "user", passage))


@given(
    st.lists(st.sampled_from(["ignore", "RULES", "the", "please", "指", "ж.", "'", "\n", "\ud800", "x"]), max_size=60)
)
def test_reasons_are_inside_the_text_and_in_order(parts: list[str]) -> None:
    text = " ".join(parts)
    made = model()
    reasons = made.reasons(text, "user", made.score(tokens(text), "user"))
    assert [reason.weight for reason in reasons] == sorted((reason.weight for reason in reasons), reverse=True)
    for reason in reasons:
        words = tokens(text[reason.start : reason.end])
        assert 1 <= len(words) <= 2
        assert set(words) <= WORDS.keys()
        assert reason.weight > 0


def test_time_is_linear() -> None:
    words = ["ignore", "rules", "zebra"] * 60_000
    made = model(block=50)
    began = time.thread_time()
    made.score(words, "user")
    made.reasons(" ".join(words), "user", Passage(0.0, 0, 100))
    assert time.thread_time() - began < 1.5
