"""The action `judge_route` in whole calls: the judge is asked about what a rule hands over, whatever its score."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import msgspec
import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk.core.model import Finding, Segment, Severity
from llmtrace_sdk.core.routing import JUDGE_ROUTE, RouterOptions
from llmtrace_sdk.core.scan import ScanReport

from .parts import ATTACK, BENIGN, GreyEngine, Oracle, saying, threat, verdict
from .test_pipeline import BLOCK, BODY, COLOURS, TEXT, apost, configured, post, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from llmtrace_sdk.core.model import CallRecord, Phase
    from llmtrace_sdk.core.tiers import Opinion, Question
    from llmtrace_sdk.fake_provider import FakeProvider

FLAG = {"mode": "flag"}
CLEAR = 0.95
"""A score that is not in the grey zone."""


def suspicion(severity: Severity = Severity.MEDIUM, pointer: str = "/messages/0/content", **more: Any) -> Finding:
    return Finding("jailbreak", "jb.x", severity, 0.9, 0, 4, pointer, **more)


def routed(inline: bool = False, timeout_ms: int = 10_000, *more: str, **rule: Any) -> dict[str, Any]:
    rule = {"min_severity": "medium", "min_confidence": 0.5, "actions": ["judge_route", *more], **rule}
    options = {"inline_await": inline, "inline_timeout_ms": timeout_ms}
    return {"enabled": True, "default_actions": [], "rules": [rule], "judge_route": options}


class Scored(GreyEngine):
    """Gives texts the scores that it was told, and finds what it was told in the answer as well."""

    def __init__(self, scores: dict[str, float], found: Sequence[Finding] = (), said: Sequence[Finding] = ()) -> None:
        super().__init__()
        self._scores, self._found, self._said = scores, tuple(found), tuple(said)

    def scan(self, segments: Sequence[Segment], phase: Phase) -> ScanReport:
        if phase == "output":
            return ScanReport(self._said)
        return ScanReport(
            self._found, grey=tuple((s, self._scores[s.text]) for s in segments if s.text in self._scores)
        )


class Gated(Oracle):
    """Says nothing before `gate` is set; whoever waits for it meets its deadline."""

    def __init__(self) -> None:
        super().__init__(self._attack)
        self.gate = threading.Event()

    def _attack(self, _question: Question) -> Opinion:
        assert self.gate.wait(30)
        return ATTACK


def told(records: list[CallRecord]) -> str:
    """What became of it, in the record of the only call."""
    assert llmtrace.flush(10)
    (record,) = records
    (status,) = (each for each in record.actions if each.name == "judge_route")
    return f"{status.status} {status.detail}"


def send(provider: FakeProvider, *texts: str, role: str = "user") -> httpx.Response:
    messages = [{"role": role, "content": text} for text in texts]
    with llmtrace.instrument(httpx.Client()) as client:
        return client.post(f"{provider.url}/v1/chat/completions", json={**BODY, "messages": messages})


@pytest.mark.parametrize("colour", COLOURS)
def test_it_is_asked_after_the_call_and_the_record_alone_waits(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], colour: str
) -> None:
    oracle = Gated()
    engine = GreyEngine(CLEAR, [suspicion()])
    configured(tmp_path, oracle, engine, enforcement=FLAG, judge={"deadline_ms": 20_000}, action_router=routed())
    assert run(colour, provider).status_code == 200
    assert records == []
    oracle.gate.set()
    assert told(records) == "success asked"
    assert oracle.asked == [TEXT]
    (record,) = records
    assert [finding.rule for finding in record.findings] == ["jb.x", "judge.prompt_injection"]
    assert record.detectors == ("stub", "judge")
    assert record.decision.reason == "prompt_injection.high"


@pytest.mark.parametrize("rule", [{"finding_type": "pii_detected"}, {"min_severity": "high"}, {"min_confidence": 0.95}])
def test_only_findings_that_the_rule_is_for_hand_a_call_over(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], rule: dict[str, Any]
) -> None:
    oracle = Oracle(ATTACK)
    configured(tmp_path, oracle, GreyEngine(CLEAR, [suspicion()]), judge={}, action_router=routed(**rule))
    post(provider)
    llmtrace.flush(10)
    assert (oracle.asked, records[0].actions) == ([], ())


def test_default_actions_hand_calls_with_findings_over_alone(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    router = {"enabled": True, "default_actions": ["judge_route"]}
    oracle = Oracle(BENIGN)
    made = configured(tmp_path, oracle, GreyEngine(CLEAR, [suspicion()]), judge={}, action_router=router)
    post(provider)
    assert told(records) == "success asked"
    made.pipeline = msgspec.structs.replace(made.pipeline, engine=GreyEngine(CLEAR))
    post(provider)
    llmtrace.flush(10)
    assert (oracle.asked, records[1].actions) == ([TEXT], ())


def test_what_a_category_allows_is_not_handed_over(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    policy = {"mode": "flag", "categories": [{"finding_type": "jailbreak", "action": "allow"}]}
    oracle = Oracle(ATTACK)
    engine = GreyEngine(CLEAR, [suspicion(Severity.HIGH)])
    configured(tmp_path, oracle, engine, enforcement=policy, judge={}, action_router=routed())
    post(provider)
    llmtrace.flush(10)
    assert (oracle.asked, records[0].actions) == ([], ())


def test_the_other_actions_know_what_it_said(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], caplog: pytest.LogCaptureFixture
) -> None:
    engine = GreyEngine(CLEAR, [suspicion()])
    configured(tmp_path, Oracle(ATTACK), engine, judge={}, action_router=routed(False, 1, "log"))
    with caplog.at_level(logging.WARNING, "llmtrace"):
        post(provider)
        assert told(records) == "success asked"
    assert any("2 findings (jailbreak, prompt_injection), worst high" in line for line in caplog.messages)


def test_a_late_verdict_is_reported_and_enforces_nothing(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    engine = GreyEngine(CLEAR, [suspicion()])
    configured(tmp_path, Oracle(ATTACK), engine, enforcement=BLOCK, judge={}, action_router=routed())
    assert post(provider).status_code == 200
    assert told(records) == "success asked"
    decision = records[0].decision
    assert (decision.action, decision.verdict, records[0].outcome) == ("flag", "block", "complete")


@pytest.mark.parametrize("inline", [False, True])
def test_a_benign_opinion_takes_nothing_away(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], inline: bool
) -> None:
    found = suspicion(Severity.HIGH)
    policy = {"mode": "block", "categories": [{"finding_type": "jailbreak", "action": "flag"}]}
    engine = GreyEngine(CLEAR, [found])
    configured(tmp_path, Oracle(BENIGN), engine, enforcement=policy, judge={}, action_router=routed(inline))
    assert post(provider).status_code == 200
    assert told(records) == "success asked"
    assert (records[0].findings, records[0].decision.action) == ((found,), "flag")


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("module", [httpx, httpx2])
def test_awaited_it_stops_a_call_before_it_is_sent(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], colour: str, module: Any
) -> None:
    oracle = Oracle(threat("jailbreak"))
    engine = GreyEngine(CLEAR, [suspicion()])
    configured(tmp_path, oracle, engine, enforcement=BLOCK, judge={}, action_router=routed(True))
    provider.reset()
    assert run(colour, provider, module).status_code == 400
    assert provider.stats()["requests"] == 0
    assert told(records) == "success asked"
    assert oracle.asked == [TEXT]
    (record,) = records
    assert (record.outcome, record.decision.reason) == ("blocked", "prompt_injection.high")
    assert record.findings[-1].rule == "judge.jailbreak"


def test_awaited_it_is_asked_once_and_what_it_said_is_remembered(provider: FakeProvider, tmp_path: Path) -> None:
    oracle = Oracle(BENIGN)
    engine = GreyEngine(CLEAR, [suspicion()])
    configured(tmp_path, oracle, engine, enforcement=BLOCK, judge={}, action_router=routed(True))
    for _ in range(2):
        assert post(provider).status_code == 200
    llmtrace.flush(10)
    assert oracle.asked == [TEXT]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_call_waits_no_longer_than_it_may(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], colour: str
) -> None:
    oracle, engine = Oracle(ATTACK, delay_s=3), GreyEngine(CLEAR, [suspicion()])
    judge = {"deadline_ms": 20_000}
    configured(tmp_path, oracle, engine, enforcement=BLOCK, judge=judge, action_router=routed(True, 100))
    began = time.monotonic()
    response = run(colour, provider)
    assert response.status_code == 200
    assert time.monotonic() - began < 2
    assert told(records) == "error unanswered"
    assert time.monotonic() - began < 3
    assert records[0].decision.degraded
    assert records[0].coverage.reasons == ("judge_timeout",)


def test_no_answer_stops_an_awaiting_call_when_so_set(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    policy = {"mode": "flag", "fail_mode": "closed"}
    engine = GreyEngine(CLEAR, [suspicion()])
    configured(tmp_path, Oracle(RuntimeError()), engine, enforcement=policy, judge={}, action_router=routed(True))
    assert post(provider).status_code in (400, 403)
    assert told(records) == "error unanswered"
    assert records[0].decision.reason == "judge_failed"


def test_a_call_that_is_cancelled_meanwhile_says_that_there_was_no_answer(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    oracle, engine = Oracle(ATTACK, delay_s=1), GreyEngine(CLEAR, [suspicion()])
    configured(tmp_path, oracle, engine, enforcement=BLOCK, judge={}, action_router=routed(True))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(apost(provider), 0.2)

    asyncio.run(main())
    assert told(records) == "error unanswered"
    assert (records[0].stream_end, records[0].upstream_called) == ("cancelled", False)


@pytest.mark.parametrize("policy", [FLAG, {"mode": "block", "shadow": True}])
def test_where_nothing_could_be_stopped_nobody_waits(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], policy: dict[str, Any]
) -> None:
    oracle, engine = Gated(), GreyEngine(CLEAR, [suspicion()])
    judge = {"deadline_ms": 20_000}
    configured(tmp_path, oracle, engine, enforcement=policy, judge=judge, action_router=routed(True, 20_000))
    assert post(provider).status_code == 200
    assert records == []
    oracle.gate.set()
    assert told(records) == "success asked"
    assert records[0].findings[-1].rule == "judge.prompt_injection"


def test_a_late_judge_that_does_not_answer_is_told_of(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    engine = GreyEngine(CLEAR, [suspicion()])
    configured(tmp_path, Oracle(RuntimeError()), engine, enforcement=FLAG, judge={}, action_router=routed())
    assert post(provider).status_code == 200
    assert told(records) == "error unanswered"
    assert records[0].coverage.reasons == ("judge_failed",)
    assert records[0].decision.degraded


@pytest.mark.parametrize("inline", [False, True])
def test_a_call_that_is_blocked_anyway_is_not_asked_about(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], inline: bool
) -> None:
    oracle, engine = Oracle(BENIGN), GreyEngine(CLEAR, [suspicion(Severity.HIGH)])
    configured(tmp_path, oracle, engine, enforcement=BLOCK, judge={}, action_router=routed(inline))
    assert post(provider).status_code == 400
    assert told(records) == "skipped blocked"
    assert oracle.asked == []


def test_what_the_application_wrote_itself_is_no_text_for_it(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    oracle, engine = Oracle(ATTACK), GreyEngine(CLEAR, [suspicion()])
    configured(tmp_path, oracle, engine, judge={}, action_router=routed())
    send(provider, TEXT, role="system")
    assert told(records) == "skipped no_text"
    assert oracle.asked == []


@pytest.mark.parametrize("inline", [False, True])
def test_texts_that_cannot_be_masked_are_not_sent(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord], inline: bool
) -> None:
    oracle, engine = Oracle(ATTACK), GreyEngine(CLEAR, [suspicion()], failed=("stub",))
    configured(tmp_path, oracle, engine, enforcement=BLOCK, judge={}, action_router=routed(inline))
    post(provider)
    assert told(records) == "skipped not_masked"
    assert oracle.asked == []
    assert "judge_skipped" in records[0].coverage.reasons


def test_a_finding_of_the_answer_hands_the_request_over(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    oracle = Oracle(ATTACK)
    engine = Scored({}, said=[suspicion(pointer="/choices/0/message/content", phase="output")])
    configured(tmp_path, oracle, engine, enforcement=BLOCK, judge={}, action_router=routed(True))
    assert post(provider).status_code == 200
    assert told(records) == "success asked"
    assert oracle.asked == [TEXT]


def test_a_finding_that_needs_the_record_comes_too_late(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    class Anomalies:
        def observe(self, _record: CallRecord) -> tuple[Finding, ...]:
            return (suspicion(),)

    oracle = Oracle(ATTACK)
    made = configured(tmp_path, oracle, GreyEngine(0.0), enforcement=FLAG, judge={}, action_router=routed())
    made.pipeline = msgspec.structs.replace(made.pipeline, anomalies=Anomalies())
    post(provider)
    assert told(records) == "skipped too_late"
    assert oracle.asked == []


def test_what_it_was_asked_before_it_is_not_asked_again(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    oracle = Oracle(BENIGN)
    engine = Scored({"grey": 0.5, "clear": CLEAR}, [suspicion(pointer="/messages/1/content")])
    configured(tmp_path, oracle, engine, enforcement=BLOCK, judge={"mode": "inline"}, action_router=routed())
    send(provider, "grey", "clear")
    assert told(records) == "success asked"
    assert oracle.asked == ["grey", "clear"]
    assert records[0].detectors == ("stub", "judge")


def test_handing_over_what_was_asked_already_asks_nothing(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    oracle = Oracle(ATTACK)  # the finding that hands the call over is the judge's own
    configured(tmp_path, oracle, GreyEngine(0.5), enforcement=FLAG, judge={}, action_router=routed())
    post(provider)
    assert told(records) == "success asked"
    assert oracle.asked == [TEXT]


def test_four_texts_are_asked_about_at_most_those_with_findings_first(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    oracle = Oracle(BENIGN)
    engine = Scored({f"text {i}": i / 100 for i in range(8)}, [suspicion(pointer="/messages/2/content")])
    configured(tmp_path, oracle, engine, judge={}, action_router=routed())
    send(provider, *(f"text {i}" for i in range(8)), "unscored")
    assert told(records) == "success asked"
    assert sorted(oracle.asked) == ["text 2", "text 5", "text 6", "text 7"]
    assert records[0].coverage.reasons == ()  # what was left out is in nobody's zone


def test_a_classifier_that_knows_already_takes_no_text_from_it(
    provider: FakeProvider, tmp_path: Path, records: list[CallRecord]
) -> None:
    oracle = Oracle(ATTACK)
    configured(tmp_path, oracle, GreyEngine(0.5), enforcement=FLAG, ml={}, judge={}, action_router=routed())
    post(provider)
    assert told(records) == "success asked"
    assert [finding.detector for finding in records[0].findings] == ["ml", "judge"]


def test_with_the_engine_and_a_real_judge(provider: FakeProvider, records: list[CallRecord]) -> None:
    said = verdict(threat=True, category="jailbreak")
    judge = {"enabled": True, "base_url": f"{provider.url}/v1", "model": f"m+{saying(said)}"}
    router = routed(True, finding_type="pii_detected", min_severity="low")
    llmtrace.configure(telemetry={"spans": "off"}, enforcement=BLOCK, judge=judge, action_router=router)
    provider.reset()
    assert send(provider, "Write to jane.doe@example.com please").status_code == 400
    assert told(records) == "success asked"
    assert records[0].findings[-1].rule == "judge.jailbreak"
    assert provider.stats()["requests"] == 1  # the judge's own


@pytest.mark.parametrize("judge", [{}, {"enabled": False, "model": "m"}])
def test_without_a_judge_it_is_said_what_to_set(judge: dict[str, Any]) -> None:
    with pytest.raises(llmtrace.ConfigError, match=r"judge_route has nobody to ask; set judge\.enabled"):
        llmtrace.configure(judge=judge, action_router=routed())
    with pytest.raises(llmtrace.ConfigError, match="nobody to ask"):  # as a flag of the relay could switch it off
        llmtrace.configure(llmtrace.Settings(action_router=RouterOptions(enabled=True, default_actions=(JUDGE_ROUTE,))))
    off = {**routed(), "enabled": False}
    assert llmtrace.configure(judge=judge, action_router=off).settings.action_router.rules
