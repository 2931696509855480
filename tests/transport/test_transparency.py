"""Bytes, headers and chunk boundaries are the same with and without us."""

from __future__ import annotations

import gzip
import itertools
import json
import zlib
from typing import TYPE_CHECKING

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import llmtrace_sdk as llmtrace

from .wire import COLOURS, FAMILIES, Wire, fetch

if TYPE_CHECKING:
    from types import ModuleType

BODY = json.dumps(
    {"choices": [{"message": {"content": "Grüße 😀\r\n"}}], "usage": {"prompt_tokens": 1}}, ensure_ascii=False
).encode()
SSE = (
    b": comment\r\n\r\nevent: x\r\ndata: one\r\ndata: two\r\n\r\n"
    + 'data: {"choices":[{"index":0,"delta":{"content":"Grüße 😀"}}]}\n\n'.encode()
    + b"data: [DONE]\n\n"
)
GARBAGE = bytes(range(256)) * 3
CODINGS = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
BODIES = {
    "application/json": BODY,
    "text/event-stream": SSE,
    "application/octet-stream": GARBAGE,
    "application/x-ndjson": SSE,
}


@pytest.mark.parametrize("mode", ["log", "block"])
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("module", FAMILIES, ids=lambda m: m.__name__)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_chunks_headers_and_status_are_the_same(
    module: ModuleType, colour: str, mode: str, data: st.DataObject
) -> None:
    llmtrace.configure(enforcement={"mode": mode})
    content_type = data.draw(st.sampled_from(sorted(BODIES)))
    promised = data.draw(st.sampled_from(sorted(BODIES)))
    coding = data.draw(st.sampled_from(sorted(CODINGS)))
    body = CODINGS[coding](BODIES[content_type])
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=20))
    places = sorted({0, len(body), *cuts})
    chunks = [body[a:b] for a, b in itertools.pairwise(places)]
    headers = [("content-type", promised), ("content-encoding", coding), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
    status = data.draw(st.sampled_from([200, 400, 429, 500]))

    bare, bare_chunks = fetch(module, colour, Wire(chunks, headers, status=status), tapped=False)
    ours, our_chunks = fetch(module, colour, Wire(chunks, headers, status=status))

    assert our_chunks == bare_chunks == chunks
    assert ours.headers.raw == bare.headers.raw
    assert ours.status_code == bare.status_code
    assert ours.num_bytes_downloaded == bare.num_bytes_downloaded
    assert type(ours) is type(bare)
    assert {k: v for k, v in ours.extensions.items() if k != "llmtrace"} == bare.extensions
    assert not ours.extensions["llmtrace"].blocked


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("module", FAMILIES, ids=lambda m: m.__name__)
def test_the_request_is_the_same(module: ModuleType, colour: str) -> None:
    wires = [Wire(), Wire()]
    for wire, tapped in zip(wires, (True, False), strict=True):
        fetch(module, colour, wire, tapped=tapped, content=b'{ "odd" :  "spacing" }', headers={"X-Odd": "1"})
    assert wires[0].sent == wires[1].sent
    assert wires[0].requests[0].headers.raw == wires[1].requests[0].headers.raw


@pytest.mark.parametrize("module", FAMILIES, ids=lambda m: m.__name__)
def test_a_streamed_request_body_is_not_touched(module: ModuleType) -> None:
    wire = Wire([BODY])
    records: list[llmtrace.CallRecord] = []
    stop = llmtrace.on_record(records.append)
    fetch(module, "sync", wire, content=(part for part in [b'{"messages":', b"[]}"]))
    llmtrace.flush()
    stop()
    assert wire.sent == [b'{"messages":[]}']
    (record,) = records
    assert (record.coverage.state, record.coverage.reasons[0]) == ("partial", "streamed_body")


@pytest.mark.parametrize("module", FAMILIES, ids=lambda m: m.__name__)
def test_elapsed_and_decoding_still_work(module: ModuleType) -> None:
    from .wire import HELLO, URL, client

    wire = Wire([gzip.compress(BODY)], [("content-type", "application/json"), ("content-encoding", "gzip")])
    with client(module, "sync", wire) as http:
        response = http.post(URL, json=HELLO)
    assert response.json() == json.loads(BODY)
    assert response.elapsed.total_seconds() > 0
