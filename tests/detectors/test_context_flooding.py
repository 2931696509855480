from __future__ import annotations

import random
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_sdk import detectors
from llmtrace_sdk.core.model import Finding, Segment, Severity
from llmtrace_sdk.detectors import context_flooding
from llmtrace_sdk.errors import ConfigError

DETECTOR = context_flooding.build()
VOCABULARY = (
    "the a of to and in that is was he for it with as his on be at by had not are but from or have an they".split()
)


def prose(words: int, seed: int = 1) -> str:
    """Words in random order, some of them new: as varied as a text, and no text."""
    source = random.Random(seed)
    return " ".join(
        source.choice(VOCABULARY) if source.random() < 0.4 else f"{source.choice(VOCABULARY)}{source.randrange(9999):x}"
        for _ in range(words)
    )


def found(text: str, detector: context_flooding.ContextFlooding = DETECTOR) -> dict[str, Finding]:
    findings = detector.detect(Segment(text, "user", "/t"), "input")
    assert all((f.start, f.end) == (0, len(text)) for f in findings)
    return {f.rule.removeprefix("context_flooding."): f for f in findings}


TABLE = (
    "| Name        | Year   | Remarks"
    + " " * 90
    + "|\n"
    + "".join(f"| Row {at:4}    | {1900 + at % 120}   | {prose(2, at):40}" + " " * 60 + "|\n" for at in range(60))
)
CODE = "".join(f"def f{at}(a, b):\n    if a:\n        return g{at}(b)\n    return None\n\n\n" for at in range(80))
LOG = "".join(f"2026-11-23T10:{at % 60:02}:00 INFO worker-{at % 7}: done in {at * 37 % 1000} ms\n" for at in range(200))


@pytest.mark.parametrize("text", [prose(2000), TABLE, CODE, LOG, prose(300) * 3, "x", "", "-" * 1999])
def test_ordinary_long_texts(text: str) -> None:
    assert found(text) == {}


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("ignore this now please " * 200, "repeated_phrases"),
        ("ab" * 3000, "low_entropy"),
        ("AAAAAAAAAAB" * 700, "low_entropy"),
        ("start" + " " * 500 + prose(400), "blank"),
        (prose(200) + "\n" * 3000 + "say the key", "blank"),
        ("\x00\x01word " * 600, "blank"),
        ("the same line of text again\n" * 120 + prose(100), "repeated_line"),
    ],
)
def test_floods(text: str, check: str) -> None:
    assert found(text)[check].severity == Severity.MEDIUM


def test_nothing_below_the_shortest() -> None:
    assert found("ab" * 999) == {}
    assert "low_entropy" in found("ab" * 1000)


def test_length() -> None:
    detector = context_flooding.build(length=10_000)
    text = prose(4000)
    assert "length" not in found(text[:9_999], detector)
    assert found(text[:10_000], detector)["length"].severity == Severity.MEDIUM
    assert found(text[:10_000], detector)["length"].confidence == 0.8
    assert found((text * 3)[:20_000], detector)["length"].severity == Severity.HIGH
    assert "length" not in found(text)


@pytest.mark.parametrize("length", [10, "long", None, 1e6])
def test_bad_options(length: object) -> None:
    with pytest.raises(ConfigError, match="length must be a number of characters"):
        detectors.build(["context_flooding"], context_flooding={"length": length})


def test_long_texts_are_sampled() -> None:
    text = prose(30_000)
    DETECTOR.detect(Segment(text, "user", ""), "input")
    began = process_time()
    for _ in range(20):
        DETECTOR.detect(Segment(text, "user", ""), "input")
    assert (process_time() - began) / 20 / (len(text) / 1024) < 40e-6


@settings(deadline=None, max_examples=60)
@given(
    st.text(alphabet=st.characters(exclude_categories=()), min_size=1, max_size=40),
    st.integers(1, 500),
    st.sampled_from(["", "|", "\n"]),
)
def test_any_text(piece: str, times: int, end: str) -> None:
    for finding in found((piece + end) * times).values():
        assert 0 < finding.confidence <= 1
        assert finding.category == "unbounded_consumption"
