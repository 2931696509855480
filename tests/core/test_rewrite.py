from __future__ import annotations

import json
import time
from itertools import combinations
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from llmtrace_sdk.core.rewrite import Replacement, in_body, plain, restored_body
from llmtrace_sdk.core.vault import PLACEHOLDER, Vault
from llmtrace_sdk.providers._shared import compact, joined

AROUND = st.text(st.sampled_from(' ab"\\/\n\t\x01é€😀\u2028{}[]:,0'), max_size=8)
SECRETS = st.lists(
    st.text(st.sampled_from('"\\\n/é😀{}[]:,x'), max_size=6).map("S3CR{}T".format)
    | st.text(st.sampled_from('"\\\n/é😀{}[]:,'), min_size=1, max_size=6).map(lambda t: f"K{t}EY"),
    min_size=1,
    max_size=4,
    unique=True,
)


def replace_in(content: Any, *values: tuple[str, str], style: bool = False) -> tuple[Any, frozenset[str]]:
    body = json.dumps({"c": content, "other": content}, ensure_ascii=style).encode()
    changed, missing = in_body(body, {"/c": [Replacement(*value) for value in values]})
    decoded = json.loads(changed)
    assert decoded["other"] == content
    return decoded["c"], missing


@pytest.mark.parametrize(
    ("content", "values", "changed"),
    [
        ("a bob b bob", [("bob", "[X]")], "a [X] b [X]"),
        ("abcdef abc", [("abc", "[1]"), ("abcdef", "[2]")], "[2] [1]"),
        ("bob", [("bob", "bobbob")], "bobbob"),
        ("bob X", [("bob", "X"), ("X", "bob")], "X bob"),
        (["x bob", {"k": {"z": "bob"}}, 7], [("bob", "[X]")], ["x [X]", {"k": {"z": "[X]"}}, 7]),
        ({"k": 'pass"word\\'}, [(r"pass\"word\\", "[X]")], {"k": "[X]"}),
        ({"k": 'say "tok"'}, [("tok\\", "[X]")], {"k": 'say "[X]"'}),
        ({"card": 4111111111111111}, [("4111111111111111", "[X]")], {"card": "[X]"}),
        ({"card": -4111111111111111}, [("4111111111111111", "[X]")], {"card": "-[X]"}),
        ({"card": 4.5e15, "n": 45}, [("4500000000000000", "[X]")], {"card": "[X].0", "n": 45}),
        ([12345678, 1234567], [("1234567", "[X]")], [12345678, "[X]"]),
        ('{"a": "bob", "n": 1234567}', [("bob", '"'), ("1234567", "[X]")], r'{"a": "\"", "n": "[X]"}'),
        ('{"bob": {"k":"\\u0062ob \\/"}}', [("bob", "[X]")], '{"[X]": {"k":"[X] \\/"}}'),
        ('{"a":"{\\"k\\":\\"bob\\\\n\\"}"}', [("bob\n", "[X]")], '{"a":"{\\"k\\":\\"[X]\\"}"}'),
        ('{"a":"x","b":"y"}', [('x","b', "[X]")], '{"a":"[X]":"y"}'),
        ('{"a":"x', [("x", "[X]")], '{"a":"[X]'),
        ("a\ud83d bob \udc00", [("bob", "[X]"), ("\udc00", "-")], "a\ud83d [X] -"),
        ("{{[[bob", [("bob", "[X]")], "{{[[[X]"),
    ],
)
@pytest.mark.parametrize("style", [True, False])
def test_values_are_replaced(content: Any, values: list[tuple[str, str]], changed: Any, style: bool) -> None:
    if not style and "\ud83d" in str(content):
        return
    assert replace_in(content, *values, style=style) == (changed, frozenset())


@pytest.mark.parametrize(
    ("content", "values"),
    [
        ("abc", [("bob", "[X]")]),
        ("bob", [("bob", "[X]"), ("eve", "[Y]")]),
        (["some", "bob"], [("some\nbob", "[X]")]),
        ({"bob": "bob"}, [("bob", "[X]")]),
        ("abcde", [("abc", "[1]"), ("cde", "[2]")]),
        ("a" * 300 + "b" * 300 + "c" * 300, [("a" * 300 + "b" * 300, "[1]"), ("b" * 300 + "c" * 300, "[2]")]),
        ([123456789], [("3456", "[X]")]),
        ('{"k":"xbob","m":"y"}', [("bob", "[1]"), ('b","m', "[2]")]),
        (None, [("null", "[X]")]),
        ("\U0010f800bob", [("\U0010f800", "[X]")]),
    ],
)
def test_what_cannot_be_replaced_is_told(content: Any, values: list[tuple[str, str]]) -> None:
    assert replace_in(content, *values)[1] == {"/c"}


def test_each_pointer_answers_for_itself() -> None:
    body = b'{"a": {"b":"bob","c":"eve"}, "a~": ["bob"], "a":"eve"}'
    changed, missing = in_body(
        body,
        {
            "/a": [Replacement("eve", "E")],
            "/a/b": [Replacement("bob", "B")],
            "/a~0/0": [Replacement("eve", "E")],
            "/none": [Replacement("bob", "B")],
            "/empty": [],
        },
    )
    assert changed == b'{"a": {"b":"B","c":"E"}, "a~": ["bob"], "a":"E"}'
    assert missing == {"/a~0/0", "/none"}


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 2000, '"bob"'.encode("utf-16")])
def test_a_body_that_cannot_be_read_must_not_be_sent(body: bytes) -> None:
    assert in_body(body, {"": [Replacement("bob", "X")]}) == (body, {""})
    assert in_body(body, {}) == (body, frozenset())
    vault = Vault(b"k")
    vault.placeholder("bob", "A")
    assert restored_body(body, vault) is body


def test_without_the_automaton(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ahocorasick_rs", None)
    assert replace_in("abcdef ab.c abc é", ("abc", "1"), ("abcdef", "2"), ("b.", "3")) == ("2 a3c 1 é", frozenset())


def test_plain_is_what_a_literal_says() -> None:
    inner = json.dumps({"k": 'a"b\nbob'})
    text = json.dumps({"args": inner, "t": "x\\y\n"})
    spans = [
        (text.index(piece), text.index(piece) + len(piece)) for piece in ("nbob", "x\\\\y", '"t": "x', 'a\\\\\\"b')
    ]
    assert plain(text, spans) == ["bob", "x\\y", '"t": "x', 'a"b']
    assert plain("no json \\n", [(0, 10)]) == ["no json \\n"]
    assert plain(text, []) == []


def places(secrets: list[str], around: list[str]) -> dict[str, Any]:
    """Bodies in which the secrets are everywhere that a text can be."""
    said = "".join(x for pair in zip(around, secrets, strict=False) for x in pair) + "."
    return {
        "text": said,
        "parts": [{"type": "text", "text": said}, {"text": "none"}],
        "input": {"to": said, "deep": [[said]]},
        "arguments": json.dumps({"to": said, "n": [1, {"x": said}]}, ensure_ascii=False),
        "arguments_ascii": json.dumps([said], ensure_ascii=True, indent=1),
        "twice": json.dumps({"a": json.dumps({"b": said}, ensure_ascii=False)}, ensure_ascii=False),
    }


def segments_of(body: dict[str, Any]) -> dict[str, str]:
    """The texts as the readers of providers make them."""
    found = {"/text": body["text"], "/parts": joined(body["parts"]), "/input": compact(body["input"])}
    return found | {f"/{key}": body[key] for key in ("arguments", "arguments_ascii", "twice")}


def spans_of(text: str, secret: str) -> list[tuple[int, int]]:
    """Where a secret is in a segment, in any of the ways that it may be written."""
    forms = [secret]
    for _ in range(2):
        forms += [json.dumps(form, ensure_ascii=style)[1:-1] for form in forms for style in (False, True)]
    return [(text.index(form), text.index(form) + len(form)) for form in dict.fromkeys(forms) if form in text]


@given(SECRETS, st.lists(AROUND, min_size=4, max_size=4), st.sampled_from([None, 1]))
def test_there_and_back(secrets: list[str], around: list[str], indent: int | None) -> None:
    content = places(secrets, around)
    assume(not any(a != b and a in b for a in secrets for b in secrets))
    body = json.dumps(content, ensure_ascii=False, indent=indent).encode()
    vault = Vault(b"key")
    wanted: dict[str, list[Replacement]] = {}
    for pointer, text in segments_of(content).items():
        for secret in secrets:
            spans = spans_of(text, secret)
            for (start, end), said in zip(spans, plain(text, spans), strict=True):
                name = vault.placeholder(said, "SECRET")
                assert name is not None
                wanted.setdefault(pointer, []).append(Replacement(text[start:end], name, said))
    changed, missing = in_body(body, wanted)
    assert not missing
    assert b"S3CR" not in changed
    hidden = json.loads(changed)
    assert not any(secret in json.loads(hidden["twice"])["a"] for secret in secrets)
    assert not any(secret in json.loads(hidden["arguments"])["to"] for secret in secrets)
    back = json.loads(restored_body(changed, vault))
    # Where all that was written as \\u escapes was taken out, nothing says any more that it was.
    assert json.loads(back.pop("arguments_ascii")) == json.loads(content.pop("arguments_ascii"))
    assert back == content


@given(st.text(st.characters(), min_size=1, max_size=20), st.booleans(), st.data())
def test_placeholders_come_back_wherever_they_are(value: str, style: bool, choose: st.DataObject) -> None:
    vault = Vault(b"key")
    name = vault.placeholder(value, "SECRET_X") or ""
    around = choose.draw(
        st.lists(AROUND.filter(lambda t: not t.lstrip().startswith(("{", "["))), min_size=4, max_size=4)
    )
    assume(around[0].strip())
    body = json.dumps(places([name] * 3, around), ensure_ascii=style).encode()
    expected = places([value] * 3, around)
    back = json.loads(restored_body(body, vault))
    assert all(back[key] == expected[key] for key in ("text", "parts", "input"))
    assert all(json.loads(back[key]) == json.loads(expected[key]) for key in ("arguments", "arguments_ascii"))
    assert json.loads(json.loads(back["twice"])["a"]) == json.loads(json.loads(expected["twice"])["a"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("NAME", 'a"b'),
        ({"NAME": ["NAME"]}, {'a"b': ['a"b']}),
        ({"arguments": '{"k":"NA'}, {"arguments": '{"k":"NA'}),
        ({"arguments": '{"k":"NAME and'}, {"arguments": '{"k":"a\\"b and'}),
        ({"arguments": {"k": "NAME and"}}, {"arguments": {"k": 'a"b and'}}),
        ({"partial_json": '":"NAME'}, {"partial_json": '":"a\\"b'}),
        ({"text": '":"NAME'}, {"text": '":"a"b'}),
        ('["NAME"]', '["a\\"b"]'),
        ("[NAME]", '[a"b]'),
    ],
)
def test_originals_are_escaped_where_json_is_in_json(content: Any, expected: Any) -> None:
    vault = Vault(b"key")
    name = vault.placeholder('a"b', "A") or ""
    body = json.dumps(content).replace("NAME", name).encode()
    assert json.loads(restored_body(body, vault)) == expected
    hidden = body.replace(b"[A_", b"\\u005bA\\u005F")
    assert json.loads(restored_body(hidden, vault)) == expected


@pytest.mark.parametrize(
    "body", [b'{"a": "x"}', b'["[EMAIL_ADDRESS_AAAAAAAAAA]"]', b'["\\u00e9"]', b"not json \\u005b"]
)
def test_an_answer_without_known_placeholders_is_the_same_object(body: bytes) -> None:
    vault = Vault(b"key")
    assert restored_body(body, vault) is body
    vault.placeholder("x", "A")
    assert restored_body(body, vault) is body


@given(
    st.binary(max_size=50) | st.text('[]{}",:\\u05bob\ud800', max_size=40).map(lambda t: t.encode("utf-8", "replace"))
)
@example(b'{"b":["bob\\\\",0]}')
@example(b'["[\\"\\\\u0062ob\\"]"]')
def test_any_bytes_keep_their_shape(body: bytes) -> None:
    vault = Vault(b"key")
    vault.placeholder("x", "A")
    assert restored_body(body, vault) == body
    changed, missing = in_body(body, {"": [Replacement("bo", "x"), Replacement("\\", "y"), Replacement("", "z")]})
    assert missing <= {""}
    assert (changed == body) <= bool(missing)
    assert shape(changed) == shape(body)
    text = body.decode("latin-1")
    spans = list(combinations(range(len(text) + 1), 2))
    for (start, end), said in zip(spans, plain(text, spans), strict=True):
        assert said == text[start:end] or ("\\" in text and len(said) <= end - start)


def shape(body: bytes) -> Any:
    """What sort of value is where in the JSON; the bytes if they are none."""

    def of(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: of(inner) for name, inner in value.items()}
        return [of(inner) for inner in value] if isinstance(value, list) else type(value)

    try:
        return of(json.loads(body))
    except ValueError:
        return body


def test_a_value_is_gone_from_the_bytes() -> None:
    vault = Vault(b"key")
    name = vault.placeholder("bob@example.org", "EMAIL_ADDRESS") or ""
    body = b'{ "m" : [ {"c": "Hi bob\\u0040example.org\\/" , "n":1.0 } ] }'
    changed, missing = in_body(body, {"/m/0/c": [Replacement("bob@example.org", name)]})
    assert changed == b'{ "m" : [ {"c": "Hi %s\\/" , "n":1.0 } ] }' % name.encode()
    assert not missing
    assert PLACEHOLDER.search(changed)


PIECES = st.text("ab", min_size=1, max_size=5)


@given(st.lists(PIECES, min_size=1, max_size=5, unique=True), st.text("abc", max_size=24))
def test_what_overlaps_or_is_missing_is_told_as_looking_at_each_place_tells(values: list[str], text: str) -> None:
    taken, at = [], 0
    while at < len(text):
        here = max((len(value) for value in values if text.startswith(value, at)), default=0)
        taken += [(at, at + here)] * bool(here)
        at += here or 1
    torn = any(
        text.startswith(value, place) and place + len(value) > end
        for start, end in taken
        for place in range(start + 1, end)
        for value in values
    )
    absent = any(all(value not in text[start:end] for start, end in taken) for value in values)
    _, missing = replace_in(text, *((value, "#") for value in values))
    assert bool(missing) == (torn or absent)


def test_long_values_that_overlap_are_told_too() -> None:
    first, second = "x" * 300 + "y" * 300, "y" * 300 + "z"
    assert replace_in(f"{first} {second}", (first, "[1]"), (second, "[2]")) == ("[1] [2]", frozenset())
    assert replace_in(f"{first}z {second}", (first, "[1]"), (second, "[2]"))[1] == {"/c"}


def test_thousands_of_values_that_begin_as_others_end_take_no_longer_for_that() -> None:
    values = [f"{number:05d}{number % 10}" for number in range(20_000)]
    inside = [value[1:4] for value in values[::200]]
    wanted = [(value, "#") for value in dict.fromkeys((*values, *inside))]
    began = time.process_time()
    content, missing = replace_in(" ".join(values), *wanted)
    assert (set(content.split()), missing) == ({"#"}, frozenset())
    assert time.process_time() - began < 10
