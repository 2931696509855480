"""What `/metrics` tells of spans that other programs report."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx

from tests.relay.inside import InsideRelay

from .building import OTHER_SPAN, PROTOBUF, Reported, chat, of

if TYPE_CHECKING:
    from pathlib import Path

SPANS = re.compile(r'^llmtrace_reported_spans_total\{result="(\w+)"\} (\S+)$', re.MULTILINE)
REFUSED = re.compile(r'^llmtrace_refused_requests_total\{reason="ingest",status_code="(\d+)"\} (\S+)$', re.MULTILINE)
BAD = Reported({"gen_ai.system": "openai"}, trace_id=b"\1")


def test_spans_are_counted_and_so_are_requests_that_are_refused(tmp_path: Path) -> None:
    with InsideRelay(tmp_path, max_request_size_bytes=100_000) as relay, httpx.Client(base_url=relay.url) as client:

        def report(body: bytes, kind: str = PROTOBUF) -> int:
            return client.post("/v1/traces", content=body, headers={"content-type": kind}).status_code

        other = chat("Hi again")
        other.span_id = OTHER_SPAN
        assert report(of(chat("Hi"), BAD, other)) == 200
        assert report(of(BAD)) == 200
        assert report(b"\x0a") == 400
        assert report(b"{}", "text/plain") == 415
        assert report(b"x" * 100_001) == 413
        assert client.post("/v1/logs", content=b"{}").status_code == 200
        told = client.get("/metrics").text
        assert dict(SPANS.findall(told)) == {"taken": "2.0", "rejected": "2.0"}
        assert dict(REFUSED.findall(told)) == {"400": "1.0", "415": "1.0", "413": "1.0"}
        assert client.get("/api/v1/spans").json()["total"] == 2
