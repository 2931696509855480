"""The judge's verdicts, and the text that it is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.tiers import _prompt, _verdict
from llmtrace_sdk.tiers.adviser import NoOpinion

from . import parts

BAD_VERDICTS = [
    "",
    "{}",
    "null",
    "[]",
    "true",
    "no threat",
    "{" * 5_000,
    '{"is_threat": false, "category": "benign"}',
    '{"is_threat": 0, "category": "benign", "confidence": 0.9}',
    '{"is_threat": "false", "category": "benign", "confidence": 0.9}',
    '{"is_threat": false, "category": "clean", "confidence": 0.9}',
    '{"is_threat": false, "category": ["benign"], "confidence": 0.9}',
    '{"is_threat": false, "category": "benign", "confidence": "0.9"}',
    '{"is_threat": false, "category": "benign", "confidence": true}',
    '{"is_threat": false, "category": "benign", "confidence": 1.1}',
    '{"is_threat": false, "category": "benign", "confidence": -0.1}',
    '{"is_threat": false, "category": "benign", "confidence": NaN}',
    '{"is_threat": false, "category": "benign", "confidence": 1e999}',
    '{"is_threat": false, "category": "benign", "confidence": 0.9, "score": 1}',
    '{"is_threat": false, "category": "benign", "confidence": 0.9, "reasoning": 7}',
    '{"is_threat": true, "is_threat": false, "category": "benign", "confidence": 0.9}',
    '{"is_threat": true, "category": "benign", "confidence": 0.9}',
    '{"is_threat": false, "category": "prompt_injection", "confidence": 0.9}',
    "Sure! " + parts.verdict(threat=False),
    parts.verdict(threat=False) + parts.verdict(threat=True),
    "```json\n" + parts.verdict(threat=False) + "\n```\nand one more thing",
    "```\n" + parts.verdict(threat=False),
    parts.verdict(threat=False, reasoning="x" * 9_000),
]


@pytest.mark.parametrize("text", BAD_VERDICTS)
def test_what_is_not_exactly_a_verdict_is_no_answer(text: str) -> None:
    with pytest.raises(NoOpinion, match="not_a_verdict"):
        _verdict.parse(text)


@pytest.mark.parametrize("frame", ["{}", "  {}\n", "```json\n{}\n```", "```\n{}\n```", "```JSON\r\n{}\r\n```\n"])
def test_a_verdict_may_stand_in_a_fence(frame: str) -> None:
    said = frame.replace("{}", parts.verdict(threat=True, category="jailbreak", confidence=1, reasoning="it asks"))
    assert _verdict.parse(said) == parts.threat("jailbreak", 1.0)


@given(st.text(max_size=200))
def test_any_text_is_a_verdict_or_none(text: str) -> None:
    with pytest.raises(NoOpinion, match="not_a_verdict"):
        _verdict.parse(text)


@given(
    st.fixed_dictionaries(
        {
            "is_threat": st.booleans() | st.none() | st.integers(),
            "category": st.sampled_from(["benign", "jailbreak", "other", "x"]) | st.none() | st.lists(st.none()),
            "confidence": st.floats() | st.integers() | st.text(max_size=3),
        },
        optional={"reasoning": st.text(max_size=9) | st.none() | st.integers(), "more": st.none()},
    )
)
def test_any_object_is_a_sound_verdict_or_none(tree: dict[str, Any]) -> None:
    try:
        said = _verdict.parse(json.dumps(tree))
    except NoOpinion:
        return
    assert set(tree) <= {"is_threat", "category", "confidence", "reasoning"}
    assert said.is_threat is tree["is_threat"]
    assert 0 <= said.confidence <= 1


@given(st.text(max_size=600), st.integers(200, 400))
def test_no_line_of_a_text_looks_like_ours(text: str, limit: int) -> None:
    mark = "0123456789ab"
    fitted, cut = _prompt.fitted(text, limit)
    assert len(fitted) <= limit + len("\n[... CUT ...]\n")
    assert cut or len(text) <= limit
    lines = _prompt.shown(fitted, mark).splitlines()
    assert (lines[0], lines[-2]) == (f"BEGIN {mark}", f"END {mark}")
    assert all(line.startswith(f"{mark}|") for line in lines[1:-2])


def test_unseen_characters_are_written_out() -> None:
    assert _prompt.fitted("a\u200bb\u202ec\U000e0041\x1b[0m\r\nd\u2028e", 400) == (
        "a\\u{200b}b\\u{202e}c\\u{e0041}\\u{1b}[0m\nd\\u{2028}e",
        False,
    )


def test_both_ends_of_a_long_text_are_shown() -> None:
    text, cut = _prompt.fitted("start " + "x" * 100_000 + " end", 200)
    assert cut
    assert text.startswith("start ")
    assert text.endswith(" end")
