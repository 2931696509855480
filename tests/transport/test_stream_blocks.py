"""A stream that must not go on: where it ends, what the application sees, what is closed, and the one record of it."""

from __future__ import annotations

import asyncio
import gc
import zlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk.instrumentation import instrument

from .answers import FORMATS, SSE, chat, compact, gzipped, packed, sse, through, unzipped
from .wire import COLOURS, FAMILIES, HELLO, URL, Wire, client

if TYPE_CHECKING:
    from types import ModuleType

    from llmtrace_sdk.testing import Records

KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
CHAT = FORMATS["openai_chat"]
LEAK = CHAT.stream(["Here", " it", " is. ", KEY[:12], KEY[12:], " done", "."])
SAFE = len(CHAT.opening) + 3
FINE = CHAT.stream(["All", " is", " well", ", my", " friend", "."])
HEAD = (("content-type", SSE),)
ASKED = HELLO | {"stream": True}
PAIRS = [pytest.param(module, colour, id=f"{module.__name__}-{colour}") for module in FAMILIES for colour in COLOURS]


@pytest.fixture(autouse=True)
def _blocking() -> None:
    llmtrace.configure(enforcement={"mode": "block"})


def read(module: ModuleType, colour: str, wire: Wire, *, most: int | None = None) -> tuple[list[bytes], Any]:
    """The raw chunks of the answer, `most` of them, and what was raised."""
    out: list[bytes] = []
    raised: list[BaseException] = []
    if colour == "sync":
        with client(module, colour, wire) as http:
            try:
                with http.stream("POST", URL, json=ASKED) as answer:
                    for chunk in answer.iter_raw():
                        out.append(chunk)
                        if len(out) == most:
                            break
            except Exception as error:
                raised.append(error)
    else:
        asyncio.run(_aread(module, wire, out, raised, most))
    return out, (raised or [None])[0]


async def _aread(
    module: ModuleType, wire: Wire, out: list[bytes], raised: list[BaseException], most: int | None
) -> None:
    async with client(module, "async", wire) as http:
        try:
            async with http.stream("POST", URL, json=ASKED) as answer:
                async for chunk in answer.aiter_raw():
                    out.append(chunk)
                    if len(out) == most:
                        break
        except Exception as error:
            raised.append(error)


def facts(record: llmtrace.CallRecord) -> tuple[Any, ...]:
    return record.outcome, record.stream_end, record.error_type, record.decision.action, record.decision.phase


@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_a_cut_stream(module: ModuleType, colour: str, llmtrace_records: Records) -> None:
    wire = Wire(LEAK, HEAD)
    out, raised = read(module, colour, wire)
    assert out == LEAK[:SAFE]
    assert isinstance(raised, llmtrace.Blocked)
    assert raised.decision.reason == "secret_leakage.critical"
    assert wire.closed
    (record,) = llmtrace_records.settled()
    assert facts(record) == ("blocked", "blocked", "llmtrace.blocked", "block", "output")
    assert record.id == raised.decision.id
    assert any(finding.type == "secret_leakage" for finding in record.findings)


@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_a_stream_with_nothing_in_it_is_not_touched(module: ModuleType, colour: str, llmtrace_records: Records) -> None:
    assert read(module, colour, Wire(FINE, HEAD)) == (FINE, None)
    (record,) = llmtrace_records.settled()
    assert facts(record) == ("complete", "complete", None, "allow", "input")


@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_the_connection_breaks(module: ModuleType, colour: str, llmtrace_records: Records) -> None:
    fault = module.ReadError("reset")
    chunks = FINE[:4]  # "well" may become many things
    assert read(module, colour, Wire(chunks, HEAD, fault=fault)) == (chunks, fault)
    cut_off = LEAK[: SAFE + 2]  # the value is complete, and nothing behind it
    out, raised = read(module, colour, Wire(cut_off, HEAD, fault=fault))
    assert out == LEAK[:SAFE]
    assert isinstance(raised, llmtrace.Blocked)
    broken, blocked = llmtrace_records.settled()
    assert facts(broken) == ("upstream_error", "error", f"{module.__name__}.ReadError", "allow", "input")
    assert facts(blocked)[:3] == ("blocked", "blocked", "llmtrace.blocked")


@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_no_end_mark(module: ModuleType, colour: str, llmtrace_records: Records) -> None:
    assert read(module, colour, Wire(FINE[:4], HEAD)) == (FINE[:4], None)
    out, raised = read(module, colour, Wire(LEAK[: SAFE + 2], HEAD))
    assert out == LEAK[:SAFE]
    assert isinstance(raised, llmtrace.Blocked)
    assert len(llmtrace_records.settled()) == 2


@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_the_application_goes_away(module: ModuleType, colour: str, llmtrace_records: Records) -> None:
    wire = Wire(LEAK, HEAD)
    assert read(module, colour, wire, most=2) == (LEAK[:2], None)
    assert wire.closed
    (record,) = llmtrace_records.settled()
    assert facts(record) == ("abandoned", "closed", None, "allow", "input")


def test_a_response_that_nobody_closes(llmtrace_records: Records) -> None:
    http = client(httpx, "sync", Wire(LEAK, HEAD))
    answer = http.send(http.build_request("POST", URL, json=ASKED), stream=True)
    chunks = answer.iter_raw()
    assert next(chunks) == LEAK[0]
    del answer, chunks
    gc.collect()
    (record,) = llmtrace_records.settled()
    assert record.stream_end == "abandoned"
    http.close()


def test_cancelled_in_the_middle(llmtrace_records: Records) -> None:
    async def main() -> None:
        out: list[bytes] = []
        http = client(httpx, "async", Wire(FINE[:3], HEAD, hang=True))

        async def use() -> None:
            async with http.stream("POST", URL, json=ASKED) as answer:
                async for chunk in answer.aiter_raw():
                    out.append(chunk)  # noqa: PERF401 - looked at while it grows

        task = asyncio.create_task(use())
        while len(out) < 2:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await http.aclose()

    asyncio.run(main())
    (record,) = llmtrace_records.settled()
    assert record.stream_end == "cancelled"


@pytest.mark.parametrize("blank", [b": ping\n\n", b":\n\n", b"event: ping\ndata: {}\n\n", b"retry: 5\n\n"])
def test_heartbeats_do_not_wait(blank: bytes) -> None:
    given = through(CHAT, [blank, *LEAK[:2], blank, blank, *LEAK[2:]])
    assert given.steps[0] == [blank]
    assert given.raw == b"".join([blank, *LEAK[:2], blank, blank, *LEAK[2:SAFE]])


def test_heartbeats_behind_what_waits_keep_their_place() -> None:
    chunks = [*LEAK[: SAFE + 1], b": ping\n\n", *LEAK[SAFE + 1 :]]
    given = through(CHAT, chunks)
    assert given.blocked
    assert given.chunks == LEAK[:SAFE]
    fine = [*FINE[:3], b": ping\n\n", *FINE[3:]]
    assert through(CHAT, fine).chunks == fine


@pytest.mark.parametrize("body", [b"", b"\n", b"da", b":", b"{", b"<html>busy</html>", b"\xff\xfe\x00", b"[1, 2"])
@pytest.mark.parametrize("content_type", [SSE, "application/json", "text/html", ""])
def test_what_is_no_stream_goes_through_as_it_is(body: bytes, content_type: str) -> None:
    for chunks in ([body], [body[at : at + 1] for at in range(len(body))]):
        assert through(CHAT, chunks, content_type=content_type).raw == body


def test_one_json_body_instead_of_a_stream() -> None:
    def whole(text: str) -> bytes:
        return compact({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]})

    for content_type in (SSE, "application/json"):
        body = whole("All is well")
        assert through(CHAT, [body[:9], body[9:]], content_type=content_type).chunks == [body[:9], body[9:]]
        given = through(CHAT, [whole(f"It is {KEY}.")], content_type=content_type)
        assert given.blocked
        assert given.raw == b""


def test_nothing_said_behind_the_end_mark_gets_out() -> None:
    given = through(CHAT, [*FINE, chat({"content": f"and {KEY}."}), *CHAT.ending("")])
    assert given.blocked
    assert given.raw == b"".join(FINE)


def test_an_event_over_the_limit() -> None:
    huge = chat({"content": "x" * (2 << 20)})
    parts = [huge[at : at + 65536] for at in range(0, len(huge), 65536)]
    assert through(CHAT, [*FINE[:2], *parts, *FINE[2:]]).raw == b"".join([*FINE[:2], huge, *FINE[2:]])
    llmtrace.configure(enforcement={"mode": "block", "unscanned": "block"})
    given = through(CHAT, [*FINE[:2], *parts, *FINE[2:]])
    assert given.blocked
    assert given.chunks == FINE[:1]  # the next one ended with a word that could go on
    assert given.exchange.decision.reason == "unscanned"


@pytest.mark.parametrize("coding", [False, True])
def test_a_long_stream_is_never_kept(coding: bool) -> None:
    chunk = chat({"content": "A short sentence, and then another one. " * 400})
    chunks = [chunk] * 600
    given = through(CHAT, gzipped(chunks) if coding else chunks, coding="gzip" if coding else "")
    out = 0
    for number, step in enumerate(given.steps):
        out += len(step)
        assert number + 1 - out <= 1 + coding
    assert len(unzipped(given.raw) if coding else given.raw) == len(chunk) * 600


def test_a_coding_that_is_cut_off_or_broken() -> None:
    whole = packed(b"".join(FINE))
    assert through(CHAT, [whole[:40], whole[40:-12]], coding="gzip").raw == whole[:-12]
    broken = whole[:60] + b"\0\0\0\0" + whole[64:]
    assert through(CHAT, [broken[:70], broken[70:]], coding="gzip").raw == broken
    assert through(CHAT, [whole], coding="unheard-of").raw == whole
    llmtrace.configure(enforcement={"mode": "block", "unscanned": "block"})
    for body, coding in ((broken, "gzip"), (whole, "unheard-of")):
        given = through(CHAT, [body], coding=coding)
        assert given.blocked
        assert given.raw == b""


@pytest.mark.parametrize("wbits", [31, 15, -15])
def test_codings_are_let_through_by_whole_chunks(wbits: int) -> None:
    packer = zlib.compressobj(wbits=wbits)
    chunks = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in LEAK]
    given = through(CHAT, chunks, coding="gzip" if wbits == 31 else "deflate")
    assert given.blocked
    assert given.chunks == chunks[: len(given.chunks)]
    assert zlib.decompressobj(wbits).decompress(given.raw) == b"".join(LEAK[:SAFE])


class Consumed:
    """A transport that gives out responses which are read already, as mocks and caches do."""

    def __init__(self, module: ModuleType, body: bytes, **more: Any) -> None:
        self._module, self._body, self._more = module, body, more

    def __call__(self, request: Any) -> Any:
        return self._module.Response(content=self._body, **{"status_code": 200, **self._more})


@pytest.mark.parametrize("module", FAMILIES)
@pytest.mark.parametrize("stream", [True, False])
def test_answers_of_mocks(module: ModuleType, stream: bool, llmtrace_records: Records) -> None:
    for events, good in ((LEAK, False), (FINE, True)):
        mock = module.MockTransport(Consumed(module, b"".join(events), headers={"content-type": SSE}))
        with instrument(module.Client(transport=mock)) as http:
            request = http.build_request("POST", URL, json=ASKED | {"stream": stream})
            answer = http.send(request, stream=True)
            if good:
                assert b"".join(answer.iter_raw()) == b"".join(events)
            else:
                with pytest.raises(llmtrace.Blocked):
                    answer.read()
            answer.close()
    assert [record.outcome for record in llmtrace_records.settled()] == ["blocked", "complete"]


@pytest.mark.parametrize("module", FAMILIES)
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 204), ("POST", 304)])
def test_answers_without_a_body(module: ModuleType, method: str, status: int) -> None:
    wire = Wire([], HEAD, status=status)
    with client(module, "sync", wire) as http:
        answer = http.request(method, URL, json=ASKED)
    assert (answer.status_code, answer.content) == (status, b"")


@pytest.mark.parametrize("mode", ["block", "redact"])
@pytest.mark.parametrize("coding", [False, True])
@pytest.mark.parametrize(("module", "colour"), PAIRS)
def test_shadow_changes_nothing(
    module: ModuleType, colour: str, coding: bool, mode: str, llmtrace_records: Records
) -> None:
    llmtrace.configure(enforcement={"mode": mode, "shadow": True})
    chunks = gzipped(LEAK) if coding else LEAK
    headers = [*HEAD, ("content-length", "7"), *([("content-encoding", "gzip")] if coding else [])]
    wire = Wire(chunks, headers)
    assert read(module, colour, wire) == (chunks, None)
    assert wire.sent == [compact(ASKED)]
    (record,) = llmtrace_records.settled()
    assert (record.decision.action, record.decision.shadowed, record.outcome) == ("log", mode, "complete")


def test_answers_side_by_side() -> None:
    events = [chat({"content": word}, choice=at) for word in (" one", " two", ".\n", " three", ".\n") for at in (0, 1)]
    assert through(CHAT, [*events, sse(b"[DONE]")]).chunks == [*events, sse(b"[DONE]")]
    for first in (0, 1):
        halves = [(KEY[:9], "No"), (KEY[9:20], " key"), (KEY[20:], "."), (" ", " ")]
        leak = [chat({"content": half[first ^ at]}, choice=at) for half in halves for at in (0, 1)]
        given = through(CHAT, [*events, *leak, sse(b"[DONE]")])
        assert given.blocked
        assert given.raw == b"".join([*events, *leak[:first]])


def test_pieces_woven_into_one_another() -> None:
    def call(text: str, number: int) -> bytes:
        return chat({"tool_calls": [{"index": number, "function": {"arguments": text}}]})

    begun = [chat({"content": "So: "}), chat({"content": "yes. "}), call('{"a": "b", ', 0), call('{"a": "c", ', 1)]
    begun += [call('"d": ', 0), call('"e": ', 1)]
    woven = [call(half, number) for half in (' "', *KEY, '"}') for number in (0, 1)]
    given = through(CHAT, [*begun, *woven, *CHAT.ending("")])
    assert given.blocked
    assert KEY[:1].encode() not in given.raw[len(b"".join(begun)) + len(b"".join(woven[:2])) :]
    assert b"".join([*begun, *woven]).startswith(given.raw)


@pytest.mark.parametrize("member", ["content", "reasoning_content", "refusal"])
def test_every_kind_of_text(member: str) -> None:
    events = [chat({"reasoning_content": "Hm. "}), chat({"content": "Well. "})]
    leak = [chat({member: piece}) for piece in (" ", KEY[:5], KEY[5:], " ")]
    given = through(CHAT, [*events, *leak, *CHAT.ending("")])
    assert given.blocked
    assert given.raw == b"".join([*events, leak[0]])
