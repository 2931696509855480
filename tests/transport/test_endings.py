"""Exactly one record, whatever way a call ends."""

from __future__ import annotations

import asyncio
import gc
import zlib
from typing import TYPE_CHECKING, Any

import pytest

import llmtrace_sdk as llmtrace

from .wire import ATTACK, COLOURS, FAMILIES, HELLO, URL, Wire, client, fetch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import ModuleType

    from llmtrace_sdk.testing import Records

STREAM = [b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'] * 3
EVENT_STREAM = [("content-type", "text/event-stream")]
PAIRS = [pytest.param(module, colour, id=f"{module.__name__}-{colour}") for module in FAMILIES for colour in COLOURS]


@pytest.fixture
def one(llmtrace_records: Records) -> Iterator[Callable[[], llmtrace.CallRecord]]:
    """The only record of the test; a second one is a failure, even a late one."""

    def get() -> llmtrace.CallRecord:
        gc.collect()
        (record,) = llmtrace_records.settled()
        return record

    yield get
    gc.collect()
    assert len(llmtrace_records.settled()) == 1


def run(
    module: ModuleType,
    colour: str,
    wire: Wire,
    use: Callable[[Any], Any],
    ause: Callable[[Any], Awaitable[Any]],
    **kwargs: Any,
) -> Any:
    """Open a stream and hand the response to the function of the right colour; nobody closes it."""
    if colour == "sync":
        http = client(module, colour, wire)
        request = http.build_request("POST", URL, json={**HELLO, **kwargs})
        return use(http.send(request, stream=True))

    async def main() -> Any:
        http = client(module, colour, wire)
        request = http.build_request("POST", URL, json={**HELLO, **kwargs})
        return await ause(await http.send(request, stream=True))

    return asyncio.run(main())


def facts(record: llmtrace.CallRecord) -> tuple[Any, ...]:
    return record.outcome, record.stream_end, record.error_type


@pytest.mark.parametrize(("module", "colour"), PAIRS)
@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (Wire, ("complete", "complete", None)),
        (lambda: Wire(STREAM, EVENT_STREAM), ("complete", "complete", None)),
        (lambda: Wire([b""]), ("complete", "complete", None)),
        (lambda: Wire([]), ("complete", "complete", None)),
        (lambda: Wire(status=404), ("client_error", "complete", "404")),
        (
            lambda: Wire([b'{"error":{"code":"model_not_found"}}'], status=404),
            ("client_error", "complete", "model_not_found"),
        ),
        (lambda: Wire(status=503), ("upstream_error", "complete", "503")),
    ],
    ids=["json", "stream", "empty-chunk", "empty", "404", "404-code", "503"],
)
def test_read_to_the_end(
    module: ModuleType, colour: str, wire: Callable[[], Wire], expected: Any, one: Callable[[], llmtrace.CallRecord]
) -> None:
    fetch(module, colour, wire())
    assert facts(one()) == expected


@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_closed_early(module: ModuleType, colour: str, one: Callable[[], llmtrace.CallRecord]) -> None:
    def use(response: Any) -> None:
        next(response.iter_raw())
        response.close()

    async def ause(response: Any) -> None:
        await anext(response.aiter_raw())
        await response.aclose()

    wire = Wire(STREAM, EVENT_STREAM)
    run(module, colour, wire, use, ause, stream=True)
    record = one()
    assert facts(record) == ("abandoned", "closed", None)
    assert (record.chunks, wire.closed) == (1, 1)


@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_closed_at_the_end_mark_is_complete(
    module: ModuleType, colour: str, one: Callable[[], llmtrace.CallRecord]
) -> None:
    """Several SDKs stop at `[DONE]` and close without reading to the end."""

    def use(response: Any) -> None:
        chunks = response.iter_raw()
        next(chunks), next(chunks)
        response.close()

    async def ause(response: Any) -> None:
        chunks = response.aiter_raw()
        await anext(chunks), await anext(chunks)
        await response.aclose()

    run(module, colour, Wire([STREAM[0], b"data: [DONE]\n\n", b"\n"], EVENT_STREAM), use, ause, stream=True)
    assert facts(one()) == ("complete", "complete", None)


@pytest.mark.parametrize(("module", "colour"), PAIRS)
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "never-iterated"])
def test_left_to_garbage_collection(
    module: ModuleType, colour: str, begun: bool, one: Callable[[], llmtrace.CallRecord]
) -> None:
    def use(response: Any) -> None:
        if begun:
            next(response.iter_raw())

    async def ause(response: Any) -> None:
        if begun:
            await anext(response.aiter_raw())

    run(module, colour, Wire(STREAM, EVENT_STREAM), use, ause, stream=True)
    record = one()
    assert (record.outcome, record.error_type) == ("abandoned", None)
    assert record.stream_end in (("abandoned", "closed") if begun else ("abandoned",))  # httpx2's own generator closes


DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("mode", ["log", "block"])
@pytest.mark.parametrize("module", FAMILIES, ids=lambda m: m.__name__)
def test_the_record_comes_with_the_end_mark(
    module: ModuleType, mode: str, coding: str, llmtrace_records: Records
) -> None:
    """Other SDKs stop at `[DONE]`, and neither close the response nor let go of it."""
    llmtrace.configure(enforcement={"mode": mode})
    compress = zlib.compressobj(wbits=31) if coding == "gzip" else None
    chunks = [STREAM[0], DONE, b"\n"]
    if compress is not None:
        chunks = [compress.compress(chunk) + compress.flush(zlib.Z_SYNC_FLUSH) for chunk in chunks]
    headers = [*EVENT_STREAM, *([("content-encoding", coding)] if compress else [])]
    http = client(module, "sync", Wire(chunks, headers))
    response = http.send(http.build_request("POST", URL, json=HELLO), stream=True)
    raw = response.stream.__iter__()
    next(raw), next(raw)
    (record,) = llmtrace_records.settled()
    assert facts(record) == ("complete", "complete", None)
    assert record.coverage.state == "scanned"
    assert [next(raw)] == chunks[2:]
    del response, raw
    gc.collect()
    assert len(llmtrace_records.settled()) == 1


@pytest.mark.parametrize(
    "chunks",
    [
        [b'data: {"choices":[{"index":0,"delta":{"content":"data: [DONE]"}}]}\n\n'],
        [b'data: {"choices":[{"index":0,"delta":{"content":"', b'data: [DONE]"}}]}\n\n'],
        [b'data: {"choices":[{"index":0,"delta":{"content":"\\ndata: [DONE]"}}]}\n\n'],
    ],
)
def test_what_only_looks_like_the_end_mark_ends_nothing(chunks: list[bytes], llmtrace_records: Records) -> None:
    """A model can be made to say it, so that what comes after would not be inspected."""
    secret = b'data: {"choices":[{"index":0,"delta":{"content":"AKIAZ3MSJV4WWNKWXR7Q"}}]}\n\n'
    fetch(FAMILIES[0], "sync", Wire([*chunks, secret, DONE], EVENT_STREAM))
    (record,) = llmtrace_records.settled()
    assert record.chunks == len(chunks) + 2
    assert [finding.type for finding in record.findings] == ["secret_leakage"]


@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_refused_connection(module: ModuleType, colour: str, one: Callable[[], llmtrace.CallRecord]) -> None:
    error = module.ConnectError("refused")
    with pytest.raises(module.ConnectError) as caught:
        fetch(module, colour, Wire(refuse=error))
    assert caught.value is error
    record = one()
    assert facts(record) == ("upstream_error", "error", f"{module.__name__}.ConnectError")
    assert (record.status, record.upstream_called) == (None, True)


@pytest.mark.parametrize("mode", ["log", "block"])
@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_cut_in_the_middle(module: ModuleType, colour: str, mode: str, one: Callable[[], llmtrace.CallRecord]) -> None:
    llmtrace.configure(enforcement={"mode": mode})  # with `block` the answer is held, so the cut shows earlier
    with pytest.raises(module.ReadError):
        fetch(module, colour, Wire([b'{"choices":'], fault=module.ReadError("cut")))
    record = one()
    assert facts(record) == ("upstream_error", "error", f"{module.__name__}.ReadError")
    assert record.coverage.reasons == ("invalid_json",)


@pytest.mark.parametrize("module", FAMILIES, ids=lambda m: m.__name__)
@pytest.mark.parametrize("chunks", [[], STREAM], ids=["before-the-head", "in-the-body"])
def test_task_cancelled(module: ModuleType, chunks: list[bytes], one: Callable[[], llmtrace.CallRecord]) -> None:
    wire = Wire(chunks, EVENT_STREAM, hang=True)

    async def main() -> None:
        async def read() -> None:
            async with client(module, "async", wire) as http, http.stream("POST", URL, json=HELLO) as response:
                async for _ in response.aiter_raw():
                    pass

        task = asyncio.create_task(read())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert facts(one()) == ("abandoned", "cancelled", "asyncio.exceptions.CancelledError")
    assert wire.closed == (1 if chunks else 0)


@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_blocked_before_it_is_sent(module: ModuleType, colour: str, one: Callable[[], llmtrace.CallRecord]) -> None:
    llmtrace.configure(enforcement={"mode": "block"})
    wire = Wire()
    response, chunks = fetch(module, colour, wire, json={"messages": [{"role": "user", "content": ATTACK}]})
    record = one()
    assert facts(record) == ("blocked", "blocked", None)
    assert (wire.requests, record.upstream_called) == ([], False)
    assert response.status_code == 400
    assert isinstance(response, module.Response)
    assert response.headers["x-should-retry"] == "false"
    assert response.headers["x-llmtrace-blocked"] == record.decision.id == response.extensions["llmtrace"].id
    assert b"llmtrace_blocked" in b"".join(chunks)


@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_blocked_with_an_exception(module: ModuleType, colour: str, one: Callable[[], llmtrace.CallRecord]) -> None:
    llmtrace.configure(enforcement={"mode": "block", "on_block": "raise"})
    with pytest.raises(llmtrace.Blocked) as caught:
        fetch(module, colour, Wire(), json={"messages": [{"role": "user", "content": ATTACK}]})
    record = one()
    assert facts(record) == ("blocked", "blocked", "llmtrace.blocked")
    assert caught.value.decision == record.decision


SECRET_ANSWER = (
    b'{"choices":[{"message":{"content":"use AKIAZ3MSJV4WWNKWXR7Q, ghp_abcdefghijklmnopqrstuvwxyz0123456789"}}]}'
)


@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_an_answer_is_blocked_before_anybody_sees_it(
    module: ModuleType, colour: str, one: Callable[[], llmtrace.CallRecord]
) -> None:
    llmtrace.configure(enforcement={"mode": "block"})
    wire = Wire([SECRET_ANSWER[:40], SECRET_ANSWER[40:]])
    response, chunks = fetch(module, colour, wire)
    record = one()
    assert facts(record) == ("blocked", "blocked", None)
    assert (record.decision.phase, record.upstream_called) == ("output", True)
    assert response.status_code == 400
    assert b"AKIA" not in b"".join(chunks)
    assert wire.closed == 1


@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_an_answer_over_the_limit_goes_through_and_says_so(
    module: ModuleType, colour: str, one: Callable[[], llmtrace.CallRecord]
) -> None:
    llmtrace.configure(enforcement={"mode": "block"}, max_response_size_bytes=100)
    chunks = [b" " * 60, b" " * 60, SECRET_ANSWER]
    _, seen = fetch(module, colour, Wire(chunks))
    assert seen == chunks
    record = one()
    assert facts(record) == ("complete", "complete", None)
    assert record.coverage.state == "partial"
    assert "body_limit" in record.coverage.reasons


@pytest.mark.parametrize("module", FAMILIES, ids=lambda m: m.__name__)
def test_a_transport_that_gives_out_whole_responses(module: ModuleType, one: Callable[[], llmtrace.CallRecord]) -> None:
    transport = module.MockTransport(
        lambda request: module.Response(200, json={"choices": [], "usage": {"prompt_tokens": 7}})
    )
    with llmtrace.instrument(module.Client(transport=transport)) as http:
        assert http.post(URL, json=HELLO).json()["usage"] == {"prompt_tokens": 7}
    record = one()
    assert facts(record) == ("complete", "complete", None)
    assert record.answer.usage.input_tokens == 7


@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_the_decision_on_the_response_is_final_at_the_end_of_the_body(
    module: ModuleType, colour: str, one: Callable[[], llmtrace.CallRecord]
) -> None:
    llmtrace.configure(enforcement={"mode": "flag"})
    response, _ = fetch(module, colour, Wire([SECRET_ANSWER]))
    decision = response.extensions["llmtrace"]
    assert (decision.action, decision.phase) == ("flag", "output")
    assert isinstance(decision, llmtrace.Decision)
    assert decision == one().decision
