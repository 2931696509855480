"""One piece of a streamed answer: what is settled, what is stopped at, what is changed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_sdk.core import jsontext
from llmtrace_sdk.core.holdback import HoldBack
from llmtrace_sdk.core.model import Finding, Segment, Severity
from llmtrace_sdk.core.patterns import Rule, compiled
from llmtrace_sdk.core.splice import applied, escaped
from llmtrace_sdk.core.text import fold
from llmtrace_sdk.core.vault import Vault
from llmtrace_sdk.core.window import TRIM, Held, Judgement, Slot, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.model import Kind


def rule(pattern: str, label: str, **more: Any) -> Rule:
    return Rule(
        id=f"test.{label}",
        type=label,
        pattern=pattern,
        severity=Severity.HIGH,
        confidence=0.9,
        phases=frozenset({"output"}),
        channels=frozenset({"assistant"}),
        category="test",
        owasp="LLM02",
        max_length=80,
        examples=("a", "b"),
        near_misses=("a", "b"),
        **more,
    )


CODE = rule(r"\bcode-[a-z0-9]{6}\b", "code")
NAME = rule(r"\bname(?: is|:) ([A-Z][a-z]{1,20})\b", "name", group=1)
MAIL = rule(r"\b[a-z]{1,20}@[a-z]{1,20}(?:\.[a-z]{2,9}){1,3}\b", "mail")
RULES = (CODE, NAME, MAIL)
HOLD = HoldBack(RULES)


def found(text: str) -> list[Finding]:
    view = fold(text)
    return [
        Finding(each.type, each.id, each.severity, 0.9, *view.origin(*span))
        for each in RULES
        for span in compiled(each).spans(view.text, 99)
    ]


class Piece:
    """A window, and what happened to its deltas."""

    def __init__(self, *, stops: bool = False, kind: Kind = "text", known: Vault | None = None) -> None:
        self.deltas: list[Slot] = []
        self.told: list[tuple[str, str]] = []
        self.stop: Any = None
        self._stops = stops
        hold = HOLD
        self.window = Window(
            "assistant", kind, None, hold, known, self._judge, lambda value, mark, _: self.told.append((value, mark))
        )

    def _judge(self, segment: Segment) -> Judgement:
        findings = tuple(found(segment.text))
        return Judgement(findings, ()) if self._stops else Judgement((), findings)

    def say(self, texts: Iterable[str], *, final: bool = False) -> Piece:
        for text in texts:
            slot = Slot(text, Held(len(self.deltas), len(self.deltas) + 1, b""))
            self.deltas.append(slot)
            self.window.add(slot)
            self.stop = self.stop or self.window.advance(final=False)
        if final:
            self.stop = self.stop or self.window.advance(final=True)
        return self

    @property
    def waits(self) -> list[str]:
        return [slot.text for slot in self.deltas if slot.event.pending]

    @property
    def said(self) -> str:
        return "".join(applied(slot.text, sorted(slot.edits)) for slot in self.deltas)


def test_text_goes_on_as_soon_as_nothing_can_begin_in_it() -> None:
    assert Piece().say(["Well, ", "this"]).waits == ["this"]  # a name before an @, perhaps
    assert Piece().say(["Well, ", "co", "de", "-12"]).waits == ["co", "de", "-12"]
    assert Piece().say(["Well, ", "co", "de", "-12", "."]).waits == []
    assert Piece().say(["Well, ", "this"], final=True).waits == []


@pytest.mark.parametrize("text", ["It is code-abc123 now", "My name is Jane now", "Ask jane@example.co.uk now"])
def test_a_stop_is_at_the_event_with_the_first_character(text: str) -> None:
    (finding,) = found(text)
    for cut in range(1, len(text)):
        for pieces in ([text[:cut], text[cut:]], [*text[:cut], text[cut:]]):
            piece = Piece(stops=True).say(pieces, final=True)
            at = next(n for n in range(len(pieces)) if len("".join(pieces[: n + 1])) > finding.start)
            assert piece.stop.event.start == at
            assert piece.stop.findings == (finding,)
            assert all(slot.event.pending == 0 for slot in piece.deltas[:at])


@given(
    st.lists(st.sampled_from(["code-abc123", "name is Jane", "jane@example.org", " ", ".uk", "é", "x", "-"])), st.data()
)
def test_what_is_taken_out_in_pieces_is_what_is_taken_out_at_once(words: list[str], data: st.DataObject) -> None:
    text = "".join(words) * data.draw(st.sampled_from([1, 1, 9]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=9)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert Piece().say(pieces, final=True).said == Piece().say([text], final=True).said


def test_a_match_that_grows_is_taken_out_as_a_whole() -> None:
    piece = Piece().say(["ask a@b.co", ".uk", " ok"], final=True)
    assert piece.said == "ask [REDACTED:mail] ok"
    assert piece.told == [("a@b.co.uk", "[REDACTED:mail]")]


def test_the_words_before_a_value_are_remembered_while_it_may_grow() -> None:
    for pieces in (["name is J", "an", "e "], ["name", " is Jane", " "], [*"my name is Jane "]):
        assert Piece().say(pieces, final=True).said.endswith("name is [REDACTED:name] ")


def test_a_piece_that_was_left_and_goes_on_is_read_as_a_whole() -> None:
    piece = Piece(stops=True).say(["so code-ab"])
    assert piece.window.advance(final=True) is None
    assert piece.waits == []
    piece.say(["c123", " ok"])
    assert piece.stop.event.start == 1


def test_long_texts_are_forgotten() -> None:
    piece = Piece().say(["word, " * 40] * 400)
    assert len(piece.window._text) <= TRIM + 240
    assert piece.say([" code-", "abc123 "], final=True).said.endswith(" [REDACTED:code] ")


@pytest.mark.parametrize("value", ["code-abc123", "jane@example.org"])
@pytest.mark.parametrize("before", ["", "\\n", '\\"', "\\\\", "\\u00e9 "])
def test_json_source_is_read_as_what_it_says(value: str, before: str) -> None:
    source = f'{{"a": " {before}{value}"}}'
    for written in (source, source.replace("a", "\\u0061").replace("@", "\\u0040")):
        for size in (1, 2, 7, 99):
            pieces = [written[at : at + size] for at in range(0, len(written), size)]
            said = json.loads(Piece(kind="tool_call").say(pieces, final=True).said)
            (text,) = said.values()
            assert text == json.loads(f'" {before}[REDACTED:{found(value)[0].type}]"')


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.text(max_size=9), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    )
)
def test_originals_are_escaped_as_often_as_they_are_nested(value: Any) -> None:
    known = Vault(b"key")
    original = 'a "b" \\ \n'
    mark = known.placeholder(original, "NAME")
    for depth in range(4):
        nested: Any = {"x": value, "mark": f"to {mark}"}
        for _ in range(depth):
            nested = {"y": json.dumps(nested)}
        source = json.dumps(nested)
        got = json.loads(Piece(kind="tool_call", known=known).say([*source], final=True).said)
        for _ in range(depth):
            got = json.loads(got["y"])
        assert got["mark"] == f"to {original}"


def test_code_of_a_tool_is_no_json() -> None:
    code = 'print("\\\\code-abc123 \\n")\njane@example.org'
    for pieces in ([code], [*code]):
        said = Piece(kind="tool_call").say(pieces, final=True).said
        assert said == code.replace("code-abc123", "[REDACTED:code]").replace("jane@example.org", "[REDACTED:mail]")


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("", 0),
        ("Dear ", 0),
        ("[note] ", 0),
        ('[EMAIL_ADDRESS_ABC] said "', 0),
        ('{"a": "', 1),
        (' [ "', 1),
        ('[{"a": "', 1),
        ('{"a": "{\\"b\\": \\"', 2),
        ('{"a": "He said \\"', 1),
        ('{"a": "{\\"b\\": 1}", "c": "', 1),
        ('{"a": "[x] \\"', 1),
        ('{"a": "\\u007b\\u0022b\\": \\"', 2),
        ('{"a": "\\uzzzz', 1),
    ],
)
def test_how_deep_a_text_is(text: str, depth: int) -> None:
    nesting = jsontext.Nesting()
    for character in text:
        nesting.feed(character)
    assert nesting.depth == depth


@given(st.text())
def test_source_and_back(text: str) -> None:
    source = jsontext.read(escaped(text))
    assert source.text == text
    assert source.open == len(escaped(text))
    for at in range(len(text)):
        start, end = source.origin(at, at + 1)
        assert jsontext.read(escaped(text)[start:end]).text == text[at]


def test_hostile_source_is_read_in_linear_time() -> None:
    text: Sequence[str] = ["\\" * 20_000, '"{' * 20_000, "\\u00" * 10_000, "[" * 40_000]
    for each in text:
        began = time.thread_time()
        Piece(kind="tool_call", known=Vault(b"k")).say([each], final=True)
        assert time.thread_time() - began < 5  # seconds; for a quadratic one it is minutes
