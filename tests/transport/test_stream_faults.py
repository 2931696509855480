"""Faults of our own in the middle of a held stream: it goes on as it is, or not at all, as the fail mode says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from msgspec import structs

import llmtrace_sdk as llmtrace
from llmtrace_sdk.core import eventedit, holdback, inspection, streaming, window
from llmtrace_sdk.core.scan import Engine
from llmtrace_sdk.providers._openai_choices import ChoicesReader

from .answers import gzipped
from .test_stream_blocks import HEAD, KEY, LEAK, SAFE, read
from .wire import Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.testing import Records


FAULTS: Sequence[Any] = [
    pytest.param((holdback.HoldBack, "look"), id="hold-back"),
    pytest.param((window.Window, "_judged"), id="judging"),
    pytest.param((ChoicesReader, "event"), id="reader"),
]


@pytest.mark.parametrize("fail_mode", ["open", "closed"])
@pytest.mark.parametrize("coding", [False, True])
@pytest.mark.parametrize("place", FAULTS)
def test_a_fault_of_ours(
    place: tuple[Any, str], fail_mode: str, coding: bool, monkeypatch: pytest.MonkeyPatch, llmtrace_records: Records
) -> None:
    llmtrace.configure(enforcement={"mode": "block", "fail_mode": fail_mode})
    left = [0 if place[1] == "_judged" else 3]

    def broken(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("broken")
        return kept(*args, **kwargs)

    kept = getattr(*place)
    monkeypatch.setattr(*place, broken)
    chunks = gzipped(LEAK) if coding else LEAK
    wire = Wire(chunks, [*HEAD, *([("content-encoding", "gzip")] if coding else [])])
    out, raised = read(httpx, "sync", wire)
    (record,) = llmtrace_records.settled()
    assert record.decision.degraded
    if fail_mode == "open":
        assert (out, raised) == (chunks, None)
    else:
        assert isinstance(raised, llmtrace.Blocked)
        assert out == chunks[: len(out)]
        assert len(out) <= SAFE
        assert record.outcome == "blocked"


@pytest.mark.parametrize("fail_mode", ["open", "closed"])
@pytest.mark.parametrize("coding", [False, True])
def test_the_rewriter_breaks(
    fail_mode: str, coding: bool, monkeypatch: pytest.MonkeyPatch, llmtrace_records: Records
) -> None:
    llmtrace.configure(enforcement={"mode": "redact", "fail_mode": fail_mode})

    def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(eventedit.Rewriter, "rewritten", broken)
    wire = Wire(gzipped(LEAK) if coding else LEAK, [*HEAD, *([("content-encoding", "gzip")] if coding else [])])
    out, raised = read(httpx, "sync", wire)
    (record,) = llmtrace_records.settled()
    assert record.decision.degraded
    if fail_mode == "open":
        assert (b"".join(out), raised) == (b"".join(LEAK), None)
    else:
        assert isinstance(raised, llmtrace.Blocked)
        assert KEY[:4].encode() not in b"".join(out)


@pytest.mark.parametrize("fail_mode", ["open", "closed"])
@pytest.mark.parametrize("place", [(streaming.HeldStream, "__init__"), (inspection.Inspection, "_begin_answer")])
def test_a_stream_that_cannot_be_held(
    place: tuple[Any, str], fail_mode: str, monkeypatch: pytest.MonkeyPatch, llmtrace_records: Records
) -> None:
    llmtrace.configure(enforcement={"mode": "block", "fail_mode": fail_mode})

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(*place, broken)
    wire = Wire(LEAK, HEAD)
    out, raised = read(httpx, "sync", wire)
    (record,) = llmtrace_records.settled()
    assert record.decision.degraded
    assert raised is None
    if fail_mode == "open":
        assert out == LEAK
    else:
        assert KEY[:4].encode() not in b"".join(out)
        assert b"llmtrace_blocked" in b"".join(out)
        assert (record.outcome, wire.closed) == ("blocked", 1)


@pytest.mark.parametrize("fail_mode", ["open", "closed"])
def test_a_detector_that_fails(fail_mode: str, monkeypatch: pytest.MonkeyPatch, llmtrace_records: Records) -> None:
    llmtrace.configure(enforcement={"mode": "block", "fail_mode": fail_mode})
    scan = Engine.scan

    def failing(engine: Engine, segments: Any, phase: Any, *, every: bool = False) -> Any:
        report = scan(engine, segments, phase, every=every)
        return report if phase == "input" else structs.replace(report, findings=(), failed=("secret_leakage",))

    monkeypatch.setattr(Engine, "scan", failing)
    out, raised = read(httpx, "sync", Wire(LEAK, HEAD))
    (record,) = llmtrace_records.settled()
    assert record.decision.degraded
    if fail_mode == "open":
        assert (out, raised) == (LEAK, None)
    else:
        assert isinstance(raised, llmtrace.Blocked)
        assert KEY[:4].encode() not in b"".join(out)
        assert raised.decision.reason == "detector_failed"
