"""Requests as exporters make them, in both encodings, from one description."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TENANT = "7b2f6a52-3f0c-4c58-9a57-0d1b6f2f6a11"
PROTOBUF, JSON = "application/x-protobuf", "application/json"
LIMIT = 8 << 20
NOW_S = 1_790_000_000
NOW_US = NOW_S * 1_000_000
NOW_NS = NOW_US * 1000
TRACE, SPAN, OTHER_SPAN = bytes(range(1, 17)), bytes(range(1, 9)), bytes(range(11, 19))


@dataclass
class Event:
    name: str
    attributes: dict[str, Any] = field(default_factory=dict)
    time_ns: int = NOW_NS


@dataclass
class Reported:
    """A span: `status` is 0 (unset), 1 (ok) or 2 (error)."""

    attributes: dict[str, Any] = field(default_factory=dict)
    name: str = "chat gpt-4o"
    trace_id: bytes = TRACE
    span_id: bytes = SPAN
    parent_id: bytes = b""
    start_ns: int = NOW_NS - 1_500_000_000
    end_ns: int = NOW_NS
    events: list[Event] = field(default_factory=list)
    status: int = 0
    message: str = ""


@dataclass
class Group:
    spans: list[Reported]
    resource: dict[str, Any] = field(default_factory=dict)
    scope: str = ""


def chat(prompt: str = "", answer: str = "", **attributes: Any) -> Reported:
    """A call as today's instrumentations tell it; keywords have `__` for dots."""
    told: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
    }
    if prompt:
        told["gen_ai.input.messages"] = messages("user", prompt)
    if answer:
        told["gen_ai.output.messages"] = messages("assistant", answer)
    return Reported(told | {name.replace("__", "."): value for name, value in attributes.items()})


def messages(role: str, *texts: str) -> str:
    parts = [{"type": "text", "content": text} for text in texts]
    return json.dumps([{"role": role, "parts": parts}])


def protobuf(*groups: Group) -> bytes:
    request = ExportTraceServiceRequest()
    for group in groups:
        into = request.resource_spans.add()
        _attributes(into.resource.attributes, group.resource)
        scope = into.scope_spans.add()
        scope.scope.name = group.scope
        for span in group.spans:
            _span(scope.spans.add(), span)
    return request.SerializeToString()


def of(*spans: Reported, **resource: Any) -> bytes:
    """The spans of one program, in protobuf."""
    return protobuf(Group(list(spans), {name.replace("__", "."): value for name, value in resource.items()}))


def otlp_json(*groups: Group) -> bytes:
    return json.dumps({"resourceSpans": [_group_json(group) for group in groups]}).encode()


def _span(into: Any, span: Reported) -> None:
    into.trace_id, into.span_id, into.parent_span_id = span.trace_id, span.span_id, span.parent_id
    into.name, into.start_time_unix_nano, into.end_time_unix_nano = span.name, span.start_ns, span.end_ns
    into.status.code, into.status.message = span.status, span.message
    _attributes(into.attributes, span.attributes)
    for event in span.events:
        made = into.events.add(time_unix_nano=event.time_ns, name=event.name)
        _attributes(made.attributes, event.attributes)


def _attributes(into: Any, attributes: dict[str, Any]) -> None:
    for key, value in attributes.items():
        _value(into.add(key=key).value, value)


def _value(into: Any, value: Any) -> None:
    if isinstance(value, bool):
        into.bool_value = value
    elif isinstance(value, int):
        into.int_value = value
    elif isinstance(value, float):
        into.double_value = value
    elif isinstance(value, str):
        into.string_value = value
    elif isinstance(value, bytes):
        into.bytes_value = value
    elif isinstance(value, list):
        into.array_value.SetInParent()
        for each in value:
            _value(into.array_value.values.add(), each)
    elif isinstance(value, dict):
        into.kvlist_value.SetInParent()
        _attributes(into.kvlist_value.values, value)


def _group_json(group: Group) -> dict[str, Any]:
    spans = [_span_json(span) for span in group.spans]
    return {
        "resource": {"attributes": _attributes_json(group.resource)},
        "scopeSpans": [{"scope": {"name": group.scope}, "spans": spans}],
    }


def _span_json(span: Reported) -> dict[str, Any]:
    told = {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "name": span.name,
        "kind": 3,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _attributes_json(span.attributes),
        "events": [_event_json(event) for event in span.events],
        "status": {"code": span.status, "message": span.message},
    }
    return told | ({"parentSpanId": span.parent_id.hex()} if span.parent_id else {})


def _event_json(event: Event) -> dict[str, Any]:
    attributes = _attributes_json(event.attributes)
    return {"timeUnixNano": str(event.time_ns), "name": event.name, "attributes": attributes}


def _attributes_json(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value_json(value)} for key, value in attributes.items()]


def _value_json(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {
            "doubleValue": value
            if math.isfinite(value)
            else {"inf": "Infinity", "-inf": "-Infinity"}.get(str(value), "NaN")
        }
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value_json(each) for each in value]}}
    return {} if value is None else {"kvlistValue": {"values": _attributes_json(value)}}
