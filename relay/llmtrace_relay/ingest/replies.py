"""What a request is answered with: in protobuf when it came in protobuf, else in JSON (OTLP/HTTP, "Response")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

if TYPE_CHECKING:
    from llmtrace_relay.ingest.decoding import Encoding
    from llmtrace_relay.ingest.spans import Taken

CONTENT_TYPES: Final[dict[Encoding, bytes]] = {"protobuf": b"application/x-protobuf", "json": b"application/json"}
REASONS_LIMIT: Final = 5
_CODES: Final = {400: 3, 403: 7, 404: 12, 405: 12, 408: 4, 413: 8, 415: 3, 503: 14}
"""HTTP status -> google.rpc.Code."""


def accepted(encoding: Encoding, taken: Taken) -> bytes:
    """An ExportTraceServiceResponse; with `partialSuccess` when there is something to say.

    That of logs and metrics is the same where nothing is rejected.
    """
    words = _words(taken)
    if encoding == "protobuf":
        reply = ExportTraceServiceResponse()
        if words:
            reply.partial_success.rejected_spans = taken.rejected
            reply.partial_success.error_message = words
        encoded: bytes = reply.SerializeToString()
        return encoded
    rejected = {"rejectedSpans": str(taken.rejected)} if taken.rejected else {}
    return msgspec.json.encode({"partialSuccess": {**rejected, "errorMessage": words}} if words else {})


def refused(encoding: Encoding, status: int, message: str) -> bytes:
    """A google.rpc.Status; in JSON with the relay's own `error` beside it."""
    code = _CODES[status]
    if encoding == "protobuf":
        words = message.encode()
        return b"\x08" + bytes((code,)) + b"\x12" + _varint(len(words)) + words
    kind = "auth_error" if status == 403 else "api_error"
    return msgspec.json.encode({"code": code, "message": message, "error": {"message": message, "type": kind}})


def _words(taken: Taken) -> str:
    if not taken.rejected:
        return "; ".join(taken.reasons)
    most = sorted(taken.reasons.items(), key=lambda pair: (-pair[1], pair[0]))[:REASONS_LIMIT]
    return f"{taken.rejected} spans were not taken: " + "; ".join(f"{reason} ({count})" for reason, count in most)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
