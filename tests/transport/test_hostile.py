"""Bad input passes through: bounded, visible, and never as an exception of ours."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import faults, runtime

from .wire import COLOURS, HELLO, Wire, fetch

if TYPE_CHECKING:
    from llmtrace_sdk.testing import Records

SSE = [("content-type", "text/event-stream")]
JSON = [("content-type", "application/json")]


def deep(depth: int) -> bytes:
    return b'{"messages":' + b"[" * depth + b"]" * depth + b"}"


@pytest.fixture(params=["log", "open", "closed"])
def fail_mode(request: pytest.FixtureRequest) -> str:
    mode: str = request.param
    if mode == "log":  # inspected on the worker
        return "open"
    llmtrace.configure(enforcement={"mode": "block", "fail_mode": mode})
    return mode


@pytest.mark.usefixtures("fail_mode")
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty_body"),
        (b"not json", "invalid_json"),
        (b'{"messages": [', "invalid_json"),
        (b"\xff\xfe\x00", "invalid_json"),
        (b'{"messages":[{"role":"user","content":"\xc3\x28"}]}', "invalid_json"),
        (deep(100_000), "too_deep"),
        (b"[]", "unknown_shape"),
        (b"42", "unknown_shape"),
        (b'{"messages": 7}', "unknown_shape"),
        (b'{"model":"m"}', "unknown_shape"),
    ],
)
def test_bad_requests_pass_and_are_unscanned(colour: str, body: bytes, reason: str, llmtrace_records: Records) -> None:
    wire = Wire([b'{"error":{"code":"bad"}}'], status=400)
    response, _ = fetch(httpx2, colour, wire, content=body)
    assert response.status_code == 400
    assert wire.sent == [body]
    (record,) = llmtrace_records.settled()
    assert reason in record.coverage.reasons
    assert record.coverage.state != "scanned"
    assert not [name for name in runtime.faults if not name.startswith("tier.")]  # those come from other tests


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("chunks", "headers", "reason"),
    [
        ([b"{"], JSON, "invalid_json"),
        ([b"<html>"], JSON, "invalid_json"),
        ([deep(100_000)], JSON, "too_deep"),
        ([b'{"choices":[{"message":{"content":"\xff"}}]}'], JSON, "invalid_json"),
        ([b"data: {nope}\n\n"], SSE, "invalid_json"),
        ([b"data: " + b"x" * 100_000] * 30, SSE, "event_limit"),
        ([b"x" * 1000], [*JSON, ("content-encoding", "gzip")], "encoding_corrupt"),
        ([gzip.compress(b"{}")[:-9]], [*JSON, ("content-encoding", "gzip")], None),
        ([b"zzz"], [*JSON, ("content-encoding", "sdch")], "encoding_unsupported"),
        ([b"12345"], JSON, "unknown_shape"),
    ],
    ids=["cut", "html", "deep", "utf8", "event", "endless", "not-gzip", "cut-gzip", "coding", "number"],
)
def test_bad_answers_pass_and_are_partial(
    colour: str, chunks: list[bytes], headers: list[tuple[str, str]], reason: str | None, llmtrace_records: Records
) -> None:
    _, seen = fetch(httpx2, colour, Wire(chunks, headers), json={**HELLO, "stream": headers is SSE})
    assert seen == chunks
    (record,) = llmtrace_records.settled()
    assert record.outcome == "complete"
    if reason is not None:
        assert (record.coverage.state, record.coverage.reasons) == ("partial", (reason,))


def peak_of(call: Any) -> int:
    tracemalloc.start()
    call()
    llmtrace.flush()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.slow
def test_fifty_megabytes_in_and_out() -> None:
    text = "word " * 10_000_000
    body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    answer = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
    chunks = [answer[at : at + 65536] for at in range(0, len(answer), 65536)]
    records: list[llmtrace.CallRecord] = []
    stop = llmtrace.on_record(records.append)
    bare = peak_of(lambda: fetch(httpx2, "sync", Wire(chunks), tapped=False, content=body))
    ours = peak_of(lambda: fetch(httpx2, "sync", Wire(chunks), content=body))
    stop()
    (record,) = records
    assert record.coverage.state == "partial"
    assert "text_limit" in record.coverage.reasons
    assert ours - bare < 8 * len(body)


@pytest.mark.parametrize("size", [64, 512])
def test_a_gzip_bomb_costs_bounded_memory(size: int, llmtrace_records: Records) -> None:
    llmtrace.configure(max_response_size_bytes=1 << 20)
    compress = gzip.compress(b"\0" * (size << 20), 1)
    chunks = [compress[at : at + 4096] for at in range(0, len(compress), 4096)]
    headers = [*JSON, ("content-encoding", "gzip")]
    peak = peak_of(lambda: fetch(httpx2, "sync", Wire(chunks, headers)))
    assert peak < 16 << 20
    (record,) = llmtrace_records.settled()
    assert "decoded_limit" in record.coverage.reasons


def test_a_fault_of_ours_goes_through_when_open_and_refuses_when_closed(
    fail_mode: str, llmtrace_records: Records, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from llmtrace_sdk.providers import openai_chat

    def fault(*_: object) -> None:
        raise RuntimeError("quoting-the-prompt")

    monkeypatch.setattr(type(openai_chat.PROVIDER), "parse_request", fault)
    faults._logged.clear()
    response, _ = fetch(httpx2, "sync", Wire([b'{"choices":[]}']))
    (record,) = llmtrace_records.settled()
    assert response.status_code == (200 if fail_mode == "open" else 400)
    assert record.decision.degraded
    assert record.coverage.reasons[0] == "request_fault"
    assert "RuntimeError" in caplog.text
    assert "quoting-the-prompt" not in caplog.text
    runtime.faults.clear()


def test_a_callback_that_raises_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[llmtrace.CallRecord] = []
    faults._logged.clear()
    stops = [llmtrace.on_record(lambda record: 1 / 0), llmtrace.on_record(seen.append)]  # type: ignore[func-returns-value, arg-type, return-value]
    response, _ = fetch(httpx2, "sync", Wire())
    assert response.status_code == 200
    assert llmtrace.flush()
    for stop in stops:
        stop()
    assert len(seen) == 1
    assert "ZeroDivisionError" in caplog.text
    runtime.faults.clear()
