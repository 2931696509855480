from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_formats import JSON, resolve

from llmtrace_sdk.core.model import Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers import _shared as shared


@pytest.mark.parametrize(
    ("value", "whole", "count", "real"),
    [
        (3, 3, 3, 3.0),
        (3.0, 3, 3, 3.0),
        (3.5, None, None, 3.5),
        (-1, -1, None, -1.0),
        (True, None, None, None),
        ("3", None, None, None),
        (None, None, None, None),
        (2**63, None, None, float(2**63)),
        (10**400, None, None, None),
        (float("nan"), None, None, None),
        (float("inf"), None, None, None),
    ],
)
def test_numbers(value: Any, whole: int | None, count: int | None, real: float | None) -> None:
    assert (shared.whole(value), shared.count(value), shared.real(value)) == (whole, count, real)


@pytest.mark.parametrize(("values", "total"), [((), None), ((None, None), None), ((0,), 0), ((1, None, 2), 3)])
def test_total(values: tuple[int | None, ...], total: int | None) -> None:
    assert shared.total(*values) == total


@pytest.mark.parametrize(
    ("candidates", "code"),
    [
        (("rate_limit", 429), "rate_limit"),
        ((None, 429), "429"),
        (("a whole sentence",), "_OTHER"),
        (("x" * 65,), "_OTHER"),
        (("",), "_OTHER"),
        ((True,), "_OTHER"),
        ((10**5000,), "_OTHER"),
        ((), "_OTHER"),
    ],
)
def test_error_code(candidates: tuple[Any, ...], code: str) -> None:
    assert shared.error_code(*candidates) == code


@pytest.mark.parametrize(
    ("data", "value"), [(b"", {}), (b" \r\n", {}), (b"[DONE]", {}), (b'{"a":1}', {"a": 1}), (b"[1]", [1])]
)
def test_event_value(data: bytes, value: Any) -> None:
    assert shared.event_value(data) == value


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"{", "invalid_json"), (b'"\xff"', "invalid_json"), (b"[1]", "unknown_shape"), (b"[" * 99999, "too_deep")],
)
def test_event_body_is_an_object(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        shared.event_body(data)


@pytest.mark.parametrize(
    ("value", "text"),
    [("as it is", "as it is"), ({"a": [1, None]}, '{"a":[1,null]}'), ({"a": "\ud800"}, '{"a":"\ud800"}')],
)
def test_compact(value: Any, text: str) -> None:
    assert shared.compact(value) == text


def test_compact_of_bottomless_data() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(Unreadable, match="too_deep"):
        shared.compact(value)
    while value:  # taken apart by hand, because freeing it at once recurses too
        value = value.pop()


@given(JSON)
def test_texts_lead_to_their_pointers(value: Any) -> None:
    for pointer, text in shared.texts(value, ""):
        found = resolve(value, pointer)
        assert found == text or str(found) == text or json.loads(text) == found or isinstance(found, dict | list)


@given(st.lists(st.text(min_size=1), max_size=32))
def test_every_string_is_found(strings: list[str]) -> None:
    found = shared.texts({"a": [{"b~/": text} for text in strings]}, "/base")
    assert found == [(f"/base/a/{at}/b~0~1", text) for at, text in enumerate(strings)]


def test_skipped_members() -> None:
    value = {"id": "opaque", "inner": {"id": "opaque", "text": "said"}}
    assert shared.texts(value, "", frozenset({"id"})) == [("/inner/text", "said")]


@pytest.mark.parametrize(
    ("description", "schema", "text"),
    [("d", {"a": 1}, 'd\n{"a":1}'), ("d", None, "d"), (None, {"a": 1}, '{"a":1}'), (3, {}, "")],
)
def test_definition(description: Any, schema: Any, text: str) -> None:
    assert shared.definition(description, schema) == text


def test_names_are_bounded() -> None:
    draft = shared.Draft()
    draft.add_tool("n" * 999, None, None, "/tools/0")
    prompt = draft.prompt("m" * 999, stream=False, settings=Settings())
    assert (len(prompt.tools[0]), len(prompt.model or "")) == (256, 256)


def test_odd_tools_and_calls_are_noted() -> None:
    for read in (shared.read_function_tools, shared.read_function_calls):
        draft = shared.Draft()
        read(draft, [{"type": "function"}, 3], "/x")
        assert (draft.segments, draft.notes) == ([], ["unknown_part"])


def test_calls_tell_the_names_of_their_ids() -> None:
    draft = shared.Draft()
    calls = [{"id": "1", "function": {"name": "f", "arguments": "{}"}}, {"id": "2", "function": {"arguments": {}}}]
    assert shared.read_function_calls(draft, calls, "/calls") == {"1": "f"}
    assert [(s.pointer, s.text, s.name) for s in draft.segments] == [
        ("/calls/0/function/arguments", "{}", "f"),
        ("/calls/1/function/arguments", "{}", None),
    ]


@pytest.mark.parametrize("name", ["anthropic", "bedrock", "cohere", "gemini", "mcp", "ollama", "replicate"])
def test_names_are_those_of_the_files(name: str) -> None:
    assert importlib.import_module(f"llmtrace_sdk.providers.{name}").PROVIDER.name == name
