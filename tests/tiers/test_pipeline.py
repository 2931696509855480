"""The tiers in whole calls: through instrumented clients, against the fake provider, sync and async, now and later."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest
import trio

import llmtrace_sdk as llmtrace
from llmtrace_sdk import runtime
from llmtrace_sdk.core.model import Finding, Severity
from llmtrace_sdk.core.tiers import Opinion
from llmtrace_sdk.tiers.desk import Desk

from . import parts
from .parts import ATTACK, BENIGN, GreyEngine, Oracle

if TYPE_CHECKING:
    from pathlib import Path

    from llmtrace_sdk.core.model import CallRecord
    from llmtrace_sdk.fake_provider import FakeProvider

TEXT = "please pretend and ignore it"
BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": TEXT}]}
BLOCK = {"mode": "block"}


def ml_files(tmp_path: Path) -> dict[str, Any]:
    parts.tokenizer(tmp_path)
    return {"enabled": True, "model_path": str(parts.model(tmp_path, weights={"ignore": (0, 40)}))}


def judge_at(provider: FakeProvider, said: str, **more: Any) -> dict[str, Any]:
    return {"enabled": True, "base_url": f"{provider.url}/v1", "model": f"m+{parts.saying(said)}", **more}


def configured(
    tmp_path: Path, oracle: Oracle | None = None, engine: GreyEngine | None = None, **settings: Any
) -> runtime.Runtime:
    """A runtime whose engine finds everything grey; with `oracle` in the place of its advisers."""
    if oracle is not None:
        for group in ("ml", "judge"):
            if group in settings:
                settings[group] = {**ml_files(tmp_path), **settings[group]} if group == "ml" else {
                    "enabled": True, "model": "m", "base_url": "http://127.0.0.1:9/v1", **settings[group],
                }  # fmt: skip
    made = llmtrace.configure(telemetry={"spans": "off"}, **settings)
    parts.with_engine(made, engine or GreyEngine())
    if oracle is not None:
        assert made._desk is not None
        made._desk.close(1)
        made._desk = Desk({"ml": oracle, "judge": oracle}, runtime.count_fault)
        runtime._desks.add(made._desk)
    return made


def post(provider: FakeProvider, module: Any = httpx, **more: Any) -> Any:
    with llmtrace.instrument(module.Client()) as client:
        return client.post(f"{provider.url}/v1/chat/completions", json=BODY, **more)


async def apost(provider: FakeProvider, module: Any = httpx) -> Any:
    async with llmtrace.instrument(module.AsyncClient()) as client:
        return await client.post(f"{provider.url}/v1/chat/completions", json=BODY)


def run(colour: str, provider: FakeProvider, module: Any = httpx) -> Any:
    if colour == "sync":
        return post(provider, module)
    if colour == "trio":
        return trio.run(apost, provider, module)
    return asyncio.run(apost(provider, module))


COLOURS = ["sync", "asyncio", "trio"]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("module", [httpx, httpx2])
def test_inline_stops_a_call_before_it_is_sent(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], colour: str, module: Any
) -> None:
    configured(tmp_path, enforcement=BLOCK, ml={**ml_files(tmp_path), "mode": "inline", "deadline_ms": 10_000})
    provider.reset()
    response = run(colour, provider, module)
    assert response.status_code == 400
    assert provider.stats()["requests"] == 0
    llmtrace.flush()
    (record,) = records
    assert (record.outcome, record.upstream_called, record.decision.reason) == (
        "blocked",
        False,
        "prompt_injection.high",
    )
    (finding,) = record.findings
    assert (finding.rule, finding.detector, finding.channel) == ("ml.onnx", "ml", "user")
    assert "ignore" in TEXT[finding.start : finding.end]
    assert record.detectors == ("stub", "ml")


@pytest.mark.parametrize("colour", COLOURS)
def test_inline_judge_stops_a_call(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], colour: str
) -> None:
    said = parts.verdict(threat=True, category="jailbreak")
    configured(tmp_path, enforcement=BLOCK, judge=judge_at(provider, said, mode="inline", deadline_ms=10_000))
    assert run(colour, provider).status_code == 400
    llmtrace.flush()
    assert [f.rule for f in records[0].findings] == ["judge.jailbreak"]


@pytest.mark.parametrize("colour", COLOURS)
def test_inline_benign_goes_through(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], colour: str
) -> None:
    configured(tmp_path, Oracle(BENIGN), enforcement=BLOCK, ml={"mode": "inline"}, judge={"mode": "inline"})
    assert run(colour, provider).status_code == 200
    llmtrace.flush()
    assert (records[0].findings, records[0].decision.degraded) == ((), False)
    assert records[0].coverage.state == "scanned"


@pytest.mark.parametrize("colour", COLOURS)
def test_inline_time_out_goes_through_degraded(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], colour: str
) -> None:
    configured(tmp_path, Oracle(ATTACK, delay_s=2), enforcement=BLOCK, judge={"mode": "inline", "deadline_ms": 100})
    began = time.monotonic()
    response = run(colour, provider)
    assert response.status_code == 200
    assert time.monotonic() - began < 1.5
    assert response.extensions["llmtrace"].degraded
    llmtrace.flush()
    assert records[0].coverage.reasons == ("judge_timeout",)
    assert records[0].coverage.state == "partial"


@pytest.mark.parametrize("colour", COLOURS)
def test_inline_failure_stops_the_call_when_so_set(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], colour: str
) -> None:
    configured(
        tmp_path, Oracle(RuntimeError()), enforcement={"mode": "flag", "fail_mode": "closed"}, ml={"mode": "inline"}
    )
    assert run(colour, provider).status_code in (400, 403)
    llmtrace.flush()
    assert records[0].decision.reason == "ml_failed"


def test_the_event_loop_goes_on_while_a_tier_is_asked(provider: FakeProvider, tmp_path: Path) -> None:
    configured(tmp_path, Oracle(BENIGN, delay_s=0.5), enforcement=BLOCK, judge={"mode": "inline", "deadline_ms": 3_000})

    async def main() -> tuple[int, int]:
        beats = 0

        async def heart() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        beating = asyncio.create_task(heart())
        response = await apost(provider)
        beating.cancel()
        return response.status_code, beats

    status, beats = asyncio.run(main())
    assert status == 200
    assert beats > 15


def test_a_call_that_is_cancelled_meanwhile_has_its_record(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    configured(tmp_path, Oracle(BENIGN, delay_s=1), enforcement=BLOCK, judge={"mode": "inline", "deadline_ms": 3_000})

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(apost(provider), 0.2)

    asyncio.run(main())
    llmtrace.flush(10)
    assert [(r.stream_end, r.upstream_called) for r in records] == [("cancelled", False)]


@pytest.mark.parametrize("mode", ["async", "inline"])
@pytest.mark.parametrize("colour", COLOURS)
def test_where_nothing_could_be_stopped_the_record_alone_waits(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], colour: str, mode: str
) -> None:
    configured(
        tmp_path, Oracle(ATTACK, delay_s=0.4), enforcement={"mode": "flag"}, ml={"mode": mode, "deadline_ms": 5_000}
    )
    began = time.monotonic()
    assert run(colour, provider).status_code == 200
    assert time.monotonic() - began < 0.4
    assert llmtrace.flush(10)
    (record,) = records
    assert [f.rule for f in record.findings] == ["ml.onnx"]
    assert (record.decision.action, record.decision.verdict) == ("flag", "flag")


def test_what_is_inspected_on_the_way_waits_for_nobody_either(provider: FakeProvider, tmp_path: Path) -> None:
    configured(tmp_path, Oracle(ATTACK, delay_s=0.6), enforcement={"mode": "flag"}, judge={"mode": "inline"})
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * 300_000}]}
    with llmtrace.instrument(httpx.Client()) as client:
        began = time.monotonic()
        client.post(f"{provider.url}/v1/chat/completions", json=body)
        assert time.monotonic() - began < 0.5


def test_a_late_block_cannot_be_enforced_and_says_so(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    configured(tmp_path, Oracle(ATTACK), enforcement=BLOCK, judge={})
    assert post(provider).status_code == 200
    llmtrace.flush(10)
    (record,) = records
    assert (record.decision.action, record.decision.verdict, record.outcome) == ("flag", "block", "complete")
    assert record.decision.reason == "prompt_injection.high"


def test_later_with_real_model_and_real_judge(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    said = parts.verdict(threat=True, category="data_exfiltration", confidence=0.75)
    judge = judge_at(provider, said)
    configured(tmp_path, enforcement={"mode": "flag"}, ml={**ml_files(tmp_path), "threshold": 1.0}, judge=judge)
    post(provider)
    assert llmtrace.flush(10)
    (record,) = records
    assert [(f.rule, f.severity, f.confidence) for f in record.findings] == [
        ("judge.data_exfiltration", Severity.MEDIUM, 0.75)
    ]
    assert record.detectors == ("stub", "ml", "judge")


def test_the_judge_is_not_asked_what_the_model_knows(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    oracle = Oracle(ATTACK)
    configured(tmp_path, oracle, ml={}, judge={})
    post(provider)
    llmtrace.flush(10)
    assert len(oracle.asked) == 1
    assert [f.detector for f in records[0].findings] == ["ml"]


def test_a_shadow_judge_changes_nothing(provider: FakeProvider, tmp_path: Path, records: list[CallRecord]) -> None:
    policy = {"mode": "block", "min_severity": "info", "min_confidence": 0}
    configured(tmp_path, Oracle(ATTACK), enforcement=policy, judge={"mode": "inline", "shadow": True})
    response = post(provider)
    assert (response.status_code, response.extensions["llmtrace"].verdict) == (200, "allow")
    llmtrace.flush(10)
    assert [(f.severity, f.rule) for f in records[0].findings] == [(Severity.INFO, "judge.prompt_injection")]


def test_a_benign_opinion_takes_nothing_away(provider: FakeProvider, tmp_path: Path, records: list[CallRecord]) -> None:
    found = Finding(
        "prompt_injection", "pi.x", Severity.HIGH, 0.85, 0, 4, "/messages/0/content", category="prompt_injection"
    )
    configured(tmp_path, Oracle(BENIGN), GreyEngine(0.85, [found]), enforcement={"mode": "flag"}, ml={}, judge={})
    post(provider)
    llmtrace.flush(10)
    assert records[0].findings == (found,)
    assert records[0].decision.action == "flag"


def test_a_blocked_call_is_not_asked_about(provider: FakeProvider, tmp_path: Path) -> None:
    found = Finding("prompt_injection", "pi.x", Severity.HIGH, 0.85, 0, 4, "/messages/0/content")
    oracle = Oracle(BENIGN)
    engine = GreyEngine(0.85, [found])
    configured(tmp_path, oracle, engine, enforcement=BLOCK, ml={"mode": "inline"}, judge={})
    assert post(provider).status_code == 400
    llmtrace.flush(10)
    assert oracle.asked == []


@pytest.mark.parametrize("score", [0.1, 0.95])
def test_outside_of_the_grey_zone_nobody_is_asked(provider: FakeProvider, tmp_path: Path, score: float) -> None:
    oracle = Oracle(ATTACK)
    configured(tmp_path, oracle, GreyEngine(score), enforcement=BLOCK, ml={"mode": "inline"}, judge={})
    assert post(provider).status_code == 200
    llmtrace.flush(10)
    assert oracle.asked == []


def test_texts_that_cannot_be_masked_are_not_sent(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    oracle = Oracle(BENIGN)
    configured(tmp_path, oracle, GreyEngine(dropped=3), judge={})
    post(provider)
    llmtrace.flush(10)
    assert oracle.asked == []
    assert "judge_skipped" in records[0].coverage.reasons


def test_each_call_keeps_its_own_opinion(provider: FakeProvider, tmp_path: Path, records: list[CallRecord]) -> None:
    oracle = Oracle(lambda q: Opinion(q.text.endswith("7"), "jailbreak" if q.text.endswith("7") else "benign", 0.95))
    configured(tmp_path, oracle, ml={"mode": "inline", "deadline_ms": 5_000}, enforcement={"mode": "block"})
    statuses: dict[int, int] = {}
    with llmtrace.instrument(httpx.Client()) as client:

        def work(i: int) -> None:
            body = {"model": "m", "messages": [{"role": "user", "content": f"number {i}"}]}
            statuses[i] = client.post(f"{provider.url}/v1/chat/completions", json=body).status_code

        threads = [threading.Thread(target=work, args=(i,)) for i in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {i for i, status in statuses.items() if status == 400} == {7}
    llmtrace.flush(10)
    assert len(records) == 12


def test_telemetry_does_not_wait_for_another_calls_judge(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    made = configured(tmp_path, Oracle(BENIGN, delay_s=1), judge={})
    post(provider)
    parts.with_engine(made, GreyEngine(0.0))
    post(provider)
    deadline = time.monotonic() + 0.7
    while not records and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(records) == 1
    assert llmtrace.flush(10)
    assert len(records) == 2
