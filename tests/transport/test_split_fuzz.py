"""Whatever the kind of value, the format and the place where it is cut: nothing of it gets out."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk.core.masking import redact
from llmtrace_sdk.core.model import Segment

from .answers import FORMATS, gzipped, said, texts, through, unzipped
from .kinds import engine, kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .answers import Format
    from .kinds import Kind

ANYTHING = {"min_severity": "info", "min_confidence": 0}
CUT_ALL_OVER = "github_token"
SAID_IN = {
    "openai_chat": "content",
    "openai_responses": "delta",
    "anthropic": "text",
    "gemini": "text",
    "ollama": "content",
    "cohere": "text",
}


def cut(text: Any, places: Iterable[int]) -> list[Any]:
    """A text, or bytes, in pieces."""
    ordered = sorted({place for place in places if 0 < place < len(text)})
    return [text[begin:end] for begin, end in zip([0, *ordered], [*ordered, len(text)], strict=True)]


def in_front(fmt: Format, pieces: Sequence[str], at: int) -> int:
    """How many bytes come before the event with this character."""
    before = [piece for number, piece in enumerate(pieces) if len("".join(pieces[: number + 1])) <= at]
    return sum(map(len, [*fmt.opening, *map(fmt.say, before)]))


def assert_stopped(name: str, kind: Kind, pieces: list[str], wire: Sequence[int] = (), *, coding: bool = False) -> None:
    """What is given out ends in front of the event that says the first character of the value."""
    fmt = FORMATS[name]
    events = fmt.stream(pieces)
    whole, limit = b"".join(events), in_front(fmt, pieces, kind.start)
    chunks = cut(whole, wire) if wire else events
    given = through(fmt, gzipped(chunks), coding="gzip") if coding else through(fmt, chunks)
    raw = unzipped(given.raw) if coding else given.raw
    where = (name, kind.name, pieces, wire, coding)
    assert given.blocked, where
    assert whole[:limit].startswith(raw), where
    if not coding and (name != "bedrock" or not wire):
        assert len(raw) == limit, where


def assert_redacted(
    name: str, kind: Kind, pieces: list[str], wire: Sequence[int] = (), *, coding: bool = False
) -> None:
    """What is said is the same as if the whole text had been redacted at once."""
    fmt = FORMATS[name]
    events = fmt.stream(pieces)
    chunks = cut(b"".join(events), wire) if wire else events
    given = through(fmt, gzipped(chunks), coding="gzip") if coding else through(fmt, chunks)
    where = (name, kind.name, pieces, wire, coding)
    assert not given.blocked, where
    found = engine().scan((Segment(kind.text, "assistant", ""),), "output").findings
    assert "".join(texts(given.raw, SAID_IN[name])) == redact(kind.text, found), where
    assert kind.value not in said(given.raw), where


def sampled(kind: Kind, rng: random.Random) -> tuple[list[str], list[int], bool]:
    inside = kind.start + rng.randrange(1, max(len(kind.value), 2))
    pieces = cut(kind.text, [inside, *(rng.randrange(len(kind.text)) for _ in range(2))])
    wire = [rng.randrange(1, 700) for _ in range(6)] if rng.random() < 0.4 else []
    return pieces, wire, rng.random() < 0.3


@pytest.mark.parametrize("name", FORMATS)
def test_one_value_at_every_place(name: str) -> None:
    llmtrace.configure(enforcement={"mode": "block", **ANYTHING})
    (kind,) = (each for each in kinds() if each.name == CUT_ALL_OVER)
    for at in range(1, len(kind.text)):
        assert_stopped(name, kind, cut(kind.text, [at]))
    assert_stopped(name, kind, list(kind.text))
    for at in range(1, sum(map(len, FORMATS[name].stream([kind.text])))):
        assert_stopped(name, kind, [kind.text], [at])
        if at % 5 == 0:
            assert_stopped(name, kind, [kind.text], [at], coding=True)


@pytest.mark.parametrize("name", FORMATS)
def test_every_kind_of_value_is_stopped(name: str) -> None:
    llmtrace.configure(enforcement={"mode": "block", **ANYTHING})
    rng = random.Random(name)
    for kind in kinds():
        pieces, wire, coding = sampled(kind, rng)
        assert_stopped(name, kind, pieces, wire, coding=coding)


@pytest.mark.parametrize("name", SAID_IN)
def test_every_kind_of_value_is_taken_out(name: str) -> None:
    llmtrace.configure(enforcement={"mode": "redact", **ANYTHING})
    rng = random.Random(name)
    for kind in kinds():
        pieces, wire, coding = sampled(kind, rng)
        assert_redacted(name, kind, pieces, wire, coding=coding)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["block", "redact"])
def test_every_kind_at_every_place(mode: str) -> None:
    llmtrace.configure(enforcement={"mode": mode, **ANYTHING})
    rng = random.Random(mode)
    check, names = (assert_stopped, list(FORMATS)) if mode == "block" else (assert_redacted, list(SAID_IN))
    for kind in kinds():
        for at in range(kind.start, min(kind.start + len(kind.value), kind.start + 200)):
            _, wire, coding = sampled(kind, rng)
            check(rng.choice(names), kind, cut(kind.text, [at, rng.randrange(len(kind.text))]), wire, coding=coding)
