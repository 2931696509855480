"""Events of a stream, changed where they say something, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.eventedit import _REMEMBERED, Rewriter
from llmtrace_sdk.core.splice import Edit
from llmtrace_sdk.core.vault import Vault
from llmtrace_sdk.core.window import Held, Slot
from llmtrace_sdk.errors import Unreadable

VALUE = 'a "b" \\\n'


def event(value: Any, *slots: tuple[str, list[Edit]]) -> Held:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    held = Held(0, len(data), data)
    for text, edits in slots:
        slot = Slot(text, held)
        slot.edits += edits
        held.slots.append(slot)
    return held


def changed(rewriter: Rewriter, held: Held, frame: bytes = b"data: %s\n\n") -> Any:
    raw = frame.replace(b"%s", held.data)
    out = rewriter.rewritten(held, raw)
    return None if out is None else json.loads(out[6:])


def test_the_member_that_says_it_is_the_one_that_is_changed() -> None:
    value = {"id": "hi", "role": "hi", "delta": {"content": "hi"}, "more": "hi"}
    got = changed(Rewriter(None), event(value, ("hi", [Edit(0, 2, "X")])))
    assert got == value | {"delta": {"content": "X"}}


def test_two_deltas_with_the_same_text() -> None:
    value = {"choices": [{"delta": {"content": "hi"}}, {"delta": {"content": "hi"}}]}
    got = changed(Rewriter(None), event(value, ("hi", [Edit(0, 1, "A")]), ("hi", [Edit(1, 2, "B")])))
    assert [choice["delta"]["content"] for choice in got["choices"]] == ["Ai", "hB"]


def test_what_was_taken_out_is_taken_out_wherever_it_is_said() -> None:
    rewriter = Rewriter(None)
    rewriter.took_out("a@b.co", "[1]")
    rewriter.took_out("a@b.co.uk", "[2]")
    got = changed(rewriter, event({"text": "a@b.co.uk a@b.co", "item": {"content": [{"text": "xa@b.cox"}]}}))
    assert got == {"text": "[2] [1]", "item": {"content": [{"text": "x[1]x"}]}}
    assert rewriter.count == 3
    assert changed(rewriter, event({"text": "nothing"})) is None


@pytest.mark.parametrize("depth", range(4))
def test_originals_at_every_depth(depth: int) -> None:
    known = Vault(b"key")
    mark = known.placeholder(VALUE, "NAME")
    value: Any = {"to": mark}
    for _ in range(depth):
        value = {"arguments": json.dumps(value)}
    rewriter = Rewriter(known)
    held = event({"item": value})
    assert rewriter.concerns(held)
    got = changed(rewriter, held)["item"]
    for _ in range(depth):
        got = json.loads(got["arguments"])
    assert got == {"to": VALUE}


def test_arguments_that_were_cut_off_are_source_all_the_same() -> None:
    known = Vault(b"key")
    mark = known.placeholder(VALUE, "NAME")
    got = changed(Rewriter(known), event({"arguments": f'{{"to": "{mark}", "mo'}))
    assert got["arguments"] == f'{{"to": {json.dumps(VALUE)}, "mo'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[DONE]", "invalid_json"),
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"", "empty_body"),
        (b'{"n": 4111}', "rewrite_failed"),
        (b'{"other": "text"}', "rewrite_failed"),
    ],
)
def test_what_must_be_changed_and_cannot_is_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        Rewriter(None).rewritten(event(data, ("4111", [Edit(0, 4, "X")])), b"data: " + data + b"\n\n")
    assert Rewriter(None).rewritten(event(data), b"data: " + data + b"\n\n") is None


def test_a_payload_over_several_lines_cannot_be_changed() -> None:
    held = event(b'{"content":\n"hi"}', ("hi", [Edit(0, 2, "X")]))
    with pytest.raises(Unreadable, match="rewrite_failed"):
        Rewriter(None).rewritten(held, b'data: {"content":\ndata: "hi"}\n\n')


def test_more_values_than_are_remembered_end_what_repeats_them() -> None:
    rewriter = Rewriter(None)
    for number in range(_REMEMBERED):
        rewriter.took_out(f"<{number}>", "X")
    assert changed(rewriter, event({"id": "r", "text": "a <7>"})) == {"id": "r", "text": "a X"}
    rewriter.took_out("<one more>", "X")
    with pytest.raises(Unreadable, match="rewrite_failed"):
        rewriter.rewritten(event({"text": "<one more>"}), b'data: {"text": "<one more>"}\n\n')
    assert changed(rewriter, event({"id": "r"})) is None


@given(st.text(), st.data())
def test_the_rest_of_an_event_stays_as_it_is(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    written = json.dumps(text, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
    raw = b': ping\nevent: x\ndata: {"id" : 1.50,  "delta":{"content":%b},"a":"\\u0041"}\n\n' % written
    payload = raw.split(b"data: ")[1][:-2]
    held = event(payload, (text, [Edit(start, end, "new")]))
    out = Rewriter(None).rewritten(held, raw)
    assert out is not None
    before, after = raw[: raw.index(b'"content":') + 10], raw[raw.rindex(b'},"a"') :]
    assert out.startswith(before)
    assert out.endswith(after)
    assert json.loads(out[len(before) : -len(after)]) == text[:start] + "new" + text[end:]
