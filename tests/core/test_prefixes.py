from __future__ import annotations

from random import Random
from typing import Any

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_sdk.core.prefixes import (
    ANYTHING,
    begun,
    head,
    live_pattern,
    loosened,
    parts_of,
    prefix_pattern,
    reach,
    whole,
)
from llmtrace_sdk.core.text import fold
from llmtrace_sdk.detectors import _rules
from tests.core.matching_texts import matching
from tests.core.test_patterns import rule

ALL = [each for rules in _rules._by_type().values() for each in rules]
RULES = [each for number, each in enumerate(ALL) if "output" in each.phases or number % 8 == 0]


def compiled(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = 64 << 20
    return re2.compile(pattern.encode(), options)


def prefixes_of(pattern: str) -> Any:
    return compiled(rf"(?:{pattern})\z")


def live(pattern: str, text: str) -> int:
    """Where the live end of the text begins."""
    return int(prefixes_of(prefix_pattern(pattern)).search(text.encode()).start())


@pytest.mark.parametrize(
    ("pattern", "held", "released"),
    [
        (r"\bsk-[a-z]{4}", ["s", "sk", "sk-", "sk-abcd"], ["sk!", "sk-abcde", "asks ", "k-abc"]),
        (r"(?i)Key", ["K", "kE", "KEY"], ["keyk!", "ye"]),
        (r"(?i:a)b", ["A", "Ab"], ["AB"]),
        (r"a(?:bc|d[ef]){2}g", ["ab", "abcd", "abcde", "adfbcg"], ["abcdeb", "adg"]),
        (r"x[0-9]{3,5}\b", ["x", "x1", "x12345"], ["x123456", "x1a"]),
        (r"ab(?:[^a-z]|\z)", ["ab", "ab1"], ["abc", "ab12"]),
        (r"(?m)^ab$\nc", ["a", "ab", "ab\n"], ["xab", "ab\nd"]),
        (r"(?s)a.b", ["a\n", "a\nb"], ["a\nc"]),
        (r"a.b", ["ax", "axb"], ["a\n"]),
        (r"a[^\d\s]{2}?\W*z", ["abc", "abc!!!", "abc!z"], ["a1", "abc1"]),
        (r"key\b[= ]+v", ["key", "key ", "key = v"], ["keyv"]),
        ("é[ä-ü]+文", ["é", "éä", "éöü文"], ["éa", "文"]),
        (r"\.\$\{", [".", ".$", ".${"], [".{", "$"]),
        (r"a{0}b", ["b"], ["a"]),
        (r"(?:a+){2,}c", ["a", "aaaa", "aac"], ["b"]),
    ],
)
def test_what_may_become_a_match_is_matched_and_nothing_else(
    pattern: str, held: list[str], released: list[str]
) -> None:
    assert {text: live(pattern, text) for text in held} == dict.fromkeys(held, 0)
    assert all(live(pattern, text) > 0 for text in released)


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "(?=a)b", "a++b", r"[\ud800]", "(?>a)"])
def test_a_pattern_that_cannot_be_read_may_have_any_prefix(pattern: str) -> None:
    assert prefix_pattern(pattern) == ANYTHING
    assert live_pattern(rule(pattern)) == ANYTHING


def test_a_long_literal_is_not_nested_too_deep() -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
    assert live(text, f"..{text[:1700]}") == 2
    assert live(text, f"..{text[1:1700]}") == 2 + 3 * 1699


def test_a_tail_goes_on() -> None:
    keyed = rule("key-([a-z]{2})", group=1, tail="(?:[.][0-9]+)*[.]x")
    found = prefixes_of(live_pattern(keyed))
    for text in ("ke", "key-ab", "key-ab.", "key-ab.12", "key-ab.12.3.", "key-ab.12.x"):
        assert found.search(text.encode()).start() == 0
    for text in ("key-abc", "key-ab.12.xy", "key-a."):
        assert found.search(text.encode()).start() == len(text)


def test_behind_a_group_that_ends_early_anything_may_follow() -> None:
    keyed = rule("key-([a-z]{2});", group=1, tail=".*?end")
    assert prefixes_of(live_pattern(keyed)).search(b"a key-ab; and so on").start() == 2


def test_what_a_match_can_extend_over() -> None:
    assert reach(rule("a{9}", max_length=9)) == 9
    assert reach(rule("a{9}", max_length=20, tail="a*")) == 20
    assert reach(rule("a{9}(b)", max_length=20, group=1, tail="b*")) == 30
    assert reach(rule("a*(b)", max_length=20, group=1, tail="b*")) == 40
    assert reach(rule("(", max_length=20, group=1, tail="b*")) == 40


@pytest.mark.parametrize("each", RULES, ids=lambda each: each.id)
def test_every_prefix_of_a_match_of_every_shipped_rule(each: Any) -> None:
    rng = Random(each.id)
    exact, loose = prefixes_of(live_pattern(each)), prefixes_of(live_pattern(each, loose=True))
    parts = parts_of(each.pattern)
    assert parts is not None
    beginnings = [compiled(whole(some)) for some in (head(parts)[0], loosened(parts))]
    for example in (*each.examples[:4], *(matching(each.pattern, rng) for _ in range(2))):
        data = fold(example).text.encode("utf-8", "replace")
        for found in list(compiled(each.pattern).finditer(data))[:2]:
            assert all(regex.match(data, found.start()) for regex in beginnings)
            for cut in _cuts(data, found.start(), found.end(), rng):
                assert exact.search(data[:cut]).start() <= found.start(), data[:cut]
                assert loose.search(data[:cut]).start() <= found.start(), data[:cut]


def _cuts(data: bytes, start: int, end: int, rng: Random) -> list[int]:
    """Some of the places between characters, the first and the last one among them."""
    cuts = [cut for cut in range(start + 1, end + 1) if data[cut : cut + 1] < b"\x80" or data[cut : cut + 1] >= b"\xc0"]
    return cuts if len(cuts) <= 16 else [*cuts[:1], *cuts[-1:], *rng.sample(cuts, 14)]


ALPHABET = st.sampled_from("ab-")
LEAVES = st.sampled_from(
    ["a", "b", "-", "[ab]", "[^a]", r"\b", r"\w", r"\z", "(?i:A)", "", ".", r"\B", "a{2,3}", "[ab]{2}"]
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    many = st.lists(inner, min_size=1, max_size=4)
    group = many.map("|".join).map("(?:{})".format)
    return (
        group
        | many.map("".join)
        | st.tuples(group, st.sampled_from(["?", "*", "{2}", "{1,3}", "+?", "{2,}"])).map("".join)
    )


@settings(max_examples=400, deadline=None)
@given(st.recursive(LEAVES, _grown, max_leaves=12), st.text(ALPHABET, max_size=9))
def test_no_prefix_of_any_match_of_any_pattern_is_missed(pattern: str, text: str) -> None:
    try:
        regex = re2.compile(pattern.encode())
    except re2.error:
        return
    exact = prefixes_of(prefix_pattern(pattern))
    parts = parts_of(pattern)
    assert parts is not None
    first = head(parts)[0]
    starting, beginning = prefixes_of(begun(first)), re2.compile(whole(first).encode())
    loose = prefixes_of(begun(loosened(parts)))
    for begin in range(len(text)):
        found = regex.match(text.encode(), begin)
        for cut in range(begin, found.end() + 1 if found else 0):
            before = text[:cut].encode()
            assert exact.search(before).start() <= begin
            assert loose.search(before).start() <= begin
            assert starting.search(before).start() <= begin or beginning.match(before, begin)
