"""`POST /v1/traces` over real HTTP: answers to what is taken, and to what is not."""

from __future__ import annotations

import gzip
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from llmtrace_relay.ingest import bodies
from llmtrace_relay.store import Identity
from llmtrace_sdk.config.relay import IngestOptions

from .building import JSON, OTHER_SPAN, PROTOBUF, TENANT, Group, Reported, chat, of, otlp_json
from .serving import DEFAULT_TENANT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .serving import Served

BODY = of(chat("Hi", "Hello"))
BAD = Reported({"gen_ai.system": "openai"}, trace_id=b"\1")


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=20) as opened:
        yield opened


@pytest.fixture
def post(served: Served, client: httpx.Client) -> Any:
    def send(body: bytes, content_type: str | None = PROTOBUF, **headers: str) -> httpx.Response:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        told |= {"content-type": content_type} if content_type else {}
        return client.post(f"{served.url}/v1/traces", content=body, headers=told)

    return send


def test_protobuf_is_answered_in_protobuf(served: Served, post: Any) -> None:
    answer = post(BODY)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, PROTOBUF, b"")
    (span,) = served.spans
    assert (span.tenant_id, span.prompt) == (TENANT, "user: Hi")


def test_json_is_answered_in_json(served: Served, post: Any) -> None:
    answer = post(gzip.compress(otlp_json(Group([chat("Hi")]))), JSON, content_encoding="gzip")
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (200, JSON, {})
    assert len(served.spans) == 1
    assert post(otlp_json(Group([chat("Hi")])), None).json() == {}


def test_what_was_not_taken_is_told(served: Served, post: Any) -> None:
    told = "2 spans were not taken: its trace id is not one of 16 bytes (2)"
    answer = ExportTraceServiceResponse.FromString(post(of(BAD, chat(), BAD)).content)
    assert (answer.partial_success.rejected_spans, answer.partial_success.error_message) == (2, told)
    answer = post(otlp_json(Group([BAD, chat(), BAD])), JSON)
    assert answer.json() == {"partialSuccess": {"rejectedSpans": "2", "errorMessage": told}}
    assert len(served.spans) == 2


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
def test_logs_and_metrics_are_taken_and_not_kept(served: Served, client: httpx.Client, path: str) -> None:
    told = "only spans are kept here; send logs and metrics to a collector"
    answer = client.post(f"{served.url}{path}", content=BODY, headers={"content-type": PROTOBUF})
    read = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, read.rejected_log_records, read.error_message) == (200, 0, told)
    answer = client.post(f"{served.url}{path}", content=b"{}")
    assert (answer.status_code, answer.json()) == (200, {"partialSuccess": {"errorMessage": told}})
    assert not served.spans


def test_callers_without_a_tenant_report_for_the_default_tenant(served: Served, post: Any) -> None:
    served.identity = Identity(None, "admin")
    assert post(BODY).status_code == 200
    assert served.spans[0].tenant_id == DEFAULT_TENANT


def test_who_may_only_look_reports_nothing(served: Served, post: Any) -> None:
    served.identity = Identity(TENANT, "viewer")
    answer = post(BODY)
    status = Status.FromString(answer.content)
    assert (answer.status_code, status.code) == (403, 7)
    assert "operator" in status.message
    answer = post(otlp_json(), JSON)
    assert answer.json()["error"] == {"message": status.message, "type": "auth_error"}
    assert not served.spans


def test_it_can_be_switched_off(served: Served, post: Any) -> None:
    served.configure(otel_ingest=IngestOptions(enabled=False))
    answer = post(otlp_json(Group([chat()])), JSON)
    assert answer.status_code == 404
    assert "otel_ingest.enabled" in answer.json()["message"]
    served.configure(enable_trace_storage=False)
    answer = post(otlp_json(Group([chat()])), JSON)
    assert answer.status_code == 404
    assert "enable_trace_storage" in answer.json()["error"]["message"]


def test_other_methods(served: Served, client: httpx.Client) -> None:
    answer = client.get(f"{served.url}/v1/traces")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"nonsense", {}, 400, 3),
        (BODY, {"content_encoding": "br"}, 415, 3),
        (BODY, {"content_type": "text/plain"}, 415, 3),
        (BODY, {"content_encoding": "gzip"}, 400, 3),
    ],
)
def test_bodies_that_are_none(post: Any, body: bytes, headers: dict[str, str], status: int, code: int) -> None:
    answer = post(body, **headers)
    assert answer.status_code == status
    if answer.headers["content-type"] == PROTOBUF:
        assert Status.FromString(answer.content).code == code
        assert Status.FromString(answer.content).message
    else:
        assert answer.json()["message"]


def test_bodies_over_the_limit(served: Served, post: Any) -> None:
    served.configure(max_request_size_bytes=100_000)
    assert post(bytes(100_001)).status_code == 413
    assert post(gzip.compress(bytes(100_001)), content_encoding="gzip").status_code == 413
    assert post(bytes(1000) for _ in range(101)).status_code == 413


def test_when_there_is_no_room_the_client_is_to_come_again(served: Served, post: Any) -> None:
    served.room = 1
    other = chat()
    other.span_id = OTHER_SPAN
    answer = post(of(chat(), other))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert Status.FromString(answer.content).code == 14


def test_bodies_that_are_held_together_are_bounded(served: Served, post: Any) -> None:
    served.configure(max_request_size_bytes=1000)
    address = (urlsplit(served.url).hostname, urlsplit(served.url).port)
    slow = [socket.create_connection(address, timeout=20) for _ in range(4)]
    try:
        head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        for each in slow:
            each.sendall(head + b" " * 999)
        _until(lambda: served.ingest._room.held == 4 * 999)
        answer = post(b" " * 100, JSON)
        assert (answer.status_code, answer.json()["code"]) == (503, 14)
        slow.pop().close()
        _until(lambda: served.ingest._room.held == 3 * 999)
        assert post(b"{}" + b" " * 98, JSON).status_code == 200
    finally:
        for each in slow:
            each.close()
    _until(lambda: served.ingest._room.held == 0)


def test_a_body_that_does_not_come(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "READ_TIMEOUT_S", 0.05)
    address = (urlsplit(served.url).hostname, urlsplit(served.url).port)
    with socket.create_connection(address, timeout=20) as slow:
        slow.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")


def test_requests_at_the_same_time(served: Served, post: Any) -> None:
    answers: list[int] = []

    def send(number: int) -> None:
        span = chat("Hi")
        span.span_id = number.to_bytes(8, "big")
        answers.append(post(of(span)).status_code)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 20
    assert len({span.span_id for span in served.spans}) == 20


def _until(true: Any) -> None:
    """The server has no event for what it holds."""
    waited = threading.Event()
    for _ in range(1000):
        if true():
            return
        waited.wait(0.01)
    raise AssertionError("never came true")
