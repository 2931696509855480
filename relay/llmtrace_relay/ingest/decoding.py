"""The body of a request -> what it reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from llmtrace_relay.ingest import otlpjson, protobuf
from llmtrace_relay.ingest.inflate import inflated
from llmtrace_relay.ingest.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_relay.ingest.reported import Request

Encoding = Literal["protobuf", "json"]
_ENCODINGS: Final[dict[str, Encoding]] = {
    "application/x-protobuf": "protobuf",
    "application/protobuf": "protobuf",
    "application/json": "json",
    "": "json",
}
_OUTLINES: Final[dict[Encoding, Callable[[bytes], Request]]] = {
    "protobuf": protobuf.outline,
    "json": otlpjson.outline,
}


def encoding_of(content_type: str) -> Encoding:
    """How a body of a content type is encoded: JSON where there is none. Raises `Refused` with 415."""
    found = _ENCODINGS.get(content_type.partition(";")[0].strip().lower())
    if found is None:
        raise Refused(415, "the content type is not known here; send application/x-protobuf or application/json")
    return found


def decode(body: bytes, content_type: str, content_encoding: str | None, limit: int) -> Request:
    """The outline of an OTLP/HTTP trace request; its spans are read when they are asked for.

    `limit` is in bytes after decompression. Raises `Refused` with 400, 413 or 415.
    """
    encoding = encoding_of(content_type)
    return _OUTLINES[encoding](inflated(body, content_encoding, limit))
