"""Spikes are found, whatever came before them; what is usual, drifts or grows is not."""

from __future__ import annotations

import math
import random
import tracemalloc
from bisect import insort
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core import anomaly
from llmtrace_sdk.core.anomaly import Anomalies, AnomalyOptions
from llmtrace_sdk.core.baseline import LEAST, TOP, Baseline, Pace, amount_of, step_of
from llmtrace_sdk.core.model import Answer, CallRecord, Decision, Finding, Labels, Prompt, Severity, Usage

ON = AnomalyOptions(enabled=True)
SECOND = 10**9
START = 1_700_000_000 * SECOND


def record(at: float = 0.0, **more: Any) -> CallRecord:
    """A call that ended `at` seconds after the start of the test and took `took` of them."""
    ended = START + round(at * SECOND)
    tokens, took = more.pop("tokens", 1000), more.pop("took", 1.0)
    usage = Usage(tokens, 0) if tokens is not None else Usage()
    known: dict[str, Any] = {
        "started_ns": ended - round(took * SECOND),
        "ended_ns": ended,
        "cost_usd": 0.01,
        "status": 200,
        "outcome": "complete",
        "labels": Labels(tenant=more.pop("tenant", "t"), agent=more.pop("agent", None)),
        "prompt": Prompt(model=more.pop("model", "gpt-4o")),
        "answer": Answer(usage=usage),
    }
    place: dict[str, Any] = {
        "provider": "openai",
        "operation": "chat",
        "api": "chat_completions",
        "address": "h",
        "port": 443,
    }
    return CallRecord(
        id="1", path="/", stream_end="complete", decision=Decision("1"), **place, **{**known, **more}
    )  # fmt: skip


def steady(made: Anomalies, count: int = 100, every: float = 5.0, begin: float = 0.0, **more: Any) -> float:
    """Ordinary calls, in which nothing may be found; gives the time of the next one."""
    dice = random.Random(7)
    for number in range(count):
        spread = dice.uniform(0.9, 1.1)
        call = record(begin + number * every, **{"cost_usd": 0.01 * spread, "took": spread, **more})
        assert made.observe(call) == (), number
    return begin + count * every


def types(found: tuple[Finding, ...]) -> set[str]:
    return {finding.type for finding in found}


@pytest.mark.parametrize(
    ("kind", "spike"),
    [
        ("anomaly_cost_spike", {"cost_usd": 0.2}),
        ("anomaly_token_spike", {"tokens": 30_000}),
        ("anomaly_latency_spike", {"took": 20.0}),
    ],
)
def test_one_outlier_is_found_and_so_is_the_next(kind: str, spike: dict[str, Any]) -> None:
    made = Anomalies(ON)
    now = steady(made)
    for _ in range(4):
        assert types(made.observe(record(now, **spike))) == {kind}
    steady(made, 20, begin=now)
    assert types(made.observe(record(now + 200, **spike))) == {kind}


def test_what_a_finding_says_and_what_it_does_not() -> None:
    made = Anomalies(ON)
    now = steady(made, tenant="secret-tenant", agent="secret-agent")
    (found,) = made.observe(record(now, tenant="secret-tenant", agent="secret-agent", cost_usd=5.0))
    assert (found.type, found.severity, found.detector) == (
        "anomaly_cost_spike",
        Severity.CRITICAL,
        "anomaly_detection",
    )
    assert (found.start, found.end, found.pointer, found.phase) == (0, 0, "", "output")
    assert 0.5 <= found.confidence <= 1
    assert "secret" not in repr(found)


def test_a_spike_says_how_much_is_usual() -> None:
    made = Anomalies(ON)
    (spike,) = made.spikes(record(steady(made), tokens=20_000))
    assert (spike.metric, spike.value) == ("token", 20_000)
    assert spike.usual == pytest.approx(1000, rel=0.1)
    assert spike.sigma > 3


@pytest.mark.parametrize("usual", [0, 1000])
def test_a_constant_history_is_left_by_a_jump(usual: int) -> None:
    made = Anomalies(ON)
    now = 0.0
    for number in range(LEAST):
        now = number * 5.0
        assert made.observe(record(now, tokens=usual)) == ()
    assert made.observe(record(now, tokens=usual + 200)) == ()
    assert types(made.observe(record(now, tokens=8 * usual + 4000))) == {"anomaly_token_spike"}


def test_nothing_is_found_in_the_first_ten() -> None:
    made = Anomalies(ON)
    for number in range(LEAST):
        assert made.observe(record(number * 5.0, tokens=10**number)) == ()


def test_only_what_is_too_high_is_found() -> None:
    made = Anomalies(ON)
    now = steady(made)
    assert made.observe(record(now, tokens=0, cost_usd=0, took=0)) == ()


@pytest.mark.parametrize("growth", [1.002, 1.01, 1.05])
def test_drift_is_not_found(growth: float) -> None:
    made = Anomalies(ON)
    for number in range(400):
        amount = 1000 * growth**number
        assert made.observe(record(number * 5.0, tokens=round(amount), cost_usd=amount / 1e6)) == ()


def test_a_new_level_becomes_usual() -> None:
    made = Anomalies(ON)
    now = steady(made)
    told = [bool(made.observe(record(now + number * 5, tokens=20_000))) for number in range(200)]
    assert all(told[:5])
    assert not any(told[60:])
    assert types(made.observe(record(now + 1000, tokens=400_000))) == {"anomaly_token_spike"}


def test_a_second_kind_of_call_is_usual() -> None:
    made, dice = Anomalies(ON), random.Random(3)
    found = [
        made.observe(record(number * 5.0, tokens=20_000 if dice.random() < 0.3 else 300)) for number in range(2000)
    ]
    assert sum(map(bool, found)) < 20


def test_ordinary_spread_is_rarely_found() -> None:
    made, dice = Anomalies(ON), random.Random(5)
    found = 0
    for number in range(4000):
        amount = dice.lognormvariate(7, 1)
        found += bool(made.observe(record(number * 5.0, tokens=round(amount))))
    assert found < 20  # three standard deviations: 1.3 in a thousand


def test_ordinary_spread_is_rarely_found_in_short_histories_either() -> None:
    dice, found = random.Random(9), 0
    for _ in range(300):
        made = Anomalies(ON)
        for number in range(25):
            found += bool(made.observe(record(number * 5.0, tokens=round(dice.lognormvariate(8, 0.8)))))
    assert found < 45  # of 4500


def test_a_burst_is_found_once_a_minute_and_again_when_it_is_worse() -> None:
    made = Anomalies(ON)
    now = steady(made, 300, every=1.0)
    found = [f for number in range(2000) for f in made.observe(record(now + number / 100))]
    assert types(tuple(found)) == {"anomaly_velocity_spike"}
    assert [f.severity for f in found] == sorted({f.severity for f in found})
    later = steady(made, 300, every=1.0, begin=now + 120)
    assert any(made.observe(record(later + number / 100)) for number in range(1000))


def test_batches_that_come_every_hour_are_usual() -> None:
    made = Anomalies(ON)
    for hour in range(12):
        for number in range(200):
            assert made.observe(record(hour * 3600 + number / 5)) == ()


def test_late_records_do_not_make_a_burst() -> None:
    made = Anomalies(ON)
    now = steady(made, 200, every=1.0)
    assert not any(made.observe(record(now - 300)) for _ in range(1000))


def test_a_clock_that_was_wrong_is_forgotten() -> None:
    made = Anomalies(ON)
    now = steady(made, 100, every=1.0)
    made.observe(record(now + 10**7))
    begin = steady(made, 200, every=1.0, begin=now)
    assert any(made.observe(record(begin + number / 100)) for number in range(1000))


def test_the_beginning_of_a_stream_is_not_compared_with_whole_answers() -> None:
    made = Anomalies(ON)
    now = steady(made, took=0.2)
    begun = START + round((now - 9) * SECOND)
    long = {"streamed": True, "took": 10.0, "first_chunk_ns": begun}
    for number in range(LEAST):
        assert made.observe(record(now, **long)) == (), number
    slow = {**long, "took": 60.0, "first_chunk_ns": begun}
    assert types(made.observe(record(now, **slow))) == {"anomaly_latency_spike"}


@pytest.mark.parametrize(
    "failed",
    [
        {"status": 500, "outcome": "upstream_error"},
        {"status": None, "outcome": "upstream_error"},
        {"outcome": "abandoned"},
        {"upstream_called": False, "outcome": "blocked"},
        {"started_ns": START * 2},
        {"streamed": True, "first_chunk_ns": None},
    ],
)
def test_what_was_not_answered_has_no_latency(failed: dict[str, Any]) -> None:
    made = Anomalies(ON)
    now = steady(made)
    assert made.observe(record(now, **{"took": 500.0, **failed})) == ()


@pytest.mark.parametrize("other", [{"tenant": "u"}, {"model": "o3"}, {"agent": "a"}])
def test_each_tenant_model_and_agent_has_its_own(other: dict[str, str]) -> None:
    made = Anomalies(ON)
    now = steady(made)
    assert made.observe(record(now, tokens=90_000, **other)) == ()
    assert made.observe(record(now, tokens=90_000))


@pytest.mark.parametrize(
    ("switch", "spike"),
    [("check_cost", {"cost_usd": 1.0}), ("check_tokens", {"tokens": 10**6}), ("check_latency", {"took": 90.0})],
)
def test_each_check_can_be_switched_off(switch: str, spike: dict[str, Any]) -> None:
    for value in (True, False):
        made = Anomalies(replace(ON, **{switch: value}))
        assert bool(made.observe(record(steady(made), **spike))) is value


def test_the_pace_can_be_left_out_and_so_can_everything() -> None:
    for options in (replace(ON, check_velocity=False), AnomalyOptions()):
        made = Anomalies(options)
        now = steady(made, 200, every=1.0)
        assert not any(made.observe(record(now + number / 100)) for number in range(2000))
    assert not made.observe(record(now, tokens=10**9))


def test_the_window_forgets() -> None:
    short, long = (Anomalies(replace(ON, window_size=size)) for size in (20, 1000))
    for made in (short, long):
        now = steady(made, 300)
        for number in range(40):
            made.observe(record(now + number * 5, tokens=20_000))
    again = record(now + 300, tokens=20_000)
    assert not short.observe(again)
    assert long.observe(again)


def test_the_threshold_moves_the_finding_and_its_severity() -> None:
    for sigma, severity in ((3.0, Severity.CRITICAL), (6.0, Severity.HIGH), (12.0, Severity.MEDIUM), (50.0, None)):
        made = Anomalies(replace(ON, sigma_threshold=sigma))
        found = made.observe(record(steady(made), tokens=40_000))
        assert [f.severity for f in found] == ([] if severity is None else [severity])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (AnomalyOptions(window_size=9), "window_size"),
        (AnomalyOptions(window_size=10_001), "window_size"),
        (AnomalyOptions(sigma_threshold=0), "sigma_threshold"),
        (AnomalyOptions(sigma_threshold=math.nan), "sigma_threshold"),
    ],
)
def test_values_that_cannot_be_used(options: AnomalyOptions, word: str) -> None:
    (problem,) = options.problems()
    assert problem.startswith(f"anomaly_detection.{word}: ")
    assert not ON.problems()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anomaly, "MOST_KEYS", 500)
    made = Anomalies(ON)
    for number in range(1000):
        made.observe(record(0, tenant=str(number)))
    tracemalloc.start()
    try:
        for turn in range(12):
            for number in range(1000):
                made.observe(record(turn, tenant=f"{turn}-{number}"))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(made._keys) == 500
    made.observe(record(0, tenant="x" * 10**6, agent="y" * 10**6, model="z" * 10**6))
    assert len(repr(next(reversed(made._keys)))) < 1000
    assert grown < 3_000_000  # what 500 keys take


def test_long_windows_leave_fewer_keys() -> None:
    assert Anomalies(replace(ON, window_size=10_000))._most == 335
    assert Anomalies(ON)._most == anomaly.MOST_KEYS


def test_the_key_that_is_used_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anomaly, "MOST_KEYS", 10)
    made = Anomalies(ON)
    for number in range(50):
        made.observe(record(number * 5))
        made.observe(record(number * 5, tenant=f"other-{number}"))
    assert made.observe(record(260, tokens=90_000))


def test_threads_do_not_break_it() -> None:
    made, faults = Anomalies(replace(ON, window_size=20)), []

    def hammer(seed: int) -> None:
        dice = random.Random(seed)
        try:
            for number in range(500):
                made.observe(record(number, tokens=dice.randrange(10**6)))
        except Exception as error:
            faults.append(error)

    threads = [Thread(target=hammer, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_equal_records_give_equal_findings() -> None:
    dice = random.Random(1)
    calls = [record(n * dice.random(), tokens=round(dice.lognormvariate(6, 2))) for n in range(500)]
    first, second = Anomalies(ON), Anomalies(ON)
    assert [first.observe(call) for call in calls] == [second.observe(call) for call in calls]


numbers = st.none() | st.integers() | st.floats() | st.just(10**400)
whole = st.integers(-(2**70), 2**70)
calls = st.builds(
    record,
    cost_usd=numbers,
    tokens=numbers,
    started_ns=whole,
    ended_ns=whole,
    first_chunk_ns=st.none() | whole,
    status=st.none() | whole,
    streamed=st.booleans(),
    tenant=st.none() | st.text(),
    model=st.none() | st.sampled_from("ab"),
)


@given(st.lists(calls, max_size=60), st.integers(10, 30), st.floats(0.01, 100))
def test_it_never_raises(records: list[CallRecord], size: int, sigma: float) -> None:
    made = Anomalies(AnomalyOptions(enabled=True, window_size=size, sigma_threshold=sigma))
    keys = {(each.labels.tenant, each.prompt.model) for each in records}
    assert not any(made.observe(record(n, tenant=t, model=m)) for t, m in keys for n in range(LEAST))
    for finding in (found for each in records for found in made.observe(each)):
        assert (0.5 <= finding.confidence <= 1, finding.severity >= Severity.MEDIUM) == (True, True)


@given(st.lists(st.integers(0, TOP), min_size=1, max_size=200), st.integers(10, 40))
def test_both_orders_hold_the_same_values(steps: list[int], size: int) -> None:
    baseline = Baseline()
    for step in steps:
        baseline.take(step, size)
        expected: list[int] = []
        for each in baseline._order:
            insort(expected, each)
        assert list(baseline._sorted) == expected
    assert len(baseline._order) == min(len(steps), size)


@given(st.floats(0, 1e12), st.sampled_from([0.001, 250, 10, 0.25]))
def test_a_step_tells_the_amount(amount: float, unit: float) -> None:
    step = step_of(amount, unit)
    if step < TOP:
        assert amount_of(step - 0.51, unit) <= amount <= amount_of(step + 0.51, unit)


@given(st.lists(st.integers(-(10**13), 10**13), max_size=100))
def test_a_pace_never_counts_more_than_there_were(times: list[int]) -> None:
    pace = Pace()
    for number, when in enumerate(times, 1):
        ended, running = pace.count(when)
        assert running is None or 1 <= running <= number
        assert ended is None or 0 <= ended < number
