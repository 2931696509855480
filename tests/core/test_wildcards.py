from __future__ import annotations

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmtrace_sdk.core.wildcards import compiled


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("gpt-*", "gpt-5", True),
        ("gpt-*", "gpt-", True),
        ("gpt-*", "my-gpt-5", False),
        ("*-mini", "gpt-5-mini", True),
        ("*-mini", "gpt-5-mini\n", False),
        ("*", "", True),
        ("*", "a\nb", True),
        ("acme", "Acme", False),
        ("a.c", "abc", False),
        ("t?", "t1", True),
        ("t?", "t", False),
        ("t[0-9]", "t7", True),
        ("t[!0-9]", "t7", False),
        ("t[", "t[", True),
        ("(a|b)+$", "(a|b)+$", True),
        ("a*b*c", "a--b--c", True),
        ("a*b*c", "a--c--b", False),
    ],
)
def test_patterns(pattern: str, name: str, expected: bool) -> None:
    assert (compiled(pattern).fullmatch(name) is not None) is expected


@given(st.text("ab-]![*?\\^&|~\n.", max_size=10), st.text("ab-]![*?\\^&|~\n.", max_size=10))
@example("[a-]", "-")
@example("[b-a]", "b")
@example("[!b-a]", "b")
@example("[]", "[]")
@example("[!]", "[!]")
@example("[]-a]", "^")
@example("[a-a-b]", "-")
def test_means_what_the_standard_library_means(pattern: str, name: str) -> None:
    assert (compiled(pattern).fullmatch(name) is not None) == fnmatchcase(name, pattern)


ANY = st.text(st.sampled_from("[]!*?-") | st.characters(exclude_categories=()), max_size=20)


@given(ANY, ANY)
def test_any_pattern_can_be_compiled(pattern: str, name: str) -> None:
    for each in (name, pattern):
        assert (compiled(pattern).fullmatch(each) is not None) == fnmatchcase(each, pattern)


def test_no_name_takes_long() -> None:
    began = time.perf_counter()
    assert not compiled("a*a*a*a*a*a*a*a*b").fullmatch("a" * 100_000)
    assert time.perf_counter() - began < 2
