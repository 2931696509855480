from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.clauses import MOST, Clause, Way
from llmtrace_sdk.core.gate import Entry, Gate, meets, needs_of
from llmtrace_sdk.core.words import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence


def clause(*pieces: str) -> Clause:
    return frozenset(pieces)


def gate_of(ways: Sequence[Sequence[Way]], ascii_only: Sequence[bool] | None = None, max_length: int = 100_000) -> Gate:
    """A gate for rules that can match in these ways, however far their words are apart."""
    possible = ascii_only or [True] * len(ways)
    return Gate([Entry(each, ascii_, max_length) for each, ascii_ in zip(ways, possible, strict=True)])


def one_way(
    needs: Sequence[Sequence[Clause]], ascii_only: Sequence[bool] | None = None, max_length: int = 100_000
) -> Gate:
    """A gate for rules that can match in one way each."""
    return gate_of([[tuple(clauses)] for clauses in needs], ascii_only, max_length)


def through(gate: Gate, text: str) -> list[int]:
    return sorted(gate.candidates(tokens(text), ascii_only=text.isascii()))


def test_every_clause_needs_one_of_its_pieces() -> None:
    gate = one_way([[clause("ignore", "forget"), clause(" rule", "order")], [], [clause("order")]])
    assert through(gate, "") == [1]
    assert through(gate, "forget it") == [1]
    assert through(gate, "Forget the RULES") == [0, 1]
    assert through(gate, "ferrules to ignore") == [1]
    assert through(gate, "disorderly") == [1, 2]
    assert through(gate, "ignored disorder") == [0, 1, 2]


def test_edges_of_words() -> None:
    gate = one_way([[clause(" the ")], [clause("the ")], [clause(" the")], [clause("the")]])
    assert through(gate, "The") == [0, 1, 2, 3]
    assert through(gate, "bathe") == [1, 3]
    assert through(gate, "them") == [2, 3]
    assert through(gate, "bathed") == [3]


def test_pieces_inside_one_another_are_all_seen() -> None:
    gate = one_way([[clause("ab")], [clause("abc")], [clause("bc")], [clause("b")], [clause(" abc ")]])
    assert through(gate, "abc") == [0, 1, 2, 3, 4]


def test_ascii_texts_pass_only_what_can_match_them() -> None:
    gate = one_way([[], [], [clause("key")]], [True, False, False])
    assert through(gate, "key") == [0]
    assert through(gate, "key ж") == [0, 1, 2]


def test_no_rules_and_no_needs() -> None:
    assert through(Gate([]), "anything") == []
    assert through(one_way([[]]), "") == [0]
    assert through(one_way([[]], [False]), "") == []


def test_the_same_piece_in_several_places() -> None:
    gate = one_way([[clause("a b"), clause("key")], [clause("key"), clause("x")], [clause("x", "key")] * MOST])
    assert through(gate, "key") == [2]
    assert through(gate, "x key") == [1, 2]


@pytest.mark.parametrize(
    ("piece", "text"),
    [(" dan ", "яDANя"), ("dan ", "DAN指"), (" dan", "ßdan"), (" все", "xвсе"), ("οδηγιεσ", "ΟΔΗΓΙΕΣ"), ("σ ", "ος.")],
)
def test_words_end_where_another_script_begins_and_sigma_is_sigma(piece: str, text: str) -> None:
    # `\b` is ASCII, so it holds between a Latin letter and one of another script; RE2 tells no kinds of sigma apart.
    assert through(one_way([[clause(piece)]]), text) == [0]


WORDS = ["ab", "abc", "b", "key", "ж", "指", "жз", "x"]


@given(
    st.lists(st.lists(st.frozensets(st.sampled_from(WORDS), min_size=1), max_size=MOST), max_size=70),
    st.lists(st.sampled_from([*WORDS, "other", "abkey"]), max_size=12),
)
def test_a_gate_is_the_conjunction_of_its_clauses(needs: list[list[Clause]], words: list[str]) -> None:
    haystack = f" {' '.join(words)} "
    expected = [n for n, clauses in enumerate(needs) if all(any(p in haystack for p in one) for one in clauses)]
    assert sorted(one_way(needs).candidates(words, ascii_only=False)) == expected


@given(
    st.lists(
        st.lists(st.lists(st.frozensets(st.sampled_from(WORDS), min_size=1), max_size=MOST), max_size=4), max_size=40
    ),
    st.lists(st.sampled_from([*WORDS, "other"]), max_size=8),
    st.booleans(),
)
def test_a_rule_passes_if_one_of_its_ways_does(
    rules: list[list[list[Clause]]], words: list[str], ascii_only: bool
) -> None:
    ways: list[list[Way]] = [[tuple(way) for way in rule] for rule in rules]
    possible = [number % 3 > 0 for number in range(len(rules))]
    expected = {
        number
        for number, rule in enumerate(rules)
        if (possible[number] or not ascii_only)
        and any(one_way([way]).candidates(words, ascii_only=False) for way in rule)
    }
    assert set(gate_of(ways, possible).candidates(words, ascii_only=ascii_only)) == expected


@pytest.mark.parametrize("max_length", [10, 199, 200, 201, 600, 900])
@pytest.mark.parametrize("sign", ["x", "ж", "指", "a指"])
def test_words_may_be_as_far_apart_as_a_match_is_long(sign: str, max_length: int) -> None:
    gate = one_way([[clause(" begin"), clause("final ")], [clause("never"), clause("final")]], max_length=max_length)
    between = (sign * max_length)[: max(max_length - len("begin  final"), 0)]
    for before in range(0, 1200, 17):
        assert through(gate, f"{'o' * before} begin {between} final so") == [0]


def test_without_the_library_it_is_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ahocorasick_rs", None)
    with pytest.raises(ImportError):
        Gate([])


def test_threads_share_a_gate() -> None:
    gate = one_way([[clause(f"w{'abcdefghij'[n]}")] for n in range(10)])
    texts = [f"w{'abcdefghij'[n % 10]} " * 50 for n in range(400)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda text: through(gate, text), texts)) == [[n % 10] for n in range(400)]


def test_time_is_linear() -> None:
    gate = one_way([[clause("a" * n)] for n in range(1, 60)])
    words = ["a" * 10_000, *["aaa"] * 10_000]
    began = time.thread_time()
    gate.candidates(words, ascii_only=True)
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    ("max_length", "gap", "passes"),
    [(200, 150, True), (200, 335, False), (600, 550, True), (600, 735, False), (9_100, 9_000, True)],
)
def test_words_must_be_as_close_as_a_match_is_long(max_length: int, gap: int, passes: bool) -> None:
    gate = gate_of([[(clause(" ignore "), clause(" rules "))]], max_length=max_length)
    for before in range(0, 800, 37):
        text = f"{'x ' * before}ignore{' ' + 'y' * (gap - 2) + ' '}rules"
        assert (through(gate, text) == [0]) >= passes
        if not passes:
            assert through(gate, text) == []


def test_what_a_rule_needs_of_the_words() -> None:
    needs = needs_of([(clause(" ignore ", " leave out "), clause("rule"), clause(" all ")), (clause(" dan "),)])
    assert meets({"ignore", "all"}, needs)
    assert meets({"leave", "all"}, needs)  # one word of a phrase is looked for
    assert meets({"dan"}, needs)
    assert not meets({"ignore", "rule"}, needs)
    assert not meets({"ignored", "all"}, needs)
    assert not meets(set(), needs)
    assert meets(set(), needs_of([()]))
    assert not meets({"dan"}, needs_of([]))


PIECES = ["ab", " ab", "ab ", " ab ", " ab key ", "key", " ж ", "指", " ab ж"]


@given(
    st.lists(st.lists(st.frozensets(st.sampled_from(PIECES), min_size=1), max_size=MOST), max_size=3),
    st.lists(st.sampled_from([*WORDS, "xab"]), max_size=6),
)
def test_a_text_that_can_match_has_what_is_needed(ways: list[list[Clause]], words: list[str]) -> None:
    haystack = f" {' '.join(words)} "
    can_match = any(all(any(piece in haystack for piece in one) for one in way) for way in ways)
    assert meets(set(words), needs_of(map(tuple, ways))) >= can_match


def test_a_word_said_without_end_takes_no_time_for_many_rules() -> None:
    gate = one_way([[clause(" rules "), clause(f" w{'abcdefghij'[n]} ")] for n in range(10)] * 6, max_length=200)
    words = [*["rules"] * 60_000, *["filler"] * 100, *(f"w{letter}" for letter in "abcdefghij")]
    began = time.thread_time()
    assert gate.candidates(words, ascii_only=True) == set()
    assert time.thread_time() - began < 2
