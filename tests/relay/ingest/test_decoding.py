"""Bodies: what is taken, and what is said of what is not."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from typing import Any

import pytest

from llmtrace_relay.ingest import Refused, decode

from .building import JSON, LIMIT, PROTOBUF, Group, chat, of, otlp_json

BODY = of(chat("Hi"), service__name="shop")


def spans(body: bytes, content_type: str = PROTOBUF, coding: str | None = None, limit: int = LIMIT) -> list[Any]:
    refused: Counter[str] = Counter()
    found = list(decode(body, content_type, coding, limit).spans(refused))
    assert not refused
    return found


def refusal(
    body: bytes, content_type: str = PROTOBUF, coding: str | None = None, limit: int = LIMIT
) -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        decode(body, content_type, coding, limit)
    return refused.value.status, refused.value.message


@pytest.mark.parametrize("content_type", [PROTOBUF, "application/protobuf", "Application/X-Protobuf; charset=x"])
@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (None, BODY),
        ("", BODY),
        ("identity", BODY),
        ("gzip", gzip.compress(BODY)),
        (" GZIP ", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("gzip", gzip.compress(BODY[:20]) + gzip.compress(BODY[20:])),
        ("deflate", zlib.compress(BODY)),
    ],
)
def test_protobuf_in_all_codings(content_type: str, coding: str | None, body: bytes) -> None:
    (span,) = spans(body, content_type, coding)
    assert span.name == "chat gpt-4o"
    assert span.resource == {"service.name": "shop"}


@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=utf-8", ""])
def test_json(content_type: str) -> None:
    body = otlp_json(Group([chat("Hi")], {"service.name": "shop"}, "scope"))
    (span,) = spans(gzip.compress(body), content_type, "gzip")
    assert (span.scope, span.resource) == ("scope", {"service.name": "shop"})


def test_nothing_at_all_is_a_request() -> None:
    assert spans(b"") == []
    for body in (
        b"{}",
        b'{"resourceSpans":null}',
        b'{"resourceSpans":[{}]}',
        b'{"resourceSpans":[{"scopeSpans":[{}]}]}',
    ):
        assert spans(body, JSON) == []


@pytest.mark.parametrize(
    ("body", "content_type", "coding", "status", "words"),
    [
        (BODY, "text/plain", None, 415, "application/x-protobuf or application/json"),
        (BODY, PROTOBUF, "br", 415, "send gzip, deflate or none"),
        (BODY, PROTOBUF, "gzip, gzip", 415, "send gzip, deflate or none"),
        (BODY, PROTOBUF, "gzip", 400, "is not gzip"),
        (zlib.compress(BODY), PROTOBUF, "gzip", 400, "is not gzip"),
        (gzip.compress(BODY)[:-1], PROTOBUF, "gzip", 400, "ends too early"),
        (b"", PROTOBUF, "gzip", 400, "ends too early"),
        (gzip.compress(BODY) + b"rest", PROTOBUF, "gzip", 400, "is not gzip"),
        (b"".join(gzip.compress(b"") for _ in range(20)), PROTOBUF, "gzip", 413, "members"),
        (BODY, JSON, None, 400, "no JSON"),
        (b"[]", JSON, None, 400, "no JSON, or has other members"),
        (b'{"resourceSpans":{}}', JSON, None, 400, "no JSON, or has other members"),
        (b"nonsense", PROTOBUF, None, 400, "no OTLP trace request"),
        (BODY[:-1], PROTOBUF, None, 400, "ends too early"),
        (otlp_json(), PROTOBUF, None, 400, "no OTLP trace request"),
    ],
)
def test_what_is_refused(body: bytes, content_type: str, coding: str | None, status: int, words: str) -> None:
    found, message = refusal(body, content_type, coding)
    assert found == status
    assert words in message


def test_the_limit_is_for_what_is_decompressed() -> None:
    bomb = gzip.compress(bytes(LIMIT * 10))
    assert len(bomb) < LIMIT // 10
    assert refusal(bomb, PROTOBUF, "gzip") == refusal(bytes(LIMIT + 1))
    assert refusal(bomb, PROTOBUF, "gzip")[0] == 413
    exactly = gzip.compress(BODY)
    assert spans(exactly, PROTOBUF, "gzip", len(BODY))
    assert refusal(exactly, PROTOBUF, "gzip", len(BODY) - 1)[0] == 413
    in_two = gzip.compress(bytes(LIMIT)) + gzip.compress(bytes(1))
    assert refusal(in_two, PROTOBUF, "gzip")[0] == 413


def test_json_is_lenient_where_exporters_are() -> None:
    told = json.loads(otlp_json(Group([chat("Hi", count=5)])))
    span = told["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["traceId"] = span["traceId"].upper()
    span["startTimeUnixNano"] = int(span["startTimeUnixNano"])
    span["status"] = {"code": "STATUS_CODE_ERROR"}
    span["parentSpanId"] = ""
    span["events"] = None
    span["attributes"] += [
        {"key": "number", "value": {"intValue": 7}},
        {"key": "text", "value": {"doubleValue": "0.5"}},
        {"key": "null", "value": None},
        {"key": "unset", "value": {"stringValue": None}},
        {"key": "", "value": {"stringValue": "nameless"}},
        {"value": {"stringValue": "nameless"}},
        {"key": "later", "value": {"novelValue": {"a": [1, {"b": 2}]}}},
    ]
    span["novelMember"] = [{"a": 1}]
    told["resourceSpans"][0]["schemaUrl"] = "https://opentelemetry.io/schemas/1.37.0"
    (read,) = spans(json.dumps(told).encode(), JSON)
    assert (read.trace_id, read.failed, read.parent_id) == ("0102030405060708090a0b0c0d0e0f10", True, "")
    assert {name: read.attributes[name] for name in ("count", "number", "text", "null", "unset", "later")} == {
        "count": 5,
        "number": 7,
        "text": 0.5,
        "null": None,
        "unset": None,
        "later": None,
    }
    assert "" not in read.attributes


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"traceId": "AQIDBAUGBwgJCgsMDQ4PEA=="}, "an id is not written in hexadecimal digits"),
        ({"traceId": "0102"}, "its trace id is not one of 16 bytes"),
        ({"traceId": None}, "its trace id is not one of 16 bytes"),
        ({"traceId": "01 02 03 04 05 06 07 08 09 0a 0b"}, "an id is not written in hexadecimal digits"),
        ({"spanId": "0" * 16}, "its span id is not one of 8 bytes"),
        ({"spanId": "1" * 15}, "an id is not written in hexadecimal digits"),
        ({"startTimeUnixNano": "soon"}, "a time is not in nanoseconds since 1970"),
        ({"startTimeUnixNano": -1}, "a time is not in nanoseconds since 1970"),
        ({"endTimeUnixNano": str(1 << 64)}, "a time is not in nanoseconds since 1970"),
        ({"name": 7}, "it has other members than an OTLP span"),
        ({"attributes": {"a": 1}}, "it has other members than an OTLP span"),
        ({"attributes": [{"key": "a", "value": {"intValue": "7.5"}}]}, "an integer is not one"),
        ({"attributes": [{"key": "a", "value": {"intValue": str(1 << 63)}}]}, "an integer has more than 64 bits"),
        ({"attributes": [{"key": "a", "value": {"doubleValue": "much"}}]}, "a number is not one"),
        ({"attributes": [{"key": "a", "value": "text"}]}, "it has other members than an OTLP span"),
    ],
)
def test_a_bad_span_in_json_is_refused_alone(change: dict[str, Any], reason: str) -> None:
    told = json.loads(otlp_json(Group([chat("Hi"), chat("Hi")])))
    told["resourceSpans"][0]["scopeSpans"][0]["spans"][0] |= change
    refused: Counter[str] = Counter()
    assert len(list(decode(json.dumps(told).encode(), JSON, None, LIMIT).spans(refused))) == 1
    assert refused == {reason: 1}


def test_a_bad_resource_takes_its_spans_with_it() -> None:
    told = json.loads(otlp_json(Group([chat("Hi"), chat("Hi")]), Group([chat("Hi")])))
    told["resourceSpans"][0]["resource"] = {"attributes": 7}
    refused: Counter[str] = Counter()
    assert len(list(decode(json.dumps(told).encode(), JSON, None, LIMIT).spans(refused))) == 1
    assert refused == {"the resource has other members than OTLP's": 2}
