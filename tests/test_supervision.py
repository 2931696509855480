from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextvars import ContextVar
from itertools import repeat
from queue import Empty
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_sdk import detectors, supervision
from llmtrace_sdk.core.model import Finding, Phase, Segment, Severity
from llmtrace_sdk.core.policy import STRENGTH, CategoryRule, EnforcementOptions, Policy
from llmtrace_sdk.core.scan import Engine
from llmtrace_sdk.errors import ConfigError
from llmtrace_sdk.supervision import RUNS_OUT, Supervised, supervised
from tests.forking import forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from llmtrace_sdk.core.policy import Verdict

SEGMENT = Segment("some text", "tool", "/messages/3", "tool_result", "search")
FOUND = Finding("acme", "acme.1", Severity.HIGH, 0.9, 5, 9)
AMPLE_MS = 60_000


class Foreign:
    """A detector of somebody else's that does what it is told."""

    phases: frozenset[Phase] = frozenset({"input", "output"})

    def __init__(self, does: Callable[[Segment], Iterable[Finding]], name: str = "acme") -> None:
        self.name = name
        self.does = does

    def detect(self, segment: Segment, phase: Phase, /) -> Iterable[Finding]:
        return self.does(segment)


class Panic(BaseException):
    """As native code raises it."""


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a hanging detector waits for."""
    event = threading.Event()
    yield event
    event.set()


def watched(does: Callable[[Segment], Any], budget_ms: int = AMPLE_MS, name: str = "acme") -> Supervised:
    (made,) = supervised([Foreign(does, name)], {}, budget_ms)
    assert isinstance(made, Supervised)
    return made


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"llmtrace-{name}"]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def raising(error: BaseException) -> Callable[[Segment], Any]:
    def does(_: Segment) -> Any:
        raise error

    return does


def test_only_what_is_not_ours_is_supervised() -> None:
    ours = detectors.build()
    foreign = Foreign(lambda _: ())
    made = supervised([*ours, foreign], {}, 50)
    assert made[:-1] == ours
    assert isinstance(made[-1], Supervised)
    assert (made[-1].name, made[-1].phases, made[-1].budget_ms) == ("acme", foreign.phases, 50)


def test_budgets_by_name_for_anybody() -> None:
    (repeated,) = detectors.build(["is_repeated_token"])
    own, acme, other = supervised(
        [repeated, Foreign(lambda _: ()), Foreign(lambda _: (), "other")], {"is_repeated_token": 5, "acme": 6}, 7
    )
    assert [each.budget_ms for each in (own, acme, other) if isinstance(each, Supervised)] == [5, 6, 7]
    assert own.channels == repeated.channels  # type: ignore[attr-defined]
    long = Segment("spam " * 500, "user", "/0")
    (own,) = supervised([repeated], {"is_repeated_token": AMPLE_MS}, 7)
    assert tuple(own.detect(long, "input")) == tuple(repeated.detect(long, "input")) != ()


def test_a_budget_that_cannot_be_kept_is_an_error() -> None:
    names = ["injection_classifier", "pii_detected", "encoding_attack"]
    with pytest.raises(ConfigError, match="'pii_detected' cannot be kept") as caught:
        supervised(detectors.build(names), dict.fromkeys(names, 5), 7)
    assert len(caught.value.problems) == 3
    assert all("budget_ms" in problem for problem in caught.value.problems)


def test_findings_are_put_where_they_belong() -> None:
    (found,) = watched(lambda _: [FOUND]).detect(SEGMENT, "output")
    assert (found.pointer, found.channel, found.kind) == ("/messages/3", "tool", "tool_result")
    assert (found.phase, found.detector, found.start, found.end) == ("output", "acme", 5, 9)


def test_no_thread_before_the_first_text_and_one_for_many() -> None:
    detector = watched(lambda segment: [FOUND] if "text" in segment.text else [], name="frugal")
    assert threads("frugal") == []
    for _ in range(50):
        assert len(detector.detect(SEGMENT, "input")) == 1
    assert len(threads("frugal")) == 1
    assert threads("frugal")[0].daemon


def test_a_thread_that_is_not_needed_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "LINGER_S", 0.001)
    detector = watched(lambda _: [FOUND], name="shy")
    for _ in range(20):  # whether the thread has gone in the meantime or not
        assert len(detector.detect(SEGMENT, "input")) == 1
        time.sleep(0.001)
    eventually(lambda: not threads("shy"))
    assert len(detector.detect(SEGMENT, "input")) == 1


def test_a_hanging_detector_is_not_waited_for_and_piles_nothing_up(gate: threading.Event) -> None:
    detector = watched(lambda _: gate.wait() and (FOUND,), 10, "stuck")
    for _ in range(RUNS_OUT):
        with pytest.raises(TimeoutError, match="longer than 10 ms"):
            detector.detect(SEGMENT, "input")
    for _ in range(100):
        with pytest.raises(TimeoutError, match="has not come back"):
            detector.detect(SEGMENT, "input")
    assert len(threads("stuck")) == RUNS_OUT
    gate.set()
    eventually(lambda: not detector._late)
    assert watched(lambda _: gate.wait() and (FOUND,)).detect(SEGMENT, "input")
    detector.budget_ms = AMPLE_MS
    assert detector.detect(SEGMENT, "input")


def test_a_late_answer_is_nobodys(gate: threading.Event) -> None:
    """The answer to a text that nobody waits for any more is not taken for that to the next text."""

    def does(segment: Segment) -> Iterable[Finding]:
        if segment.text == "slow":
            gate.wait()
            return ()
        return [FOUND]

    detector = watched(does, 10)
    with pytest.raises(TimeoutError):
        detector.detect(Segment("slow", "user", ""), "input")
    gate.set()
    eventually(lambda: not detector._late)
    detector.budget_ms = AMPLE_MS
    assert len(detector.detect(SEGMENT, "input")) == 1


def test_everybody_gets_the_answer_to_the_own_question() -> None:
    detector = watched(lambda s: [Finding("n", s.text, Severity.LOW, 0.5, 0, len(s.text))], name="shared")
    wrong: list[str] = []

    def ask(caller: int) -> None:
        for number in range(100):
            text = f"{caller}.{number}"
            if [f.rule for f in detector.detect(Segment(text, "user", ""), "input")] != [text]:
                wrong.append(text)

    callers = [threading.Thread(target=ask, args=(caller,)) for caller in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []
    assert detector._late == {}
    assert len(detector._idle) <= supervision.IDLE_THREADS


def test_the_context_of_the_caller_is_that_of_the_detector() -> None:
    where: ContextVar[str] = ContextVar("where", default="nowhere")
    seen: list[str] = []
    detector = watched(lambda _: seen.append(where.get()) or ())  # type: ignore[func-returns-value]
    for place in ("here", "there"):
        where.set(place)
        detector.detect(SEGMENT, "input")
    assert seen == ["here", "there"]


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert outcome(lambda _: [FOUND], "closed").action == "block"
    assert outcome(lambda _: [FOUND], "open").reason == "other.high"


def test_a_run_that_comes_back_as_it_is_given_up_is_forgotten() -> None:
    detector = watched(lambda _: ())
    run = supervision._Run(Foreign(lambda _: ()), SEGMENT, "input")
    run.work()
    detector._leave(run)
    assert detector._late == {}


def test_a_thread_that_is_taken_as_it_wants_to_go_stays() -> None:
    class Queue:
        def get(self, timeout: float | None = None) -> str:
            if timeout is not None:
                raise Empty
            return "a run"

    assert watched(lambda _: ())._next(Queue()) == "a run"  # type: ignore[arg-type,comparison-overlap]


def test_a_forked_child_starts_afresh(gate: threading.Event) -> None:
    stuck, idle = (
        watched(lambda s: gate.wait() and () if s.text == "slow" else (FOUND,), 10),
        watched(lambda _: (FOUND,)),
    )
    assert idle.detect(SEGMENT, "input")  # leaves a thread that the child has not
    for _ in range(RUNS_OUT):
        with pytest.raises(TimeoutError):
            stuck.detect(Segment("slow", "user", ""), "input")

    def both_detect() -> bool:
        stuck.budget_ms = idle.budget_ms = 20_000
        return bool(stuck.detect(SEGMENT, "input") and idle.detect(SEGMENT, "input"))

    assert forked(both_detect)()
    with pytest.raises(TimeoutError, match="has not come back"):
        stuck.detect(SEGMENT, "input")


def test_a_hanging_detector_does_not_keep_the_program_from_ending() -> None:
    program = """
import threading
from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.supervision import supervised
class Stuck:
    name = "stuck"
    phases = frozenset({"input"})
    def detect(self, segment, phase):
        threading.Event().wait()
(detector,) = supervised([Stuck()], {}, 10)
try:
    detector.detect(Segment("a", "user", ""), "input")
except TimeoutError:
    print("late")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("late\n", "", 0)


FAILURES: list[Any] = [
    pytest.param(raising(ValueError("boom")), id="raises"),
    pytest.param(raising(Panic()), id="panics"),
    pytest.param(raising(SystemExit(3)), id="exits"),
    pytest.param(raising(StopIteration()), id="stops"),
    pytest.param(lambda _: None, id="none"),
    pytest.param(lambda _: 7, id="a number"),
    pytest.param(lambda _: "nonsense", id="a string"),
    pytest.param(lambda _: [None], id="nothings"),
    pytest.param(lambda _: [FOUND, "nonsense"], id="a finding and a string"),
    pytest.param(lambda _: [Finding("t", "r", Severity.HIGH, 0.9, -1, 4)], id="before the text"),
    pytest.param(lambda _: [Finding("t", "r", Severity.HIGH, 0.9, 0, 10**12)], id="behind the text"),
    pytest.param(lambda _: [Finding("t", "r", Severity.HIGH, 0.9, 5, 4)], id="ends before it starts"),
    pytest.param(lambda _: [Finding("t", "r", Severity.HIGH, 0.9, None, 4)], id="starts nowhere"),  # type: ignore[arg-type]
    pytest.param(lambda _: [Finding("t", "r", Severity.HIGH, 7.0, 0, 4)], id="too confident"),
    pytest.param(lambda _: [Finding("t", "r", Severity.HIGH, float("nan"), 0, 4)], id="not a number"),
    pytest.param(lambda _: [Finding("t", "r", "high", 0.9, 0, 4)], id="severity in words"),  # type: ignore[arg-type]
    pytest.param(lambda _: [Finding(["t"], "r", Severity.HIGH, 0.9, 0, 4)], id="type in a list"),  # type: ignore[arg-type]
    pytest.param(lambda _: [Finding("t", "r", Severity.HIGH, 0.9, 0, 4, codecs=None)], id="no codecs"),  # type: ignore[arg-type]
    pytest.param(lambda _: repeat(FOUND), id="no end"),
]


def outcome(does: Callable[[Segment], Any], fail_mode: Any, budget_ms: int = AMPLE_MS, **options: Any) -> Verdict:
    """What a scan by a bad detector and a good one comes to, as an inspection puts it together."""
    good = Foreign(lambda _: [Finding("other", "other.1", Severity.HIGH, 0.9, 0, 4)], "other")
    engine = Engine([*supervised([Foreign(does)], {}, budget_ms), good])
    policy = Policy(EnforcementOptions(mode="flag", fail_mode=fail_mode, **options))
    report = engine.scan([SEGMENT], "input")
    assert report.failed == ("acme",)
    verdicts = [policy.decide(report.findings), *(v for name in report.failed if (v := policy.on_failure(name)))]
    return max(verdicts, key=lambda verdict: STRENGTH[verdict.action])


@pytest.mark.parametrize("does", FAILURES)
def test_a_failure_follows_the_fail_mode(does: Callable[[Segment], Any]) -> None:
    opened, closed = outcome(does, "open"), outcome(does, "closed")
    assert (opened.action, opened.reason) == ("flag", "other.high")
    assert (closed.action, closed.reason, closed.findings) == ("block", "acme_failed", ())


def test_a_hanging_detector_follows_the_fail_mode(gate: threading.Event) -> None:
    def does(_: Segment) -> Any:
        gate.wait()

    def lazily(_: Segment) -> Iterator[Finding]:
        yield FOUND
        gate.wait()

    for each in (does, lazily):
        assert outcome(each, "open", 10).reason == "other.high"
        assert outcome(each, "closed", 10).reason == "acme_failed"


@pytest.mark.parametrize(
    ("fail_mode", "own", "shadow", "expected"),
    [
        ("open", "closed", False, ("block", "acme_failed")),
        ("closed", "open", False, ("flag", "other.high")),
        ("open", "closed", True, ("flag", "other.high")),
        ("closed", None, True, ("flag", "other.high")),
    ],
)
def test_a_detector_may_have_a_fail_mode_of_its_own(fail_mode: Any, own: Any, shadow: bool, expected: Any) -> None:
    rule = CategoryRule(finding_type="acme", action="log", fail_mode=own, shadow=shadow)
    verdict = outcome(raising(ValueError()), fail_mode, categories=(rule,))
    assert (verdict.action, verdict.reason) == expected
