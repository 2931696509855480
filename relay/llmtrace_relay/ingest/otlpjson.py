"""OTLP in JSON: protobuf's JSON mapping with ids in hexadecimal digits and enumerations as numbers.

Source: OpenTelemetry protocol specification, "JSON Protobuf Encoding". What is null is not there, and members that
nobody knows are skipped.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw, Struct

from llmtrace_relay.ingest import reported
from llmtrace_relay.ingest.refusals import Refused, malformed
from llmtrace_relay.ingest.reported import Attributes, Event, Group, Reported, Unreadable, Values

if TYPE_CHECKING:
    from collections.abc import Iterable

_LEAST_PART: Final = 16
"""Bytes: the shortest object that says anything is longer. Shorter ones are there to take memory."""

_PARTS_ALLOWED: Final = 4096
_ERROR: Final = (2, "STATUS_CODE_ERROR")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII | re.IGNORECASE)
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_NOTHING: Final = Raw(b"null")
_UINT64: Final = range(1 << 64)
_NUMBERS: Final = frozenset({"NaN", "Infinity", "-Infinity"})


class _Any(Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: _Array | None = None
    kvlist_value: _Pairs | None = None
    bytes_value: str | None = None


class _Array(Struct):
    values: list[_Any] | None = None


class _Pair(Struct):
    key: str | None = None
    value: _Any | None = None


class _Pairs(Struct):
    values: list[_Pair] | None = None


class _Event(Struct, rename="camel"):
    time_unix_nano: int | str | None = None
    name: str | None = None
    attributes: list[_Pair] | None = None


class _Status(Struct):
    code: int | str | None = None
    message: str | None = None


class _Span(Struct, rename="camel"):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    start_time_unix_nano: int | str | None = None
    end_time_unix_nano: int | str | None = None
    attributes: list[_Pair] | None = None
    events: list[_Event] | None = None
    status: _Status | None = None


class _Resource(Struct):
    attributes: list[_Pair] | None = None


class _Scope(Struct):
    name: str | None = None


class _ScopeSpans(Struct):
    scope: _Scope | None = None
    spans: list[Raw] | None = None


class _ResourceSpans(Struct, rename="camel"):
    resource: Raw = _NOTHING
    scope_spans: list[_ScopeSpans] | None = None


class _Body(Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] | None = None


_body: Final = msgspec.json.Decoder(_Body)
_span: Final = msgspec.json.Decoder(_Span)
_resource: Final = msgspec.json.Decoder(_Resource | None)


def outline(body: bytes) -> reported.Request:
    """A request, with its spans still encoded. Raises `Refused`."""
    if body.count(b"{") > _PARTS_ALLOWED + len(body) // _LEAST_PART:
        raise Refused(413, "the body has too many empty parts; send smaller batches")
    try:
        request = _body.decode(body)
    except RecursionError:
        raise malformed("it is nested too deep") from None
    except ValueError:
        raise malformed("it is no JSON, or has other members than an OTLP request") from None
    groups = [group for each in request.resource_spans or () for group in _groups(each)]
    if sum(len(group.spans) for group in groups) > reported.SPANS_LIMIT:
        raise Refused(413, f"the body has more than {reported.SPANS_LIMIT:,} spans; send smaller batches")
    return reported.Request(groups, _read_resource, _read_span)


def _groups(each: _ResourceSpans) -> Iterable[Group]:
    for inner in each.scope_spans or ():
        if inner.spans:
            scope = (inner.scope.name if inner.scope else None) or ""
            yield Group(each.resource, reported.text(scope[: reported.NAME_LIMIT]), inner.spans)


def _read_resource(encoded: Raw) -> Attributes:
    if len(memoryview(encoded)) > reported.SPAN_BYTES_LIMIT:
        raise Unreadable("the resource is too large")
    try:
        read = _resource.decode(encoded)
    except (ValueError, RecursionError):
        raise Unreadable("the resource has other members than OTLP's") from None
    return _attributes(read.attributes if read is not None else None, Values(), 0)


def _read_span(encoded: Raw, resource: Attributes, scope: str) -> Reported:
    reported.check_size(memoryview(encoded))
    try:
        span = _span.decode(encoded)
    except RecursionError:
        raise Unreadable(f"its values are nested deeper than {reported.DEPTH_LIMIT}") from None
    except ValueError:
        raise Unreadable("it has other members than an OTLP span") from None
    trace_id, span_id, parent_id = _id(span.trace_id), _id(span.span_id), _id(span.parent_span_id)
    reported.check_ids(trace_id, span_id, parent_id)
    values, status = Values(), span.status or _Status()
    return Reported(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id,
        name=reported.text((span.name or "")[: reported.NAME_LIMIT]),
        start_ns=_time(span.start_time_unix_nano),
        end_ns=_time(span.end_time_unix_nano),
        attributes=_attributes(span.attributes, values, 0),
        events=tuple(_read_event(event, values) for event in islice(span.events or (), reported.EVENTS_LIMIT)),
        failed=status.code in _ERROR,
        message=reported.text(status.message or ""),
        resource=resource,
        scope=scope,
    )


def _read_event(event: _Event, values: Values) -> Event:
    name = reported.text((event.name or "")[: reported.NAME_LIMIT])
    return Event(_time(event.time_unix_nano), name, _attributes(event.attributes, values, 0))


def _attributes(pairs: list[_Pair] | None, values: Values, depth: int) -> Attributes:
    """At most `ATTRIBUTES_LIMIT`."""
    some = islice(pairs or (), reported.ATTRIBUTES_LIMIT)
    return reported.collected((pair.key or "", _value(pair.value or _Any(), values, depth)) for pair in some)


def _value(value: _Any, values: Values, depth: int) -> Any:
    values.count(depth)
    if isinstance(value.string_value, str):
        return reported.text(value.string_value)
    if isinstance(value.array_value, _Array):
        return [_value(item, values, depth + 1) for item in value.array_value.values or ()]
    if isinstance(value.kvlist_value, _Pairs):
        return _attributes(value.kvlist_value.values, values, depth + 1)
    if isinstance(value.bool_value, bool):
        return value.bool_value
    if isinstance(value.int_value, int | str):
        return _integer(value.int_value)
    if isinstance(value.double_value, float | str):
        return _number(value.double_value)
    return reported.text(value.bytes_value) if isinstance(value.bytes_value, str) else None


def _id(digits: str | None) -> str:
    """Empty where it is not there; raises where it is not in hexadecimal digits (base64, say)."""
    if digits is None:
        return ""
    if len(digits) > reported.NAME_LIMIT or not _HEX.fullmatch(digits):
        raise Unreadable("an id is not written in hexadecimal digits")
    return digits.lower()


def _integer(value: int | str) -> int:
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value):
            raise Unreadable("an integer is not one")
        value = int(value)
    return reported.whole(value)


def _number(value: float | str) -> float | None:
    if isinstance(value, str):
        if value in _NUMBERS:
            return None
        try:
            value = float(value[: reported.NAME_LIMIT])
        except ValueError:
            raise Unreadable("a number is not one") from None
    return reported.number(value)


def _time(value: int | str | None) -> int:
    nanoseconds = _integer_or_zero(value)
    if nanoseconds not in _UINT64:
        raise Unreadable("a time is not in nanoseconds since 1970")
    return nanoseconds


def _integer_or_zero(value: int | str | None) -> int:
    if value is None:
        return 0
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value):
            raise Unreadable("a time is not in nanoseconds since 1970")
        return int(value)
    return value
