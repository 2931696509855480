"""`POST /v1/traces`: spans that other programs report, over OTLP/HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from llmtrace_relay.ingest import replies
from llmtrace_relay.ingest.bodies import Gone, Room
from llmtrace_relay.ingest.decoding import decode, encoding_of
from llmtrace_relay.ingest.refusals import Refused, busy
from llmtrace_relay.ingest.spans import Taken, spans_of
from llmtrace_relay.store import StoreUnavailable
from llmtrace_sdk import runtime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from llmtrace_relay.ingest.decoding import Encoding
    from llmtrace_relay.model import Span
    from llmtrace_relay.store import Identity
    from llmtrace_sdk.config import Settings
    from llmtrace_sdk.runtime import Runtime

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

PATHS: Final = ("/v1/traces", "/v1/logs", "/v1/metrics")
SCOPE_KEY: Final = "llmtrace.identity"
AT_ONCE: Final = 2
"""Requests that are worked on at the same time; the others wait."""

_NOT_KEPT: Final = PATHS[1:]
_NOTHING: Final = Taken([], 0, {"only spans are kept here; send logs and metrics to a collector": 0})
_MORE: Final[dict[int, tuple[bytes, bytes]]] = {405: (b"allow", b"POST"), 503: (b"retry-after", b"5")}


class Ingest:
    """An ASGI application for the paths in `PATHS`; answers HTTP requests that have an `Identity` in their scope.

    Exporters that send spans send logs and metrics as well, unless told not to. Those are taken, since a refusal would
    fill the logs of whoever sends them, and not kept, which the answer says.

    Spans go to `put`, from a thread that is not the event loop's; it raises `StoreUnavailable` when it can take no
    more, and the client is told to come again: what it sends then takes the place of what was taken before. Calls of
    callers without a tenant are the `default_tenant`'s. `now_us` is in microseconds since the Unix epoch. `count` is
    told of spans that were `taken` and `rejected`, `refused` of requests that were, by status and a code.
    """

    def __init__(
        self,
        put: Callable[[Span], None],
        default_tenant: str,
        *,
        running: Callable[[], Runtime] = runtime.current,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        count: Callable[[str, int], None] = lambda *_: None,
        refused: Callable[[int, str], None] = lambda *_: None,
    ) -> None:
        self._put = put
        self._default_tenant = default_tenant
        self._running = running
        self._now_us = now_us
        self._count = count
        self._refused = refused
        self._room = Room()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        encoding: Encoding = "json"
        try:
            encoding = encoding_of(headers.get(b"content-type", ""))
            taken = await self._take(scope, headers, receive)
        except Refused as refusal:
            self._refused(refusal.status, "ingest")
            body = replies.refused(encoding, refusal.status, refusal.message)
            await _answer(send, refusal.status, encoding, body)
        except Gone:
            return
        else:
            await _answer(send, 200, encoding, replies.accepted(encoding, taken))

    async def _take(self, scope: Scope, headers: dict[bytes, str], receive: Receive) -> Taken:
        running = self._running()
        identity: Identity = scope[SCOPE_KEY]
        _check(scope["method"], identity, running.settings)
        with self._room.body(running.settings.max_request_size_bytes) as place:
            body = await place.read(headers.get(b"content-length", ""), receive)
            if scope["path"].endswith(_NOT_KEPT):
                return _NOTHING
            tenant = self._default_tenant if identity.tenant_id is None else identity.tenant_id
            async with self._turns:
                return await asyncio.to_thread(self._work, body, headers, tenant, running)

    def _work(self, body: bytes, headers: dict[bytes, str], tenant: str, running: Runtime) -> Taken:
        """All that takes time; in a thread."""
        settings = running.settings
        content_type, coding = headers.get(b"content-type", ""), headers.get(b"content-encoding")
        request = decode(body, content_type, coding, settings.max_request_size_bytes)
        taken = spans_of(request, tenant, self._now_us(), running.pipeline, settings)
        try:
            for span in taken.spans:
                self._put(span)
        except StoreUnavailable:
            raise busy() from None
        self._count("taken", len(taken.spans))
        self._count("rejected", taken.rejected)
        return taken


def _check(method: str, identity: Identity, settings: Settings) -> None:
    """Raises `Refused` with 403, 404 or 405 for requests whose body need not be read."""
    if not settings.otel_ingest.enabled:
        raise Refused(404, "spans are not taken here; set otel_ingest.enabled to take them")
    if not settings.enable_trace_storage:
        raise Refused(404, "spans are not kept here; set enable_trace_storage to keep them")
    if method != "POST":
        raise Refused(405, "spans are sent with POST")
    if identity.role == "viewer":
        raise Refused(403, "this needs the role operator, the key has viewer")


async def _answer(send: Send, status: int, encoding: Encoding, body: bytes) -> None:
    headers = [(b"content-type", replies.CONTENT_TYPES[encoding]), (b"content-length", str(len(body)).encode())]
    if status in _MORE:
        headers.append(_MORE[status])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
