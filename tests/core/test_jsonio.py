from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core import jsonio
from llmtrace_sdk.errors import Unreadable


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_reads_whatever_python_writes(value: object) -> None:
    assert jsonio.decode(json.dumps(value).encode()) == value


def test_lone_surrogates_and_nan_are_read_like_a_lenient_server_reads_them() -> None:
    assert jsonio.decode(b'{"a": "\\ud83d!"}') == {"a": "\ud83d!"}
    assert jsonio.decode(b"[Infinity]") == [float("inf")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty_body"),
        (b" \n", "empty_body"),
        (b"{", "invalid_json"),
        (b'"\xff"', "invalid_json"),
        (b"{} {}", "invalid_json"),
        (b"[" * 200_000, "too_deep"),
        (b'{"a":' * 200_000, "too_deep"),
    ],
)
def test_says_why_it_cannot_read(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        jsonio.decode(data)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    with suppress(Unreadable):
        assert jsonio.decode(data) == json.loads(data)
