"""The body of a request, as far as it can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core import jsonio
from llmtrace_sdk.core.encoding import decode_all
from llmtrace_sdk.errors import Unreadable

if TYPE_CHECKING:
    from llmtrace_sdk.typing import RequestHead


def read_payload(head: RequestHead, body: bytes | None, limit: int) -> tuple[bytes | None, Any]:
    """The body without its content coding, None where it has none, and the JSON in it.

    Raises `Unreadable` with the coverage code; `body` is None for a stream of the application's own.
    """
    if body is None:  # reading the application's own stream would use it up
        raise Unreadable("streamed_body")
    if not body and head.method != "POST":
        return None, {}
    encoding = head.headers.get("content-encoding")
    fault = None
    if encoding:
        body, fault = decode_all(encoding, body, limit)
    if fault is not None or len(body) > limit:
        raise Unreadable(fault or "body_limit")
    return body, jsonio.decode(body)
