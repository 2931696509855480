"""OTLP in protobuf: opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest."""

from __future__ import annotations

from base64 import b64encode
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from llmtrace_relay.ingest import reported
from llmtrace_relay.ingest.fields import Walk
from llmtrace_relay.ingest.refusals import Refused
from llmtrace_relay.ingest.reported import Attributes, Event, Group, Reported, Unreadable, Values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_RESOURCE_SPANS: Final = 1  # of a request
_RESOURCE, _SCOPE_SPANS = 1, 2  # of resource spans
_SCOPE, _SPANS = 1, 2  # of scope spans
_NO_SPAN: Final = "it is no span in protobuf"


def outline(body: bytes) -> reported.Request:
    """A request, with its spans still encoded. Raises `Refused`."""
    walk, groups, left = Walk(), [], reported.SPANS_LIMIT
    for number, message in walk.messages(memoryview(body)):
        if number == _RESOURCE_SPANS:
            for group in _groups(walk, message):
                left -= len(group.spans)
                if left < 0:
                    raise Refused(413, f"the body has more than {reported.SPANS_LIMIT:,} spans; send smaller batches")
                groups.append(group)
    return reported.Request(groups, _read_resource, _read_span)


def _groups(walk: Walk, message: memoryview) -> list[Group]:
    """The resource may come after its spans."""
    resource, scopes = memoryview(b""), []
    for number, content in walk.messages(message):
        if number == _RESOURCE:
            resource = content
        elif number == _SCOPE_SPANS:
            scopes.append(_scope_spans(walk, content))
    return [Group(resource, scope, spans) for scope, spans in scopes if spans]


def _scope_spans(walk: Walk, message: memoryview) -> tuple[str, list[memoryview]]:
    scope, spans = "", []
    for number, content in walk.messages(message):
        if number == _SPANS:
            spans.append(content)
        elif number == _SCOPE:
            scope = _scope_name(content)
    return scope, spans


def _scope_name(encoded: memoryview) -> str:
    if len(encoded) > reported.SPAN_BYTES_LIMIT:
        return ""
    try:
        name: str = InstrumentationScope.FromString(bytes(encoded)).name
    except DecodeError:
        return ""
    return reported.text(name[: reported.NAME_LIMIT])


def _read_resource(encoded: memoryview) -> Attributes:
    if len(encoded) > reported.SPAN_BYTES_LIMIT:
        raise Unreadable("the resource is too large")
    try:
        return _attributes(Resource.FromString(bytes(encoded)).attributes, Values(), 0)
    except DecodeError:
        raise Unreadable("the resource is no protobuf") from None


def _read_span(encoded: memoryview, resource: Attributes, scope: str) -> Reported:
    reported.check_size(encoded)
    try:
        span = Span.FromString(bytes(encoded))
    except DecodeError:
        raise Unreadable(_NO_SPAN) from None
    trace_id, span_id, parent_id = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
    reported.check_ids(trace_id, span_id, parent_id)
    values = Values()
    return Reported(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id,
        name=reported.text(span.name[: reported.NAME_LIMIT]),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_attributes(span.attributes, values, 0),
        events=tuple(_event(event, values) for event in islice(span.events, reported.EVENTS_LIMIT)),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        message=reported.text(span.status.message),
        resource=resource,
        scope=scope,
    )


def _event(event: Span.Event, values: Values) -> Event:
    name = reported.text(event.name[: reported.NAME_LIMIT])
    return Event(event.time_unix_nano, name, _attributes(event.attributes, values, 0))


def _attributes(pairs: Iterable[KeyValue], values: Values, depth: int) -> Attributes:
    """At most `ATTRIBUTES_LIMIT`."""
    some = islice(pairs, reported.ATTRIBUTES_LIMIT)
    return reported.collected((pair.key, _value(pair.value, values, depth)) for pair in some)


def _value(value: AnyValue, values: Values, depth: int) -> Any:
    values.count(depth)
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return reported.text(value.string_value)
    if kind == "array_value":
        return [_value(item, values, depth + 1) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values, values, depth + 1)
    if kind == "bytes_value":
        return b64encode(value.bytes_value).decode("ascii")
    if kind == "double_value":
        return reported.number(value.double_value)
    return value.bool_value if kind == "bool_value" else value.int_value if kind == "int_value" else None
