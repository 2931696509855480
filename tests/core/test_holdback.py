from __future__ import annotations

import string
import sys
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_sdk.core import holdback
from llmtrace_sdk.core.holdback import HoldBack, hold_back
from llmtrace_sdk.core.patterns import compiled
from llmtrace_sdk.core.text import fold
from llmtrace_sdk.detectors import _rules
from tests.core.test_patterns import rule

if TYPE_CHECKING:
    from llmtrace_sdk.core.patterns import Rule

ALL = [each for rules in _rules._by_type().values() for each in rules]
OUTPUT = [each for each in ALL if "output" in each.phases]
SAMPLE = [*OUTPUT, *[each for each in ALL if "output" not in each.phases][::12]]
SECRETS = _rules.load("secret_leakage")
LEAKS = hold_back((*SECRETS, *_rules.load("pii_detected")))

SENTENCES = """
Thank you for the details. The train to Leeds leaves at half past nine, and the journey takes about two hours.
To make the soup, chop the onions finely and let them soften in butter before you add the stock.
The function returns a list of pairs; sort it by the second element, and print the first ten of them.
I would suggest that you speak to your landlord first, and put the agreement in writing afterwards.
In 1969 the population was about 3.7 billion; by 2023 it had passed eight billion (a growth of some 117 %).
- First, open the settings. - Then choose "Display", and turn the brightness down to 40 per cent.
Her second novel, published in the spring, is a quieter book: less plot, more weather.
""".strip().splitlines()

sk = rule(r"\bsk-[a-z]{4}", max_length=7)


def held(hold: HoldBack, text: str, start: int = 0) -> str:
    return text[hold.live_from(text, start) :]


def test_what_may_become_a_match_is_held_and_all_else_released() -> None:
    hold = HoldBack([sk])
    assert [held(hold, f"so {end}") for end in ("s", "sk", "sk-", "sk-a", "sk-abcd")] == [
        *("s", "sk", "sk-", "sk-a", "sk-abcd")
    ]
    assert [held(hold, end) for end in ("so ", "sk!", "task-ab", "task", "sk-abcde", "")] == [""] * 6


def test_the_leftmost_of_all_rules_counts() -> None:
    hold = HoldBack([rule("def"), rule("cdx"), rule("abcdez"), rule("e"), rule("[a-z] ?[0-9]")])
    assert held(hold, "xabcde") == "abcde"
    assert held(hold, "x bcd") == "cd"
    assert held(hold, "x d") == "d"


def test_no_rules() -> None:
    hold = HoldBack([])
    assert (hold.longest, hold.live_from("text", 0), hold.matches("text", 0)) == (0, 4, [])


@pytest.mark.parametrize("start", [-3, 0, 2, 4, 9, 50])
def test_nothing_before_the_start_is_live_or_matches(start: int) -> None:
    hold = HoldBack([sk])
    assert hold.live_from("an sk-abc", start) == min(max(start, 3), 9) if start <= 3 else 9
    assert [place[:2] for place in hold.matches("an sk-abcd", start)] == ([(3, 10)] if start <= 3 else [])


def test_what_is_before_the_start_is_context() -> None:
    hold = HoldBack([sk, rule("(?m)^key", max_length=3)])
    assert held(hold, "task-ab", 2) == ""
    assert held(hold, "ta-sk-ab", 3) == "sk-ab"
    assert held(hold, "a\nke", 2) == "ke"
    assert held(hold, "a ke", 2) == ""
    assert hold.matches("task-abcd", 2) == hold.matches("a_task-abcd", 4) == hold.matches("xkey", 1) == []
    assert [place[:2] for place in hold.matches("ta-sk-abcd\nkey", 3)] == [(3, 10), (11, 14)]


def test_what_is_longer_than_a_match_is_released() -> None:
    hold = HoldBack([rule("x[a-z ]*", max_length=20), rule(r"\bk=[0-9]{3}", tail="[0-9]*", max_length=40)])
    assert hold.longest == 40
    assert held(hold, f"x{'a' * 18}") == f"x{'a' * 18}"
    assert held(hold, f"x{'a' * 30}") == ""
    assert held(hold, f"k={'1' * 38}") == f"k={'1' * 38}"
    assert held(hold, f"k={'1' * 39}") == ""


def test_a_tail_is_measured_from_the_group_and_what_is_before_it_is_held_too() -> None:
    hold = HoldBack([rule("key: {1,5}([0-9]{3})", tail="[0-9]*", group=1, max_length=30)])
    text = f"a key:   {'1' * 30}"
    assert held(hold, text) == text[2:]
    assert [place[:2] for place in hold.matches(text, 2)] == [(9, 39)]


def test_matches_are_ordered_and_have_their_own_span() -> None:
    rules = [rule("b+", id="a.b"), rule("=(a+);", id="a.a", group=1), rule("c", tail="[ab]*", id="a.c", max_length=3)]
    places = HoldBack(rules).matches("é bb =aa; cabab", 0)
    assert [(start, end, each.id) for start, end, each in places] == [
        (2, 4, "a.b"),
        (6, 8, "a.a"),
        (10, 13, "a.c"),
        (12, 13, "a.b"),
        (14, 15, "a.b"),
    ]


def test_what_was_swallowed_by_a_match_from_before_is_found() -> None:
    hold = HoldBack([rule("a-[a-z]*b", max_length=20)])
    assert [place[:2] for place in hold.matches("aa-a-xb", 3)] == [(3, 7)]


def test_patterns_that_nothing_else_takes() -> None:
    hold = HoldBack([rule("(?=zb)zbc", max_length=3), rule(r"(x)\1y", max_length=5), sk])
    assert held(hold, "0123456789") == "56789"
    assert [place[:2] for place in hold.matches("zbc xxy sk-abcd", 0)] == [(0, 3), (4, 7), (8, 15)]


@pytest.mark.parametrize("memory", [1_500_000, 200_000, 20_000])
def test_automata_that_are_too_large_are_done_without(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holdback, "MEMORY", memory)
    small = HoldBack(SECRETS)
    assert [place[:2] for place in small.matches("my password: hunt3r2 ", 0)] == [(13, 20)]
    for text in ("the key is AKIAABCD", "a password: hunt", "it is -----BEGIN RSA PRIV", "so that it was"):
        assert small.live_from(text, 0) <= hold_back(SECRETS).live_from(text, 0)


def test_without_re2_the_longest_match_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    hold = HoldBack([rule("abcd[0-9]", max_length=5), rule("xy", max_length=2)])
    assert [hold.live_from(text, 0) for text in ("", "abc", "0123456789")] == [0, 0, 5]
    assert hold.live_from("0123456789", 8) == 8
    assert [place[:2] for place in hold.matches("xyz abcd1", 0)] == [(0, 2), (4, 9)]


def test_many_threads_at_once() -> None:
    hold = HoldBack(SECRETS)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: held(hold, "my password: hunter"), range(32))) == {"password: hunter"}


def test_the_same_rules_share_one() -> None:
    assert hold_back((sk,)) is hold_back((sk,))


OWN = {each.id: hold_back((each,)) for each in SAMPLE}
TOGETHER = hold_back(tuple(SAMPLE))


@pytest.mark.parametrize("each", SAMPLE, ids=lambda each: each.id)
def test_nothing_of_a_match_is_released_before_it_is_whole(each: Rule) -> None:
    rng = Random(each.id)
    for example in each.examples[:4]:
        text = fold(example).text
        spans = compiled(each).spans(text, 3)
        assert set(spans) <= {place[:2] for place in TOGETHER.matches(text, 0) if place[2] is each}
        for start, end in spans:
            cuts = range(start + 1, end)
            for cut in cuts if len(cuts) <= 12 else rng.sample(cuts, 12):
                assert OWN[each.id].live_from(text[:cut], 0) <= start, text[:cut]
                assert TOGETHER.live_from(text[:cut], 0) <= start, text[:cut]


def stream(hold: HoldBack, text: str, cuts: list[int]) -> list[tuple[int, int, Rule]]:
    """What is found when the text comes in pieces, and what is not live is let go at once."""
    begin, found = 0, []
    for cut in sorted({*(cut % (len(text) + 1) for cut in cuts), len(text)}):
        so_far = text[:cut]
        found += hold.matches(so_far, begin)
        begin = hold.live_from(so_far, begin)
    return found


LEAKED = [(each, fold(example).text) for each in LEAKS.rules for example in each.examples[:2] if len(example) < 300]
AROUND = st.text(st.sampled_from("ab z.-_:=\n\"'09é文😀\ud800"), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(LEAKED), AROUND, AROUND, st.lists(st.integers(0, 500), max_size=12))
def test_every_match_is_whole_when_it_is_found_however_the_text_is_cut(
    leaked: tuple[Rule, str], before: str, behind: str, cuts: list[int]
) -> None:
    each, example = leaked
    text = f"{before} {example} {behind}"
    streamed = {start for start, _, found in stream(LEAKS, text, cuts) if found is each}
    assert {start for start, _ in compiled(each).spans(text, 100)} <= streamed


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.text(st.characters(categories=["Cs", "Ll", "Nd"]), max_size=40), st.integers(-5, 90))
def test_no_text_raises_and_offsets_are_in_it(text: str, start: int) -> None:
    live = LEAKS.live_from(text, start)
    assert min(max(start, 0), len(text)) <= live <= len(text)
    assert all(max(start, 0) <= begin < end <= len(text) for begin, end, _ in LEAKS.matches(text, start))


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab1- é文😀"), max_size=20))
def test_offsets_are_characters(before: str) -> None:
    hold = HoldBack([sk])
    assert hold.live_from(f"{before} sk-ab", 0) == len(before) + 1
    assert [place[:2] for place in hold.matches(f"{before} sk-abcd", 0)][-1:] == [(len(before) + 1, len(before) + 8)]


def test_ordinary_sentences_are_let_go() -> None:
    texts = [sentence[:cut] for sentence in SENTENCES for cut in range(1, len(sentence) + 1)]
    lengths = [len(held(hold_back(SECRETS), text)) for text in texts]
    assert sum(lengths) / len(lengths) < 5
    assert max(lengths) <= 24


def test_only_the_last_word_of_ordinary_sentences_is_held() -> None:
    for sentence in SENTENCES[:4]:
        for cut in range(1, len(sentence) + 1):
            kept: Any = held(LEAKS, sentence[:cut])
            assert len(kept.split()) <= 1, kept


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=string.ascii_letters + string.digits + " -_.=:/\n\"'", max_size=120), st.integers(0, 120))
def test_one_look_sees_what_two_see(text: str, start: int) -> None:
    hold = hold_back(SECRETS)
    live, found = hold.look(text, start)
    assert live == hold.live_from(text, start)
    assert found == hold.matches(text, start)
