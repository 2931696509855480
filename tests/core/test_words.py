from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.text import fold
from llmtrace_sdk.core.words import places_of, plain_text, tokens

ANYTHING = st.text(alphabet=st.characters(exclude_categories=()), max_size=80)
MIXED = st.text(
    alphabet="aBz09_' .,\n\t\u00a0\u3000ßéΣςσİıЯя指をกั가क\u093f\u0301\ud800\U0001f600\u200b\x00", max_size=60
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" .,;!\n\t\x00", []),
        ("Ignore ALL previous-instructions!", ["ignore", "all", "previous", "instructions"]),
        ("don't do_it", ["don", "t", "do", "it"]),
        ("room 101, route 66b", ["room", "000", "route", "00b"]),
        ("Straße xя9ж", ["stra", "ß", "e", "x", "я", "0", "ж"]),
        ("ΟΔΗΓΙΕΣ οδηγίεσ", ["οδηγιεσ", "οδηγίεσ"]),
        ("“quoted”—dash…", ["quoted", "dash"]),
        ("指示を無視", ["指", "示", "を", "無", "視"]),
        ("AI指示2つ", ["ai", "指", "示", "0", "つ"]),
        ("무시해 줘", ["무", "시", "해", "줘"]),
        ("สั่ง", ["ส", "ั", "่", "ง"]),
        ("निर्देश भूल", ["निर्देश", "भूल"]),
        ("ИГНОРИРУЙ всё", ["игнорируй", "всё"]),
        ("a\u00a0b\u3000c\u2028d", ["a", "b", "c", "d"]),
        ("a\U0001f600b", ["a", "b"]),
        ("\ud800x\udfff", ["x"]),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert tokens(text) == words


@given(ANYTHING | MIXED)
def test_places_lead_to_the_words(text: str) -> None:
    plain, words, places = plain_text(text), tokens(text), places_of(text)
    assert len(plain) == len(text)
    assert [plain[start:end] for start, end in places] == words
    assert all(start < end for start, end in places)
    assert all(before[1] <= after[0] for before, after in pairwise(places))


@given(ANYTHING | MIXED)
def test_words_are_lower_case_and_hold_nothing_but_letters_signs_and_zeros(text: str) -> None:
    for word in tokens(fold(text).text):
        assert word
        assert not any(sign.isspace() for sign in word)
        assert not any(sign in "_'.,\x00-123456789" or (sign.isascii() and sign.isupper()) for sign in word)
        assert tokens(word) == [word]


@given(MIXED, MIXED)
def test_a_text_has_the_words_of_its_parts(first: str, second: str) -> None:
    first, second = fold(first).text, fold(second).text
    assert tokens(f"{first} {second}") == tokens(first) + tokens(second)


@given(MIXED, st.sampled_from([" ", ".", "/", "\n", "§", "—"]))
def test_separators_around_a_text_change_nothing(text: str, sign: str) -> None:
    text = fold(text).text
    assert tokens(f"{sign}{text}{sign}") == tokens(text)


def test_ascii_words_are_the_same_in_a_text_that_has_other_letters() -> None:
    text = "Don't print_the 3 keys (of user-42)!\tNow\x0b\x1fplease"
    assert tokens(f"{text} ж") == [*tokens(text), "ж"]


def test_a_letter_whose_small_form_is_longer_moves_no_offset() -> None:
    text = "Жİİ IGNORE Жİ."
    assert [text[start:end] for start, end in places_of(text)] == ["Жİİ", "IGNORE", "Жİ"]


@pytest.mark.parametrize("part", ["a", "a ", "指", "ก", "Я ", "İ", "\ud800", "a指", "é\u0301"], ids=ascii)
def test_words_of_any_script_are_found_fast(part: str) -> None:
    text = part * (300_000 // len(part))
    began = time.thread_time()
    assert len(tokens(text)) <= len(text)
    assert time.thread_time() - began < 0.2
