"""A short soak, and the parts of it that could say that all is well when it is not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from .kinds import BY_NAME, KINDS, kind_of, trace_of
from .ledger import Ledger
from .soak import Report, soak
from .watch import Sample, growth

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 12.0


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_mixed_load_leaves_nothing_behind_but_one_record_for_each_call(tmp_path: Path) -> None:
    report = soak(SECONDS, tmp_path)
    print("\n".join(report.lines()))
    assert report.problems() == []
    assert all(count > 5 for count in report.made.values()), "too few calls to say anything"
    assert report.upstream["broken"] >= report.made["aborted"] * 0.95, "the upstream wrote on for clients that had left"


def quiet(**changes: object) -> Report:
    samples = [Sample(float(at), 100_000, 20, 8) for at in range(100)]
    ledger = Ledger({"whole": 3}, Counter({("whole", "complete"): 3}))
    report = Report(rate=100, asked=100, samples=samples, before=samples[0], after=samples[-1], ledger=ledger)
    report.ended["whole", 200] = 3
    for name, value in changes.items():
        setattr(report, name, value)
    return report


def test_a_report_without_problems_has_none() -> None:
    assert quiet().problems() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ended": Counter({("whole", 502): 2})}, "2 calls of kind whole ended with 502"),
        ({"ended": Counter({("aborted", 200): 1})}, "1 calls of kind aborted ended with 200"),
        ({"rate": 50}, "could be begun"),
        ({"samples": [Sample(float(at), 100_000 + at * 500, 20, 8) for at in range(100)]}, "memory grew"),
        ({"after": Sample(1, 1, 60, 8)}, "60 descriptors"),
        ({"after": Sample(1, 1, 20, 80)}, "80 threads"),
        ({"active": 2}, "under way"),
        ({"ledger": Ledger({"whole": 3}, Counter({("whole", "complete"): 2}))}, "2 records of 3 calls"),
        ({"ledger": Ledger({"whole": 1}, Counter({("whole", "blocked"): 1}))}, "say blocked"),
        ({"ledger": Ledger({}, twice=Counter({"whole": 1}))}, "more than one record"),
        ({"ledger": Ledger({}, foreign=1)}, "of no call"),
    ],
)
def test_each_problem_is_told(changes: dict[str, object], words: str) -> None:
    (problem,) = quiet(**changes).problems()
    assert words in problem


def test_a_trace_tells_the_kind_of_its_call() -> None:
    assert [kind_of(trace_of(kind, 77)) for kind in KINDS] == list(KINDS)
    assert kind_of("ffffffff-0000-4000-8000-000000000000") is None
    assert sum(kind.share for kind in BY_NAME.values()) == 100


def test_growth_is_what_comes_after_the_warm_up() -> None:
    warming = [Sample(float(at), at * 1000, 1, 1) for at in range(20)]
    flat = [Sample(float(at), 50_000, 1, 1) for at in range(80)]
    assert growth([*warming, *flat], 0.2) == (50_000, 0)
