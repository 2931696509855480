from __future__ import annotations

import re._parser as syntax  # type: ignore[import-not-found]
import time
from functools import cache
from random import Random
from typing import Any

import pytest
import re2
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from llmtrace_sdk.core.clauses import MOST, matches_ascii, ways_of
from llmtrace_sdk.core.model import Severity
from llmtrace_sdk.core.patterns import Rule, python_syntax
from llmtrace_sdk.core.rulebook import Rulebook
from llmtrace_sdk.core.text import fold, fold_pattern
from llmtrace_sdk.core.words import tokens

from .matching_texts import matching

AROUND = ["", " ", "x", "9", "_", ".", "\n", '"', "я", "Σ", "ß", "指", "ก", "가", "क", "الف"]

# Where something is optional, or only looks like the edge of a word, or two spellings are one.
TRICKY = [
    r"(?i)\b(?:ignore|forget)(?:[\s,]{1,4}(?:all|any))?[\s,]{1,4}(?:previous|above)[\s,]{1,4}rules?\b",
    r"(?:instr|)uctions",
    r"(?:|re)set (?:me|)",
    r"(?i)(?:un)?(?:restrict|filter)(?:ed|s)?\b",
    r"\bfoo\Bbar",
    r"x?\by?\bz",
    r"(?:\b|_)token",
    r"\bword(?:\b|s)",
    r"(?:ab|cd){2}x",
    r"(?:(?:a|b){1,2}c|d(?:e|f|)g){1,3}h",
    r"a(?:b(?:c(?:d|e)?)?)?f",
    r"(?:one two|three)four",
    r"a'b cde",
    r"don'?t (?:you|u)",
    r"don[' ]t",
    r"e-?mail",
    r"[a-c]?[dx]{0,2}end",
    r"[^a-z]{1,3}bar",
    r"foo[^\s]{0,3}bar",
    r"foo\W{1,3}bar",
    r"foo\Wbar",
    r"foo\sbar",
    r"foo\s?bar",
    r"foo[\s\"',:;]{1,4}bar",
    r"foo[\s\"',:;]{0,4}bar",
    r"foo[-_ ]bar",
    r"foo[-_ ]?bar",
    r"foo[\sx]{1,3}bar",
    r"foo.bar",
    r"(?s)foo.{0,9}bar",
    r"^begin|end$",
    r"(?m)^(?:system|user)\s{0,3}:",
    r"(?:^|[\n.!?])[ \t]{0,3}note",
    r"\d{2,4} words?",
    r"\b756[. ]?\d{4}[. ]?\d{4}\b",
    r"\d(?:[ .-]{0,3}\d){3,5}x",
    r"[0-9]{3}[1-9][ab]{2,3}",
    r"a{20}b",
    r"foo[\s_]{1,4}bar[\s_]{0,4}baz",
    r"foo[\s_]{0,2}(?:bar|the[\s_]{1,4}end)[\s_]{1,4}(?:of|in[\s,]{1,3}to) it",
    r"\b(?:say|give[\s,]{1,4}up)[\s,]{1,4}(?:\w{1,9}[\s,]{1,4}){0,3}?(?:rule|law)",
    r"(?:\w{1,9}[\s,]{1,4}){1,2}(?:x[\s,]{1,4}y)?all",
    r"(?:ab[\s,]{1,4}c|)(?:de[\s,]{1,4}f|)gh",
    r"क[ािी]{1,2}म",
    r"के\Wका",
    r"指[\s,]{0,3}示[\s,]{1,3}令",
    r"забудь[\s,]{1,3}(?:все|эти[\s,]{1,3}правила)",
    r"1[0-3] keys",
    r"base ?64|rot-?13",
    r"v[1-3]\.[0-9]",
    r"(?i:CAPS) only",
    r"(?i)straße|STRASSE",
    r"(?i)vergi(?:ss|ß)",
    r"(?i)οδηγιες",
    r"(?i)τις[\s,]{1,3}προηγουμενες[\s,]{1,3}οδηγιες",
    r"(?i)забудь[\s,]{1,3}все",
    r"(?i)все\b",
    r"\bвсе",
    r"(?i)всех",
    r"忽略(?:之前|以上)?(?:的)?(?:所有)?指令",
    r"[忽无]略[\s，]{0,2}指[令示]",
    r"(?:AI|人工智能)助手",
    r"무시(?:하|해)[\s,]{0,2}지시",
    r"ไม่ต้อง(?:ทำ|)ตาม",
    r"निर्देश(?:ों)?[\s,]{1,3}भूल",
    r"क[ािी]म",
    "x[\u093e\u093f]{1,2}abc",
    r"تجاهل[\s،]{1,3}(?:كل)?",
    r"\\x41|\[b\]|\(c\)|a\.b|\$\{d\}",
    r"<\|?(?:im_start|system)\|?>",
    r"\[/?INST\]",
    r"a{0}bc",
    r"(?:abc){0}de",
    r"(?:abc){0,1}?de",
    r"(?:(?:(?:deep)))er",
    r"(?P<name>named) group",
    r"\x00null",
    r"a\x01b",
    r"_under_score_",
    r"ς|Σ|σ",
    r"",
    r"(?:)",
    r"a|",
]


LONG = [
    r"(?i)begin(?s:.){0,178}final",
    r"begin(?s:.){0,580}final",
    r"指示指示指(?s:.){0,179}無視無視無",
    r"(?i)\b(?:ignore|forget)(?:[\s,]{1,4}[^\s,]{1,16}){0,8}?[\s,]{1,4}(?:previous|above)(?:[\s,]{1,4}\w{1,9}){0,3}rules",
    r"(?i)забудь(?:[\s,]{1,4}[^\s,]{1,16}){0,8}?[\s,]{1,4}правила",
    r"忽略[^。]{0,90}指令",
]
VERY_LONG = r"begin(?s:.){0,750}(?s:.){0,750}final"


@cache
def gated(pattern: str) -> Rulebook:
    """A rule that nothing but the gate is asked about before it is tried."""
    _, longest = syntax.parse(python_syntax(pattern)).getwidth()
    rule = Rule(
        id="test.rule",
        type="test",
        pattern=pattern,
        severity=Severity.LOW,
        confidence=0.5,
        phases=frozenset({"input"}),
        channels=frozenset({"user"}),
        category="test",
        owasp="LLM01",
        max_length=max(longest, 1),
        examples=("", ""),
        near_misses=("", ""),
        languages=("fi",),
        technique="override",
    )
    return Rulebook([rule])


def let_through(pattern: str, text: str) -> bool:
    return gated(pattern).match(text, tokens(text)) == [0]


@cache
def compiled(pattern: str) -> Any:
    return re2.compile(pattern)


def hides(pattern: str, text: str) -> bool:
    """Whether a match that RE2 finds in a text, folded as all texts are, is not let through."""
    seen = fold(text).text
    found = compiled(pattern).search(seen.encode("utf-8", "replace").decode())
    return found is not None and not let_through(pattern, seen)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(?i)\bignora[\s,]{1,4}todo", "яIGNORA, todoж"),
        (r"(?i)οδηγιες", "ΟΔΗΓΙΕΣ:ΝΕΕΣ"),
        (r"(?i)οδηγιες", "οδηγιεσ"),
        (r"(?i)забудь[\s,]{1,3}все", "забу\u1c81ь \u1c80се"),
        (r"(?i)kelvin[\s,]{1,3}scales", "\u212aelvin \u017fcale\u017f"),
        (r"(?i)straße", "STRAẞE"),
        (r"(?i)masse\b", "MASSEß"),
        (r"\bfoos\b", "指foos指"),
    ],
)
def test_what_re2_takes_for_the_same_is_not_hidden(pattern: str, text: str) -> None:
    assert re2.compile(pattern).search(fold(text).text)
    assert not hides(pattern, text)


@pytest.mark.parametrize("pattern", TRICKY, ids=range(len(TRICKY)))
def test_no_match_of_a_tricky_pattern_is_hidden(pattern: str) -> None:
    rng = Random(1)
    for _ in range(20):
        text = rng.choice(AROUND) + matching(pattern, rng) + rng.choice(AROUND)
        for spelling in (text, text.upper(), text.lower(), text.swapcase()):
            assert not hides(pattern, spelling), (pattern, spelling)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from(TRICKY))
def test_nor_is_one_that_somebody_else_thought_of(data: st.DataObject, pattern: str) -> None:
    text = data.draw(st.from_regex(python_syntax(pattern)))
    assert not hides(pattern, text)
    assert not hides(pattern, text.upper())


ATOMS = [
    *("ab", "cd", "e", "1", "a1b", " ", "'", "-", "_", ".", "^", "$", ""),
    *("指", "示", "ый", "Я", "ß", "ς", "Σ", "ση", "ก", "कि", "가", "é", "ال"),
    *(r"\.", r"\b", r"\b", r"\d", r"\w", r"\s", r"\W", r"\B", r"\n"),
    *("[ab]", "[a-z]", "[^a]", "[ ,]", r"[\s,]", r"[\s\"',:;]", "[а-я]", "[指示]", "[1-3]", "[-_ ]"),
]
REPEATS = ["", "", "", "?", "{1,3}", "{2}", "{0,2}", "??", "{1,2}?", "{0}", "{0,1}"]


def patterns(depth: int = 2) -> st.SearchStrategy[str]:
    part = st.sampled_from(ATOMS)
    if depth:
        choices = st.lists(patterns(depth - 1), min_size=1, max_size=3)
        part = part | choices.map(lambda parts: f"(?:{'|'.join(parts)})")
    return st.lists(st.tuples(part, st.sampled_from(REPEATS)).map(repeated), min_size=1, max_size=5).map("".join)


def repeated(part: tuple[str, str]) -> str:
    atom, repeat = part
    whole = len(atom) == 1 or atom[:1] in ("[", "(") or (atom[:1] == "\\" and len(atom) == 2)
    return atom + repeat if whole and atom not in ("^", "$", r"\b", r"\B") else atom


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@example(r"\bab", False, 7)
@example(r"指\b", True, 3)
@given(patterns(), st.booleans(), st.integers(0, 1 << 32))
def test_no_match_of_any_pattern_is_hidden(pattern: str, ignore_case: bool, seed: int) -> None:
    pattern = f"(?i){pattern}" if ignore_case else pattern
    rng = Random(seed)
    for _ in range(4):
        text = rng.choice(AROUND) + matching(pattern, rng) + rng.choice(AROUND)
        assert not hides(pattern, rng.choice([text, text.upper(), text.lower()]) if ignore_case else text)


@pytest.mark.parametrize("filler", ["lorem ipsum, ", "指示 を", "и так ", "9.", "-", "instructions "], ids=ascii)
@pytest.mark.parametrize("pattern", LONG, ids=range(len(LONG)))
def test_no_match_is_hidden_wherever_it_is_in_a_long_text(pattern: str, filler: str) -> None:
    rng = Random(2)
    for size in range(0, 1300, 61):
        before = (filler * 400)[:size]
        text = f"{before} {matching(pattern, rng)} {filler * rng.randrange(60)}"
        assert not hides(pattern, text), (size, text)


def test_a_match_may_be_as_long_as_it_is_allowed_to_be() -> None:
    for pattern, longest in ((LONG[0], 188), (LONG[1], 590), (LONG[2], 189), (VERY_LONG, 1510)):
        first, last = pattern.removeprefix("(?i)")[:5], pattern[-5:]
        for sign in "x.指ж ":
            for before in range(0, 420, 7 if longest < 1000 else 97):
                assert not hides(pattern, f"{'.' * before} {first}{sign * (longest - 10)}{last}")


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (r"\b(?:ignore|forget) (?:the )?rules\b", ["follow the rules", "unforgettable rules"]),
        (r"(?i)zapomen[\s,]{1,4}(?:na )?pravidla", ["zapomen na to", "pravidla hry"]),
        (r"忽略(?:所有)?指令", ["指示", "你好，今天天气怎么样"]),
        (r"(?i)забудь[\s,]{1,3}правила", ["забудь об этом", "правила игры"]),
        (r"fool.{0,9}barn", ["fool", "barn", "foobar"]),
        (r"(?:system|developer):", ["operator: hello"]),
    ],
)
def test_texts_without_the_words_stop_at_the_gate(pattern: str, texts: list[str]) -> None:
    for text in texts:
        assert not let_through(pattern, text), text


@pytest.mark.parametrize(
    ("pattern", "answer"),
    [
        ("abc", True),
        ("指示", False),
        ("[指示]", False),
        ("[指a]", True),
        ("[а-я]", False),
        ("[^a]", True),
        ("[^指]", True),
        ("a|指", True),
        ("ж|指", False),
        ("指?", True),
        ("指{0,3}a", True),
        ("指{1,3}a", False),
        ("(?:指|)", True),
        ("(?:a(?:b|指))", True),
        ("(?:a(?:ж|指))", False),
        (".", True),
        ("", True),
        (r"\b\d\s\w\W", True),
        ("(?i)σ", False),
    ],
)
def test_whether_ascii_can_match(pattern: str, answer: bool) -> None:
    assert matches_ascii(python_syntax(pattern)) is answer


@pytest.mark.parametrize("pattern", ["", "a", ".*", r"\d{3}", "[a-z]{4}", "(?:abc)?", "abc|", r"\b\B", "(?:a|.)bc?"])
def test_where_nothing_is_known_nothing_is_asked(pattern: str) -> None:
    assert not all(ways_of(python_syntax(pattern)))


def test_the_rarest_are_kept() -> None:
    (clauses,) = ways_of(r"\bto\b.{1,9}\bof\b.{1,9}\bextraordinarily\b.{1,9}\bis\b.{1,9}\bconfidential\b")
    assert 2 <= len(clauses) <= MOST
    assert {frozenset({" extraordinarily "}), frozenset({" confidential "})} <= set(clauses)
    assert clauses[0] == frozenset({" extraordinarily "})


def test_alternatives_at_the_top_are_ways_of_their_own() -> None:
    ways = ways_of("(?i)(?:first.{1,9}thing|(?:second|third).{0,3}case)")
    assert set(ways) == {
        (frozenset({"first"}), frozenset({"thing"})),
        (frozenset({"second", "third"}), frozenset({"case"})),
    }
    assert let_through("first.{1,9}thing|second.{0,3}case", "first of all things")
    assert let_through("first.{1,9}thing|second.{0,3}case", "a second case")
    assert not let_through("first.{1,9}thing|second.{0,3}case", "the thing is the second")


@pytest.mark.parametrize("diacritics", ["vergiß", "être", "öffne dich", "забудь всё", "αγνόησε", "ｆｕｌｌ", "ﬁle"])
def test_patterns_and_texts_are_folded_alike(diacritics: str) -> None:
    pattern = fold_pattern(rf"(?i)\b{diacritics}")
    for text in (diacritics, diacritics.upper(), diacritics.title()):
        assert not hides(pattern, text)


@pytest.mark.parametrize(
    "pattern", ["(?:a|b|c|d){1,4}" * 60, "(?:a|b)" * 60, "(?:" * 60 + "x" + ")?" * 60, "[abcdef]" * 40, "ab|" * 3000]
)
def test_a_pattern_that_stands_for_many_texts_takes_no_time(pattern: str) -> None:
    began = time.thread_time()
    ways_of(pattern)
    assert time.thread_time() - began < 1


@pytest.mark.parametrize(
    ("pattern", "ways"),
    [
        (r"\b(?a:sk-or-v1-[a-f0-9]{64})", [[{" sk or v0 "}]]),
        (r"756[. ]?\d{4}\b", [[{"0000000 ", "000 0000 "}]]),
        (r"\b(?:dump|show)[\s_]{1,4}(?:\w{1,9}[\s_]{1,4}){0,2}all[\s_]", [[{" dump ", " show "}, {" all "}]]),
        (r"drop\s{1,4}(?:table|user)", [[{"drop table", "drop user"}]]),
        (r"\b(?:gat|gat[\s,]{1,3}bo|loc)\b", [[{" gat ", " loc "}]]),
    ],
)
def test_what_is_told_of_a_pattern(pattern: str, ways: list[list[set[str]]]) -> None:
    assert [list(map(set, way)) for way in ways_of(python_syntax(pattern))] == ways
