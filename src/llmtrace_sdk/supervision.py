"""Time budgets for detectors that are not ours: each runs on a thread of its own, and is waited for so long at most.

What they give is checked, too, before anybody relies on it: that they are findings, that these lie in the text, and
not more of them than anybody could use. Our own detectors take linear time and are called as they are.

A thread can only be waited for, not ended, and native code that keeps the interpreter's lock (a backtracking `re`) lets
nobody stop waiting before it is done.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextvars import copy_context
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, get_args

from msgspec import structs

from llmtrace_sdk.core.model import Channel, Evidence, Finding, Severity
from llmtrace_sdk.core.plan import Decoding, Fusing, RuleBased
from llmtrace_sdk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmtrace_sdk.core.model import Phase, Segment
    from llmtrace_sdk.typing import Detector

OURS: Final = "llmtrace_sdk.detectors"
RUNS_OUT: Final = 4
"""Runs of one detector that nobody waits for any more and that have not come back; with so many it is not called."""

FINDINGS_LIMIT: Final = 10_000
IDLE_THREADS: Final = 4
LINGER_S: Final = 5.0

_supervised: weakref.WeakSet[Supervised] = weakref.WeakSet()


def supervised(detectors: Iterable[Detector], budgets: Mapping[str, int], default_ms: int) -> tuple[Detector, ...]:
    """The detectors in their order, each that needs it within a time budget: milliseconds for one text.

    All that are not from our own package are given `default_ms`, unless `budgets` says otherwise by name; ours only
    what `budgets` says. It is kept for detectors that the engine calls by `detect`. Those made of rules, the one that
    makes a score of all evidence and the one that decodes are parts of the engine's own pass: they are left as they
    are, and a budget for one of them raises `ConfigError`. A budget by a name that none of them has does nothing.
    """
    taken = tuple(detectors)
    problems = [
        f"enforcement.categories: budget_ms for {each.name!r} cannot be kept, because it is matched together with the "
        "other detectors; leave it out"
        for each in taken
        if each.name in budgets and not _is_called(each)
    ]
    if problems:
        raise ConfigError(problems)
    return tuple(
        Supervised(each, budgets.get(each.name, default_ms))
        if _is_called(each) and (each.name in budgets or not _is_ours(each))
        else each
        for each in taken
    )


def _is_called(detector: Detector) -> bool:
    return not isinstance(detector, RuleBased | Fusing | Decoding)


def _is_ours(detector: Detector) -> bool:
    module = type(detector).__module__
    return module == OURS or module.startswith(f"{OURS}.")


class Supervised:
    """A detector that is waited for at most `budget_ms` for one text.

    There is no thread before the first call. A thread that has done its work waits `LINGER_S` for more. Runs that are
    late go on, since nothing can end them; at most as many as there are callers at once, and `RUNS_OUT` more.
    """

    def __init__(self, detector: Detector, budget_ms: int) -> None:
        self.name = detector.name
        self.phases = detector.phases
        self.channels = frozenset(getattr(detector, "channels", get_args(Channel)))
        self.budget_ms = budget_ms
        self._detector = detector
        self._idle: list[SimpleQueue[_Run | None]] = []
        self._late: dict[_Run, None] = {}
        _supervised.add(self)

    def detect(self, segment: Segment, phase: Phase, /) -> tuple[Finding, ...]:
        """Findings of one segment.

        Raises `TimeoutError` when they take too long, or at once when too many earlier runs have not come back;
        `TypeError` or `ValueError` for findings that are none; and what the detector raises.
        """
        if len(self._late) >= RUNS_OUT:
            raise TimeoutError(f"detector {self.name} has not come back from {RUNS_OUT} earlier texts")
        run = _Run(self._detector, segment, phase)
        self._start(run)
        if not run.done.acquire(timeout=self.budget_ms / 1000):
            self._leave(run)
            raise TimeoutError(f"detector {self.name} took longer than {self.budget_ms} ms")
        return run.outcome()

    def _start(self, run: _Run) -> None:
        try:
            self._idle.pop().put(run)
        except IndexError:
            # raises RuntimeError when no thread can be had: the detector has failed, then
            threading.Thread(target=self._work, args=(run,), name=f"llmtrace-{self.name}", daemon=True).start()

    def _leave(self, run: _Run) -> None:
        """Nobody waits for it any more. It may come back at this very moment: then one of the two forgets it."""
        self._late[run] = None
        if run.is_over:
            self._late.pop(run, None)

    def _work(self, run: _Run | None) -> None:
        jobs: SimpleQueue[_Run | None] = SimpleQueue()
        while run is not None:
            run.work()
            self._late.pop(run, None)
            if len(self._idle) >= IDLE_THREADS:
                run.done.release()
                return
            self._idle.append(jobs)
            run.done.release()
            run = None  # or the last text would live until the next one comes
            run = self._next(jobs)

    def _next(self, jobs: SimpleQueue[_Run | None]) -> _Run | None:
        try:
            return jobs.get(timeout=LINGER_S)
        except Empty:
            pass
        try:
            self._idle.remove(jobs)
        except ValueError:  # somebody has taken this thread just now, and is about to give it a run
            return jobs.get()
        return None

    def _after_fork(self) -> None:
        self._idle = []
        self._late = {}


class _Run:
    """One text before one detector."""

    __slots__ = ("_context", "_detector", "_error", "_findings", "_phase", "_segment", "done", "is_over")

    def __init__(self, detector: Detector, segment: Segment, phase: Phase) -> None:
        self.done = threading.Lock()
        self.done.acquire()
        self.is_over = False
        self._context = copy_context()
        self._detector = detector
        self._segment = segment
        self._phase: Phase = phase
        self._findings: tuple[Finding, ...] = ()
        self._error: BaseException | None = None

    def work(self) -> None:
        """Ask the detector, on this thread. Never raises."""
        try:
            self._findings = self._context.run(self._ask)
        except BaseException as error:  # noqa: BLE001 - whoever waits raises it
            self._error = error
        self.is_over = True

    def outcome(self) -> tuple[Finding, ...]:
        """What the detector gave. Raises what it raised; what is no `Exception` as `RuntimeError`."""
        error, self._error = self._error, None
        if error is None:
            return self._findings
        if isinstance(error, Exception):
            raise error
        # a panic of native code, or an exit: the host must not meet it
        raise RuntimeError(f"detector {self._detector.name} raised {type(error).__qualname__}") from None

    def _ask(self) -> tuple[Finding, ...]:
        detector, segment, phase = self._detector, self._segment, self._phase
        # taken here: an iterator may do its work, and hang, only when it is asked for the next one
        found = tuple(islice(detector.detect(segment, phase), FINDINGS_LIMIT + 1))
        if len(found) > FINDINGS_LIMIT:
            raise ValueError(f"detector {detector.name} gave more than {FINDINGS_LIMIT} findings for one text")
        return tuple(_placed(finding, segment, phase, detector.name) for finding in found)


def _placed(finding: Finding, segment: Segment, phase: Phase, detector: str) -> Finding:
    """The finding where it belongs: in the segment that was judged, whatever the detector says of it."""
    if not isinstance(finding, Finding):
        raise TypeError(f"detector {detector} gave something else than findings")
    if not _is_sound(finding, len(segment.text)):
        raise ValueError(f"detector {detector} gave a finding that cannot be: check its fields and its offsets")
    return structs.replace(
        finding,
        pointer=segment.pointer,
        channel=segment.channel,
        kind=segment.kind,
        phase=phase,
        detector=finding.detector or detector,
    )


def _is_sound(finding: Finding, length: int) -> bool:
    """Whether its fields are of their types, and its place lies in a text of this length."""
    texts = (finding.type, finding.rule, finding.detector, finding.category, finding.match_hash)
    places = (finding.start, finding.end)
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(finding.severity, Severity)
        and isinstance(finding.confidence, int | float)
        and 0 <= finding.confidence <= 1
        and all(isinstance(place, int) for place in places)
        and 0 <= finding.start <= finding.end <= length
        and all(isinstance(codec, str) for codec in finding.codecs)
        and all(isinstance(reason, Evidence) for reason in finding.evidence)
    )


def _after_fork_in_child() -> None:
    for each in list(_supervised):
        each._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
