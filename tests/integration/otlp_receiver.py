"""A local OTLP/HTTP receiver: keeps what an exporter sends, decoded with the official protobuf classes."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, Self

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from opentelemetry.proto.common.v1 import common_pb2
    from opentelemetry.proto.logs.v1 import logs_pb2
    from opentelemetry.proto.resource.v1 import resource_pb2

TRACES, METRICS, LOGS = "/v1/traces", "/v1/metrics", "/v1/logs"
MAX_BODY_BYTES = 64 * 2**20
SOCKET_TIMEOUT_S = 5.0
POLL_S = 0.02

MESSAGES: Mapping[str, Any] = {
    TRACES: trace_service_pb2.ExportTraceServiceRequest,
    METRICS: metrics_service_pb2.ExportMetricsServiceRequest,
    LOGS: logs_service_pb2.ExportLogsServiceRequest,
}
INFLATE: Mapping[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What spans, metrics and log records share: the resource's attributes and the instrumentation scope."""

    resource: Attributes
    scope_name: str
    scope_version: str


@dataclass(frozen=True, slots=True)
class Event:
    """A span event; time in ns since the epoch."""

    name: str
    attributes: Attributes
    time_unix_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span(Signal):
    """One span. Ids in hex, `""` where absent; `kind` such as `CLIENT`; `status` is `UNSET`, `OK` or `ERROR`.

    `links` are pairs of trace id and span id.
    """

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_span_id: str
    attributes: Attributes
    events: list[Event]
    links: list[tuple[str, str]]
    status: str
    status_message: str
    start_unix_ns: int
    end_unix_ns: int


@dataclass(frozen=True, slots=True)
class Point:
    """One data point: `value` of a sum or gauge; `count`, `sum`, `bounds` and `buckets` of a histogram."""

    attributes: Attributes
    value: float | int | None = None
    count: int | None = None
    sum: float | None = None
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Signal):
    """One metric of one export; `kind` is the protobuf field: `sum`, `gauge`, `histogram`, ..."""

    name: str
    kind: str
    unit: str
    points: list[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord(Signal):
    """One log record or event. Ids in hex, `""` where absent."""

    event_name: str
    body: Any
    severity_number: int
    severity_text: str
    attributes: Attributes
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Export:
    """One accepted request: header names in lower case, `body` after decompression, decoded `message`."""

    path: str
    headers: dict[str, str]
    body: bytes
    message: Any


class OTLPReceiver:
    """Context manager: listens on a free port of 127.0.0.1 until left; then all its threads have ended.

    Accepts protobuf bodies at /v1/traces, /v1/metrics and /v1/logs, plain, gzip or deflate. Answers 404 to
    another path, 411 without a length, 413 above 64 MiB, 415 to another encoding or type, 400 to a body that
    does not decode.
    """

    def __init__(self) -> None:
        self._arrival = Condition()
        self._exports: list[Export] = []
        self._server = _Server(self)
        self._thread = Thread(target=self._server.serve_forever, args=[POLL_S], name="otlp-receiver")

    @property
    def otlp_endpoint(self) -> str:
        """Base URL; the exporters' programmatic `endpoint=` wants the path of the signal appended."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def exports(self) -> list[Export]:
        """All accepted requests in order of arrival."""
        with self._arrival:
            return list(self._exports)

    @property
    def raw(self) -> list[bytes]:
        """The decompressed bodies, to search for what must never be exported."""
        return [export.body for export in self.exports]

    def spans(self) -> list[Span]:
        """All spans received, in order of arrival."""
        return [span for message in self._messages(TRACES) for span in _spans(message)]

    def metrics(self) -> list[Metric]:
        """All metrics received, one entry per metric and export."""
        return [metric for message in self._messages(METRICS) for metric in _metrics(message)]

    def logs(self) -> list[LogRecord]:
        """All log records received, in order of arrival."""
        return [record for message in self._messages(LOGS) for record in _logs(message)]

    def clear(self) -> None:
        """Forget everything received so far."""
        with self._arrival:
            self._exports.clear()

    def wait_for(self, predicate: Callable[[OTLPReceiver], bool], deadline_s: float = 10.0) -> None:
        """Return once `predicate(self)` holds; it is tried now and at each arrival.

        Raises `TimeoutError` after `deadline_s`.
        """
        with self._arrival:
            if not self._arrival.wait_for(lambda: predicate(self), deadline_s):
                raise TimeoutError(f"not within {deadline_s:g} s; {len(self._exports)} exports received")

    def accept(self, export: Export) -> None:
        """Keep a decoded request; called from the server's threads."""
        with self._arrival:
            self._exports.append(export)
            self._arrival.notify_all()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _messages(self, path: str) -> Iterator[Any]:
        return (export.message for export in self.exports if export.path == path)


class _Server(ThreadingHTTPServer):
    # Not daemons: `server_close` joins the request threads only then, and a test must leave none behind.
    daemon_threads = False

    def __init__(self, receiver: OTLPReceiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _Request)


# HTTP/1.0 on purpose (the base class's default): kept-alive connections would hold a thread each at the end.
class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = SOCKET_TIMEOUT_S

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._answer(HTTPStatus.LENGTH_REQUIRED)
        elif int(length) > MAX_BODY_BYTES:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._answer(self._take(self.rfile.read(int(length))))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Silent: a request is no news in a test."""

    def _take(self, body: bytes) -> HTTPStatus:
        decode = MESSAGES.get(self.path)
        if decode is None:
            return HTTPStatus.NOT_FOUND
        inflate = INFLATE.get(self.headers.get("Content-Encoding", "identity"))
        if inflate is None or self.headers.get("Content-Type") != "application/x-protobuf":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            plain = inflate(body)
            message = decode.FromString(plain)
        except Exception:  # four libraries' errors, one meaning: not what the headers promise
            return HTTPStatus.BAD_REQUEST
        self.server.receiver.accept(Export(self.path, headers, plain, message))
        return HTTPStatus.OK

    # An empty body is an encoded Export*ServiceResponse without partial success.
    def _answer(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()


def _value(value: common_pb2.AnyValue) -> Any:
    field = value.WhichOneof("value")
    if field is None:
        return None
    if field == "array_value":
        return [_value(item) for item in value.array_value.values]
    if field == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, field)


def _attributes(pairs: Iterable[common_pb2.KeyValue]) -> Attributes:
    return {pair.key: _value(pair.value) for pair in pairs}


def _origin(resource: resource_pb2.Resource, scope: common_pb2.InstrumentationScope) -> dict[str, Any]:
    return {
        "resource": _attributes(resource.attributes),
        "scope_name": scope.name,
        "scope_version": scope.version,
    }


def _spans(message: trace_service_pb2.ExportTraceServiceRequest) -> Iterator[Span]:
    for by_resource in message.resource_spans:
        for by_scope in by_resource.scope_spans:
            origin = _origin(by_resource.resource, by_scope.scope)
            yield from (_span(span, origin) for span in by_scope.spans)


def _span(span: trace_pb2.Span, origin: dict[str, Any]) -> Span:
    return Span(
        **origin,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        attributes=_attributes(span.attributes),
        events=[Event(e.name, _attributes(e.attributes), e.time_unix_nano) for e in span.events],
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        status=trace_pb2.Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        status_message=span.status.message,
        start_unix_ns=span.start_time_unix_nano,
        end_unix_ns=span.end_time_unix_nano,
    )


def _metrics(message: metrics_service_pb2.ExportMetricsServiceRequest) -> Iterator[Metric]:
    for by_resource in message.resource_metrics:
        for by_scope in by_resource.scope_metrics:
            origin = _origin(by_resource.resource, by_scope.scope)
            yield from (_metric(metric, origin) for metric in by_scope.metrics)


def _metric(metric: metrics_pb2.Metric, origin: dict[str, Any]) -> Metric:
    kind = metric.WhichOneof("data")
    points = getattr(metric, kind).data_points if kind else ()
    return Metric(
        **origin,
        name=metric.name,
        kind=kind or "",
        unit=metric.unit,
        points=[_point(point) for point in points],
    )


def _point(point: Any) -> Point:
    attributes = _attributes(point.attributes)
    if isinstance(point, metrics_pb2.NumberDataPoint):
        field = point.WhichOneof("value")
        return Point(attributes, value=getattr(point, field) if field else None)
    if isinstance(point, metrics_pb2.HistogramDataPoint):
        bounds, buckets = tuple(point.explicit_bounds), tuple(point.bucket_counts)
        return Point(attributes, count=point.count, sum=point.sum, bounds=bounds, buckets=buckets)
    return Point(attributes, count=point.count, sum=point.sum)


def _logs(message: logs_service_pb2.ExportLogsServiceRequest) -> Iterator[LogRecord]:
    for by_resource in message.resource_logs:
        for by_scope in by_resource.scope_logs:
            origin = _origin(by_resource.resource, by_scope.scope)
            yield from (_log_record(record, origin) for record in by_scope.log_records)


def _log_record(record: logs_pb2.LogRecord, origin: dict[str, Any]) -> LogRecord:
    return LogRecord(
        **origin,
        event_name=record.event_name,
        body=_value(record.body),
        severity_number=record.severity_number,
        severity_text=record.severity_text,
        attributes=_attributes(record.attributes),
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
    )
