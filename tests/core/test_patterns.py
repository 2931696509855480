from __future__ import annotations

import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core import patterns
from llmtrace_sdk.core.model import Severity
from llmtrace_sdk.core.patterns import Backend, PatternSet, Rule, python_syntax

BACKENDS: tuple[Backend, ...] = ("re2", "re")
both = pytest.mark.parametrize("backend", BACKENDS)


def rule(pattern: str, **fields: Any) -> Rule:
    return Rule(
        **{
            "id": "test.rule",
            "type": "test",
            "pattern": pattern,
            "severity": Severity.LOW,
            "confidence": 0.5,
            "phases": frozenset({"input"}),
            "channels": frozenset({"user"}),
            "category": "test",
            "owasp": "LLM01",
            "max_length": 50,
            "examples": ("", ""),
            "near_misses": ("", ""),
            **fields,
        }
    )


def found(rules: list[Rule], text: str, backend: Backend = "re2") -> list[list[str]]:
    matcher = PatternSet(rules, backend=backend)
    return [[text[s:e] for s, e in matcher.spans(i, text, 100)] for i in matcher.match(text)]


@both
def test_which_rules_match_and_where(backend: Backend) -> None:
    matcher = PatternSet([rule("cat"), rule("(?i)dog"), rule(r"\bbird\b")], backend=backend)
    assert matcher.match("a DOG and a cat, no birds, a dog") == [0, 1]
    assert matcher.spans(1, "a DOG and a cat, no birds, a dog", 10) == [(2, 5), (29, 32)]
    assert matcher.spans(1, "a DOG and a cat, no birds, a dog", 1) == [(2, 5)]
    assert matcher.match("fish") == []
    assert matcher.match("") == []
    assert matcher.spans(0, "fish", 10) == []


@both
def test_no_rules(backend: Backend) -> None:
    assert PatternSet([], backend=backend).match("anything") == []


@both
@pytest.mark.parametrize("before", ["", "é", "日本語 ", "😀😀 ", "\ud800", "\x00", "ß\udfff\x00😀"])
def test_offsets_are_characters(backend: Backend, before: str) -> None:
    text = f"{before}find it{before}find{before}"
    spans = PatternSet([rule("find")], backend=backend).spans(0, text, 10)
    start = len(before)
    assert spans == [(start, start + 4), (2 * start + 7, 2 * start + 11)]


@both
def test_the_place_of_a_group(backend: Backend) -> None:
    keyed = rule(r"key=(\w{1,9})é", group=1)
    assert found([keyed], "ü key=abcé key=dé", backend) == [["abc", "d"]]


@both
def test_a_tail_goes_on_up_to_the_maximum_length(backend: Backend) -> None:
    token = rule(r"\btk_[a-z]{2}", tail="[a-z]*", max_length=20)
    assert found([token], "tk_abcdef tk_a tk_xy.", backend) == [["tk_abcdef", "tk_xy"]]
    assert found([token], "é tk_" + "a" * 100, backend) == [["tk_" + "a" * 17]]
    assert found([token], "tk_" + "a" * 100, backend) == [["tk_" + "a" * 17]]


@both
def test_a_match_inside_the_tail_of_the_one_before_is_part_of_it(backend: Backend) -> None:
    assert found([rule("ab", tail="[a-c]*")], "abcabc ab", backend) == [["abcabc", "ab"]]


@both
def test_case_is_ignored_in_every_script_and_word_characters_are_ascii(backend: Backend) -> None:
    assert found([rule("(?i)é\\b"), rule(r"a\w"), rule(r"x\sy")], "É\u00a0 aé ab x\u00a0y", backend) == [["ab"]]
    assert found([rule("(?i)école")], "ÉCOLE", backend) == [["ÉCOLE"]]


def test_literals_are_looked_for_in_the_folded_text() -> None:
    assert found([rule("(?i)system", literals=("system",))], "\u017fy\u017ftem SYSTEM", "re") == [
        ["\u017fy\u017ftem", "SYSTEM"]
    ]
    assert found([rule("(?i)system", literals=("absent",))], "system", "re") == []


def test_a_pattern_that_re2_refuses_runs_on_re() -> None:
    rules = [rule("one"), rule(r"two(?= three)"), rule("three")]
    assert found(rules, "two three") == [["two"], ["three"]]
    assert PatternSet(rules).match("one two three") == [0, 1, 2]


def test_a_pattern_that_nobody_takes_is_an_error_that_names_it() -> None:
    with pytest.raises(re.error):
        PatternSet([rule("(")]).match("x")


def test_without_re2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    assert found([rule("one"), rule("two")], "é two") == [["two"]]


def test_a_set_too_big_for_its_memory_is_matched_rule_by_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "SET_MEMORY", 15_000)
    rules = [rule(rf"word{i} \w{{1,30}} end") for i in range(20)]
    options = patterns._options(re2)
    compiled = re2.Set.SearchSet(options)
    for each in rules:
        compiled.Add(each.pattern)
    with pytest.raises(re2.error):
        compiled.Compile()
    assert found(rules, "word3 x end, word19 y end") == [["word3 x end"], ["word19 y end"]]


def test_an_automaton_that_runs_out_of_memory_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # RE2::Set then answers as if nothing matched, and its Python wrapper drops the error.
    monkeypatch.setattr(re2.Set, "Match", lambda *_: None)
    matcher = PatternSet([rule("one"), rule("two"), rule("three", probe="thr")])
    assert matcher.match("three, two") == [1, 2]


def test_a_loose_probe_may_match_where_the_rule_does_not() -> None:
    matcher = PatternSet([rule("cats and dogs", probe="cats")])
    assert matcher.match("cats") == [0]
    assert matcher.spans(0, "cats", 10) == []


@given(
    st.lists(st.sampled_from(["a", "b", "bb", "key ", "é", "zzzzzzzz", " ", "yek", "k"]), max_size=60).map("".join),
    st.integers(1, 5),
)
def test_searching_around_a_probe_finds_what_searching_everything_does(text: str, limit: int) -> None:
    pattern, probe = r"a[ab ]{0,6}key[ a]{0,6}b", "key"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns, "STRIDE", 2)
        around = PatternSet([rule(pattern, probe=probe, max_length=16)]).spans(0, text, limit)
    assert around == PatternSet([rule(pattern, max_length=16)]).spans(0, text, limit)


def test_a_long_match_that_crosses_a_stride_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "STRIDE", 10)
    text = "key " * 20 + "key" + "-" * 45 + "end" + " key" * 20
    assert found([rule("key-{1,60}end", probe="key", max_length=66)], text) == [["key" + "-" * 45 + "end"]]


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=80))
def test_no_text_is_refused_and_spans_are_matches(text: str) -> None:
    rules = [rule(r"(?i)[a-c]{2}|\d+"), rule(r"\w{1,3}\s"), rule(r"(?m)^\W")]
    for backend in BACKENDS:
        matcher = PatternSet(rules, backend=backend)
        for index in matcher.match(text):
            spans = matcher.spans(index, text, 100)
            assert spans
            assert all(re.fullmatch(python_syntax(rules[index].pattern), text[s:e]) for s, e in spans)


@given(st.text(alphabet="abK\u017fé1 \n\x00\ud800", max_size=40))
def test_both_engines_agree(text: str) -> None:
    rules = [rule(r"(?i)k[^\s\d]s?"), rule(r"\b[ab]\b"), rule(r"(?im)^É"), rule(r"\x00\z|\W1")]
    assert found(rules, text, "re") == found(rules, text, "re2")


@pytest.mark.parametrize(
    ("pattern", "translated"),
    [
        (r"\bone\d", r"(?a:\b)one(?a:\d)"),
        (r"[\w.]\w", r"[0-9A-Za-z_.](?a:\w)"),
        (r"[^\s\]]\s", r"[^\t\n\f\r \]](?a:\s)"),
        (r"\[\W\.\z", r"\[(?a:\W)\.\Z"),
    ],
)
def test_python_syntax(pattern: str, translated: str) -> None:
    assert python_syntax(pattern) == translated


def test_many_threads_may_begin_at_once() -> None:
    matcher = PatternSet([rule(rf"word{i}\b") for i in range(50)])
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(matcher.match, ["word7 word42"] * 200))
    assert answers == [[7, 42]] * 200


def test_time_is_linear_in_hostile_text() -> None:
    rules = [rule(r"(?i)ignore\s{1,6}(?:\w{1,14}\s{1,6}){0,5}instructions", probe=r"(?i)ignore\s+(?:\w+\s+){0,5}")]
    matcher = PatternSet(rules)
    began = time.thread_time()
    for text in ("ignore " * 150_000, "ignore" * 160_000, " " * 1_000_000):
        for index in matcher.match(text):
            assert matcher.spans(index, text, 1024) == []
    assert time.thread_time() - began < 5


@both
def test_rules_that_share_a_probe_are_tried_together(backend: Backend) -> None:
    rules = [
        rule("(?i)a (rule)", probe="(?i)rule", group=1),
        rule(r"\d rules?", probe="(?i)rule"),
        rule("(?i)c rule{1,9}", probe="(?i)rule", tail="s+"),
        rule("other"),
    ]
    matcher = PatternSet(rules, backend=backend)
    shared = (0, 1, 2)
    filler = "rule, " * 2000
    for text, hit in (("A RULE", True), ("1 rule", True), ("C rules", True), ("1 RULE", False), ("rule", False)):
        for around in (text, f"{filler}{text}; {filler}"):
            assert not hit or matcher.any_of(shared, around)
            assert bool([n for n in shared if matcher.spans(n, around, 9)]) is hit
    if backend == "re2":
        assert matcher.groups("a rule other") == [shared, (3,)]
        assert not matcher.any_of(shared, f"{filler}1 RULE; {filler}")
        assert matcher.match("rules and others") == [0, 1, 2, 3]
