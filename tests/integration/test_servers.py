"""The two OTLP ends the integration tests read from, checked with the official exporter."""

from __future__ import annotations

import gzip
import threading
import uuid
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from .jaeger_server import JaegerServer, flat, require_jaeger
from .otlp_receiver import MAX_BODY_BYTES, METRICS, TRACES, OTLPReceiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.util.types import AnyValue

RESOURCE = Resource({"service.name": "server-test", "deployment.zones": ["a", "b"]})
SET: dict[str, AnyValue] = {"text": "Grüße", "count": 3, "ratio": 0.5, "flag": True, "list": ["x", "y"]}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporters obey the environment's proxy, which cannot reach this machine's own ports."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def receiver() -> Iterator[OTLPReceiver]:
    with OTLPReceiver() as running:
        yield running


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JaegerServer]:
    with JaegerServer(require_jaeger(), tmp_path_factory.mktemp("jaeger")) as running:
        yield running


def export_two_spans(otlp_endpoint: str, service: str = "server-test") -> str:
    """Export a failed parent and its child with attributes and an event; return their trace id in hex."""
    provider = TracerProvider(resource=RESOURCE.merge(Resource({"service.name": service})))
    exporter = OTLPSpanExporter(endpoint=otlp_endpoint + TRACES, compression=Compression.Gzip)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("probe", "1.2")
    with tracer.start_as_current_span("parent", kind=SpanKind.SERVER) as parent:
        with tracer.start_as_current_span("child", kind=SpanKind.CLIENT) as child:
            child.set_attributes(SET)
            child.add_event("found", {"rule": "r-1", "score": 0.75})
        parent.set_status(Status(StatusCode.ERROR, "broken"))
    provider.shutdown()
    return f"{parent.get_span_context().trace_id:032x}"


def post(receiver: OTLPReceiver, path: str, body: bytes, **headers: str) -> int:
    """POST `body` by hand; underscores in header names become hyphens. Returns the status."""
    named = {"Content-Type": "application/x-protobuf"} | {k.replace("_", "-"): v for k, v in headers.items()}
    with closing(HTTPConnection(receiver.otlp_endpoint.removeprefix("http://"), timeout=5)) as connection:
        connection.request("POST", path, body, named)
        response = connection.getresponse()
        response.read()
        return response.status


def test_receiver_reads_back_spans(receiver: OTLPReceiver) -> None:
    trace_id = export_two_spans(receiver.otlp_endpoint)

    child, parent = receiver.spans()
    assert (child.name, child.kind, child.status) == ("child", "CLIENT", "UNSET")
    assert child.attributes == SET
    assert [(e.name, e.attributes) for e in child.events] == [("found", {"rule": "r-1", "score": 0.75})]
    assert child.start_unix_ns <= child.events[0].time_unix_ns <= child.end_unix_ns
    assert (parent.name, parent.kind) == ("parent", "SERVER")
    assert (parent.status, parent.status_message) == ("ERROR", "broken")
    assert (child.trace_id, child.parent_span_id, parent.parent_span_id) == (trace_id, parent.span_id, "")
    assert (child.scope_name, child.scope_version) == ("probe", "1.2")
    assert child.resource["deployment.zones"] == ["a", "b"]


def test_receiver_keeps_decompressed_bodies(receiver: OTLPReceiver) -> None:
    export_two_spans(receiver.otlp_endpoint)

    assert receiver.exports[0].headers["content-encoding"] == "gzip"
    assert ["Grüße".encode() in body for body in receiver.raw] == [True, False]
    receiver.clear()
    assert receiver.raw == []


def test_receiver_reads_back_metrics(receiver: OTLPReceiver) -> None:
    exporter = OTLPMetricExporter(endpoint=receiver.otlp_endpoint + METRICS, compression=Compression.Deflate)
    provider = MeterProvider([PeriodicExportingMetricReader(exporter)], RESOURCE)
    meter = provider.get_meter("probe", "1.2")
    meter.create_counter("calls", unit="{call}").add(2, {"model": "m"})
    meter.create_histogram("duration", unit="s", explicit_bucket_boundaries_advisory=[1.0, 2.0]).record(1.5)
    provider.shutdown()

    by_name = {metric.name: metric for metric in receiver.metrics()}
    assert (by_name["calls"].kind, by_name["calls"].unit) == ("sum", "{call}")
    assert [(p.attributes, p.value) for p in by_name["calls"].points] == [({"model": "m"}, 2)]
    (duration,) = by_name["duration"].points
    assert (duration.count, duration.sum) == (1, 1.5)
    assert (duration.bounds, duration.buckets) == ((1.0, 2.0), (0, 1, 0))


def test_receiver_reads_back_logs(receiver: OTLPReceiver) -> None:
    provider = LoggerProvider(RESOURCE)
    exporter = OTLPLogExporter(endpoint=receiver.otlp_endpoint + "/v1/logs")
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("probe").emit(event_name="found", body={"rule": ["r-1", None]}, attributes={"n": 1})
    provider.shutdown()

    (record,) = receiver.logs()
    assert (record.event_name, record.body, record.attributes) == ("found", {"rule": ["r-1", None]}, {"n": 1})
    assert (record.trace_id, record.scope_name) == ("", "probe")


def test_receiver_waits_for_an_export_in_flight(receiver: OTLPReceiver) -> None:
    sender = threading.Timer(0.05, export_two_spans, [receiver.otlp_endpoint])
    sender.start()
    receiver.wait_for(lambda seen: len(seen.spans()) == 2)
    sender.join()

    assert {span.name for span in receiver.spans()} == {"child", "parent"}


def test_receiver_wait_is_bounded(receiver: OTLPReceiver) -> None:
    with pytest.raises(TimeoutError, match="0 exports"):
        receiver.wait_for(lambda seen: bool(seen.spans()), deadline_s=0.01)


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        (TRACES, b"", {}, 200),
        (TRACES, gzip.compress(b""), {"Content_Encoding": "gzip"}, 200),
        ("/v1/else", b"", {}, 404),
        (TRACES, b"", {"Content_Length": "unknown"}, 411),
        (TRACES, b"", {"Content_Length": str(MAX_BODY_BYTES + 1)}, 413),
        (TRACES, b"{}", {"Content_Type": "application/json"}, 415),
        (TRACES, b"", {"Content_Encoding": "br"}, 415),
        (TRACES, b"no protobuf", {}, 400),
        (TRACES, b"no gzip", {"Content_Encoding": "gzip"}, 400),
    ],
)
def test_receiver_keeps_only_what_it_accepts(
    receiver: OTLPReceiver, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert post(receiver, path, body, **headers) == status
    assert len(receiver.exports) == (status == 200)


def test_receiver_leaves_no_thread_and_no_port() -> None:
    before = set(threading.enumerate())
    with OTLPReceiver() as receiver:
        export_two_spans(receiver.otlp_endpoint)
    assert set(threading.enumerate()) <= before
    with pytest.raises(ConnectionRefusedError):
        post(receiver, TRACES, b"")


def test_jaeger_reads_back_spans(jaeger: JaegerServer) -> None:
    service = f"two spans & {uuid.uuid4()}"
    trace_id = export_two_spans(jaeger.otlp_endpoint, service)

    (found,) = jaeger.traces(service, min_spans=2)
    spans = {span["operationName"]: span for span in found["spans"]}
    child, parent = spans["child"], spans["parent"]
    assert flat(child["tags"]).items() >= (SET | {"list": '["x","y"]', "span.kind": "client"}).items()
    assert flat(child["logs"][0]["fields"]) == {"event": "found", "rule": "r-1", "score": 0.75}
    assert child["references"] == [{"refType": "CHILD_OF", "traceID": trace_id, "spanID": parent["spanID"]}]
    assert flat(parent["tags"]).items() >= {"error": True, "otel.status_description": "broken"}.items()
    assert found["processes"][child["processID"]]["serviceName"] == service
    assert jaeger.trace(trace_id, min_spans=2)["traceID"] == trace_id


def test_jaeger_wait_is_bounded(jaeger: JaegerServer) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 spans"):
        jaeger.traces("unknown", deadline_s=0.1)
    with pytest.raises(TimeoutError, match="HTTP 404, 0 of 1 spans"):
        jaeger.trace(uuid.uuid4().hex, deadline_s=0.1)


def test_jaeger_takes_no_fixed_port_and_leaves_none(jaeger: JaegerServer, tmp_path: Path) -> None:
    with JaegerServer(require_jaeger(), tmp_path) as second:
        export_two_spans(second.otlp_endpoint, "second")
        assert second.traces("second", min_spans=2)
    with pytest.raises(ConnectionRefusedError):
        second.traces("second")
    with pytest.raises(TimeoutError):
        jaeger.traces("second", deadline_s=0)


def test_jaeger_that_does_not_start_tells_its_log(tmp_path: Path) -> None:
    broken = tmp_path / "jaeger"
    broken.write_text("#!/bin/sh\necho no such storage >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(RuntimeError, match="no such storage"), JaegerServer(broken, tmp_path):
        pytest.fail("entered without a Jaeger")
