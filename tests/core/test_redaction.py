"""However much is found, all of it is taken out, and soon."""

from __future__ import annotations

import json
import random
import time

import pytest
from stdnum import luhn

from llmtrace_sdk import detectors
from llmtrace_sdk.core import reading, redaction
from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.core.scan import Engine

ENGINE = Engine(detectors.build())
PERSONAL = Engine(detectors.build(["pii_detected"]))
SLOW_S = 20.0
"""Many times what it takes, and a small part of what anything quadratic would."""


def cards(count: int) -> list[str]:
    rng = random.Random(count)
    bodies = [f"4{number:014d}" for number in rng.sample(range(10**14), count)]
    numbers = [body + luhn.calc_check_digit(body) for body in bodies]
    return [" ".join(number[at : at + 4] for at in range(0, 16, 4)) for number in numbers]


def of_pii(text: str, engine: Engine = PERSONAL) -> list[str]:
    findings = redaction.every(engine, (Segment(text, "user", "/c"),), "input")
    return [text[f.start : f.end] for f in findings if f.type == "pii_detected"]


def test_every_one_of_a_flood_is_found() -> None:
    numbers = cards(5 * reading.MATCHES_PER_RULE)
    assert of_pii("\n".join(numbers)) == numbers


def test_what_is_said_of_the_whole_text_hides_nothing_in_it() -> None:
    """A text that floods the context is one finding from its first character to its last."""
    numbers = cards(3_000)
    text = "and so on, ".join(f"{number} " for number in numbers) + " word" * 30_000
    whole = ENGINE.scan((Segment(text, "user", "/c"),), "input")
    assert any(f.end - f.start > len(text) / 2 for f in whole.findings)
    assert of_pii(text, ENGINE) == numbers


def test_what_is_spread_over_many_texts_is_found_in_each() -> None:
    numbers = cards(500)
    segments = [Segment(f"my card {number}", "user", f"/messages/{n}") for n, number in enumerate(numbers)]
    assert PERSONAL.scan(segments, "input").dropped > 0
    assert [f.pointer for f in redaction.every(PERSONAL, segments, "input")] == [each.pointer for each in segments]


def test_a_report_of_every_finding_left_nothing_out() -> None:
    report = PERSONAL.scan((Segment(" ".join(cards(2_000)), "user", "/c"),), "input", every=True)
    assert (len(report.findings), report.dropped, report.truncated) == (2_000, 0, False)


def test_the_text_limit_bounds_it_all_the_same() -> None:
    engine = Engine(detectors.build(["pii_detected"]), text_limit=200)
    report = engine.scan((Segment(" ".join(cards(50)), "user", "/c"),), "input", every=True)
    assert (len(report.findings), report.truncated) == (10, True)


@pytest.mark.parametrize("pointers", [1, 400])
def test_a_body_full_of_different_numbers_has_none_left(pointers: int) -> None:
    numbers = cards(20_000)
    each = len(numbers) // pointers
    texts = [" ".join(numbers[at : at + each]) for at in range(0, len(numbers), each)]
    segments = [Segment(text, "user", f"/c/{number}") for number, text in enumerate(texts)]
    body = json.dumps({"c": texts}).encode()
    began = time.process_time()
    found = redaction.every(PERSONAL, segments, "input")
    changed = redaction.request(body, found, segments, None)
    assert time.process_time() - began < SLOW_S
    assert changed is not None
    assert set(" ".join(json.loads(changed)["c"]).split()) == {"[REDACTED:pii_detected]"}
