"""What a request is believed to ask for, before it is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core import peek


def seen(**members: Any) -> tuple[str | None, bool, int | None, int | None]:
    prompt = peek.at_request(json.dumps(members).encode())
    assert prompt is not None
    return prompt.model, prompt.stream, prompt.settings.max_tokens, prompt.settings.choice_count


@pytest.mark.parametrize(
    ("members", "bound"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7, "max_tokens": 5}, 7),
        ({"max_output_tokens": 9}, 9),
        ({"generationConfig": {"maxOutputTokens": 3}}, 3),
        ({"options": {"num_predict": 4}}, 4),
        ({"options": {"num_predict": -1}}, None),
        ({"max_tokens": 0}, 0),
        ({"max_tokens": 6.0}, 6),
        ({"max_tokens": -100}, None),
        ({"max_tokens": True}, None),
        ({"max_tokens": "5"}, None),
        ({"max_tokens": 10**30}, peek.MOST),
        ({"generationConfig": [1]}, None),
    ],
)
def test_the_answers_bound_has_many_names_and_is_never_negative(members: dict[str, Any], bound: int | None) -> None:
    assert seen(model="m", **members) == ("m", False, bound, None)


@pytest.mark.parametrize(("n", "choices"), [(2, 2), (0, None), (-3, None), ("2", None), (10**12, peek.MOST)])
def test_so_are_the_choices(n: Any, choices: int | None) -> None:
    assert seen(n=n) == (None, False, None, choices)


def test_one_odd_member_hides_no_other() -> None:
    assert seen(model=["m"], stream="yes", n={}, max_tokens=5) == (None, False, 5, None)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_no_json_is_too_odd(value: Any) -> None:
    prompt = peek.at_request(json.dumps({"max_tokens": value, "n": value, "options": {"num_predict": value}}).encode())
    bound = None if prompt is None else prompt.settings.max_tokens
    assert bound is None or 0 <= bound <= peek.MOST
