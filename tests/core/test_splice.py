from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llmtrace_sdk.core import jsonio, splice
from llmtrace_sdk.core.splice import Edit, Token
from llmtrace_sdk.errors import Unreadable

TEXT = st.text(st.sampled_from('ab"\\/\n\t\x00\x7fé€😀\u2028\ud83d\ude00~ ,:[]{}0u'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    indent = draw(st.sampled_from([None, 0, 2, "\t"]))
    text = json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans()), indent=indent)
    data = draw(st.sampled_from(["", " \r\n"])) + text
    return data.replace("/", draw(st.sampled_from(["/", "\\/"]))).encode("utf-8", "surrogatepass")


def strings_of(value: Any, pointer: str = "") -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(pointer, value)]
    if isinstance(value, dict):
        steps = [(key.replace("~", "~0").replace("/", "~1"), inner) for key, inner in value.items()]
    else:
        steps = [(str(at), inner) for at, inner in enumerate(value)] if isinstance(value, list) else []
    return [found for step, inner in steps for found in strings_of(inner, f"{pointer}/{step}")]


def whole(text: str) -> str:
    """Halves side by side read as the character they make."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def found_in(data: bytes, under: list[str] | None = None) -> list[tuple[str, str]]:
    return [(token.pointer, splice.text_of(data, token)) for token in splice.tokens(data, under=under)]


@given(bodies())
def test_tokens_are_the_strings_of_the_decoded_tree(data: bytes) -> None:
    assert found_in(data) == strings_of(jsonio.decode(data))


@given(bodies(), st.data())
def test_under_is_a_filter(data: bytes, choose: st.DataObject) -> None:
    every = splice.tokens(data)
    assume(every)
    pointers = [token.pointer for token in every]
    under = [p[: choose.draw(st.integers(0, len(p)))] for p in choose.draw(st.lists(st.sampled_from(pointers)))]
    kept = [t for t in every if any(t.pointer == u or t.pointer.startswith(f"{u}/") for u in under)]
    assert splice.tokens(data, under=under) == kept


def chosen_edits(choose: st.DataObject, text: str) -> list[Edit]:
    cuts = sorted(choose.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    return [Edit(start, end, choose.draw(TEXT)) for start, end in pairs]


@given(bodies(), st.data())
def test_edits_do_to_the_bytes_what_they_do_to_the_tree(data: bytes, choose: st.DataObject) -> None:
    edits: dict[Token, list[Edit]] = {}
    expected = []
    for token in splice.tokens(data):
        text = splice.text_of(data, token)
        edits[token] = chosen_edits(choose, text)
        expected.append((token.pointer, whole(splice.applied(text, edits[token]))))
    changed = splice.spliced(data, edits)
    assert [(pointer, whole(text)) for pointer, text in found_in(changed)] == expected
    assert _outside(data, list(edits)) == _outside(changed, splice.tokens(changed))


def _outside(data: bytes, tokens: list[Token]) -> list[bytes]:
    ends = [0, *(token.end for token in tokens)]
    starts = [*(token.start for token in tokens), len(data)]
    return [data[end:start] for end, start in zip(ends, starts, strict=True)]


@given(TEXT, TEXT, TEXT, TEXT, st.booleans())
def test_bytes_beside_the_edited_characters_stay(left: str, old: str, right: str, new: str, ascii_only: bool) -> None:
    assume(all(whole(x + y) == whole(x) + whole(y) for x, y in ((left, old), (old, right), (left, new), (new, right))))
    before = json.dumps(left, ensure_ascii=ascii_only)[:-1].encode("utf-8", "surrogatepass")
    after = json.dumps(right, ensure_ascii=ascii_only)[1:].encode("utf-8", "surrogatepass")
    middle = json.dumps(old, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "surrogatepass")
    data = before + middle + after
    (token,) = splice.tokens(data)
    start = len(whole(left)) if ascii_only else len(left)
    size = len(whole(old)) if ascii_only else len(old)
    changed = splice.spliced(data, {token: [Edit(start, start + size, new)]})
    assert changed.startswith(before)
    assert changed.endswith(after)
    assert whole(json.loads(changed)) == whole(whole(left) + whole(new) + whole(right))


@pytest.mark.parametrize(
    ("data", "edit", "changed"),
    [
        (rb'{ "a" : "x\/y\u0041z" }', Edit(2, 3, "Q"), rb'{ "a" : "x\/Q\u0041z" }'),
        (rb'["\u00e9x"]', Edit(1, 2, "ü😀"), rb'["\u00e9\u00fc\ud83d\ude00"]'),
        (rb'["\u0041x"]', Edit(1, 2, "ü"), '["\\u0041ü"]'.encode()),
        (rb'["\\u00e9x"]', Edit(0, 1, "ü"), '["üu00e9x"]'.encode()),
        (rb'["a\ud83d\uDE00b"]', Edit(1, 2, "-"), rb'["a-b"]'),
        (rb'["a\ud83db"]', Edit(1, 2, "-"), rb'["a-b"]'),
        (b'["ab"]', Edit(1, 1, '"\\\n\x01'), rb'["a\"\\\n\u0001b"]'),
        (b'["ab"]', Edit(1, 2, "\ud800"), rb'["a\ud800"]'),
        (b'\xef\xbb\xbf["ab"]', Edit(0, 1, "x"), b'\xef\xbb\xbf["xb"]'),
        (b'["\xed\xa0\xbdb"]', Edit(1, 2, "x"), b'["\xed\xa0\xbdx"]'),
        (b'"ab"', Edit(0, 2, ""), b'""'),
    ],
)
def test_only_what_is_edited_changes(data: bytes, edit: Edit, changed: bytes) -> None:
    (token,) = splice.tokens(data)
    assert splice.spliced(data, {token: [edit]}) == changed


def test_members_that_are_there_twice_are_tokens_twice() -> None:
    data = b'{"a":"1","a":["2", null, {"b":"3"}],"a":"4","":"5","x/~y":{"":"6"}}'
    assert found_in(data) == [("/a", "1"), ("/a/0", "2"), ("/a/2/b", "3"), ("/a", "4"), ("/", "5"), ("/x~1~0y/", "6")]
    assert found_in(data, ["/a/2", "/x~1~0y"]) == [("/a/2/b", "3"), ("/x~1~0y/", "6")]
    assert found_in(data, ["a", "/b", "/a/0/0"]) == []


def test_nothing_to_edit_is_the_same_object() -> None:
    data = b'["a"]'
    assert splice.spliced(data, {}) is data


def test_numbers_become_strings() -> None:
    data = b'{"n": [-12, 3.5e1],"k":"x"}'
    numbers = [part for part in splice.parts_of_body(data, ["/n"]) if part.sort == "number"]
    edits = {Token("", part.start, part.end): [Edit(0, 2, 'a"')] for part in numbers}
    assert json.loads(splice.spliced(data, edits)) == {"n": ['a"2', 'a"5e1'], "k": "x"}


def test_names_inside_are_parts_but_not_the_own_name() -> None:
    parts = splice.parts_of_body('{"k":{"ä":"v","w":[{"x":1}]}}'.encode(), ["/k", "/k/w"])
    assert [(p.sort, p.step, p.within) for p in parts] == [
        ("key", "ä", ("/k",)),
        ("string", "ä", ("/k",)),
        ("key", "w", ("/k",)),
        ("key", "x", ("/k", "/k/w")),
        ("number", "x", ("/k", "/k/w")),
    ]


@pytest.mark.parametrize("edits", [[Edit(0, 2, ""), Edit(1, 3, "")], [Edit(2, 4, "")], [Edit(-1, 1, "")]])
def test_edits_that_make_no_sense_are_refused(edits: list[Edit]) -> None:
    data = b'["abc"]'
    with pytest.raises(ValueError, match="edit"):
        splice.spliced(data, {splice.tokens(data)[0]: edits})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty_body"),
        (b'["a"', "invalid_json"),
        (b'["\xff"]', "invalid_json"),
        ('["a"]'.encode("utf-16"), "invalid_json"),
        ('["a"]'.encode("utf-32-be"), "invalid_json"),
        (b"[" * 513 + b"]" * 513, "too_deep"),
        (b"[" * 100_000, "too_deep"),
        (b'{"' + b"k" * 500_000 + b'":[' + b'"",' * 100_000 + b"0]}", "too_deep"),
        (b'{"' + b"k" * 500_000 + b'":' + b"[" * 500 + b"]" * 500 + b"}", "too_deep"),
    ],
)
def test_says_why_it_cannot_read(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        splice.tokens(data)


def test_the_deepest_that_is_read() -> None:
    data = b"[" * 512 + b'"a"' + b"]" * 512
    assert found_in(data) == [("/0" * 512, "a")]


@given(
    st.binary(max_size=60)
    | st.text('[]{}",:\\u01\0\u2200', max_size=40).map(str.encode)
    | st.builds(lambda data, at: data[:at] + data[at + 1 :], bodies(), st.integers(0, 99))
)
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    with suppress(Unreadable):
        for token in splice.tokens(data):
            assert isinstance(splice.text_of(data, token), str)
    with suppress(Unreadable, UnicodeDecodeError):
        parts = splice.parts_of_text(text := data.decode())
        assert [part.start for part in parts] == sorted(part.start for part in parts)
        for part in parts:
            value = json.loads(text[part.start : part.end])
            assert isinstance(value, int | float if part.sort == "number" else str)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_text_that_reads_as_another_encoding_is_not_json(encoding: str) -> None:
    with pytest.raises(Unreadable, match="invalid_json"):
        splice.parts_of_text('["a]]"]'.encode(encoding).decode())


@given(TEXT, st.data())
def test_inward_spans_are_the_characters_wholly_inside(text: str, choose: st.DataObject) -> None:
    literal = json.dumps(text)
    said = json.loads(literal)
    start = choose.draw(st.integers(1, len(literal) - 1))
    end = choose.draw(st.integers(start, len(literal) - 1))
    units = splice._places(literal, range(len(said) + 1))
    kept = [at for at in range(len(said)) if units[at] >= start and units[at + 1] <= end]
    ((first, last),) = splice.inward(literal, [(start, end)])
    assert said[first:last] == "".join(said[at] for at in kept)
