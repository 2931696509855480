"""WebSocket calls (OpenAI's realtime API, say): frames pass both ways as they are, and are counted, not inspected.

The record of such a call says so: its coverage is `unscanned`. Who calls, how often and from where is looked at as for
any other call.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from llmtrace_relay import replies
from llmtrace_relay.callers import labels_of, uuid_of
from llmtrace_relay.frames import both_ways
from llmtrace_relay.handshakes import Connector, NotConnected, Refusal
from llmtrace_relay.headers import Headers, to_upstream
from llmtrace_relay.keys import has_key
from llmtrace_relay.targets import MissingKey, UnknownUpstream, credential, replaced, target_of
from llmtrace_sdk import runtime
from llmtrace_sdk.core.claims import Admit
from llmtrace_sdk.core.exchange import Exchange
from llmtrace_sdk.typing import RequestHead, ResponseHead

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from collections.abc import Set as AbstractSet

    from llmtrace_relay.store import Identity
    from llmtrace_relay.targets import Target
    from llmtrace_sdk.core.model import StreamEnd
    from llmtrace_sdk.runtime import Runtime

    Receive = Callable[[], Awaitable[Any]]
    Sender = Callable[[Any], Awaitable[None]]

_PROTOCOL: Final = "sec-websocket-protocol"
_KEY_AS_PROTOCOL: Final = "openai-insecure-api-key."
_ITS_OWN: Final = frozenset(
    {
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"sec-websocket-accept",
        b"origin",
        b"content-length",
    }
)


class Sockets:
    """Passes WebSocket calls on. `connect_s` is how long a connection may take. `refused` is told of those refused."""

    def __init__(self, connect_s: float, refused: Callable[[int, str], None]) -> None:
        self._connector = Connector(connect_s)
        self._refused = refused

    async def __call__(
        self,
        scope: Any,
        receive: Receive,
        send: Sender,
        headers: Headers,
        who: Identity,
        own_keys: AbstractSet[str],
    ) -> None:
        """Serve one connection. `own_keys` names the header fields that have a key to the relay, in lower case."""
        now = runtime.current()
        labels = labels_of(scope, headers, now.settings, who.tenant_id)
        try:
            target = target_of(now.settings, headers, scope["raw_path"], scope["query_string"], labels.tenant)
        except (UnknownUpstream, MissingKey) as error:
            unknown = isinstance(error, UnknownUpstream)
            status = 400 if unknown else 502
            self._refused(status, "unknown_upstream" if unknown else "missing_key")
            await replies.deny(send, replies.failed(status, str(error)))
            return
        base = target.base
        head = RequestHead("GET", base.scheme, base.host, base.port, target.path, headers)
        call = _Call(scope, headers, target, own_keys, now, Exchange(now.pipeline, head, None, None, labels))
        await call.serve(self._connector, receive, send)

    async def close(self) -> None:
        """Close the connections."""
        await self._connector.close()


class _Call:
    """One connection on its way through."""

    def __init__(
        self,
        scope: Any,
        headers: Headers,
        target: Target,
        own_keys: AbstractSet[str],
        now: Runtime,
        exchange: Exchange,
    ) -> None:
        self._scope = scope
        self._headers = headers
        self._target = target
        self._own_keys = own_keys
        self._runtime = now
        self._exchange = exchange
        self._told = [(b"x-llmtrace-trace-id", uuid_of(exchange.labels.trace or "").encode())]

    async def serve(self, connector: Connector, receive: Receive, send: Sender) -> None:
        """Everything between the request and the end of the connection."""
        end: StreamEnd = "error"
        error: BaseException | None = None
        try:
            end = await self._serve(connector, receive, send)
        except asyncio.CancelledError:
            end = "cancelled"
            raise
        except Refusal as refusal:
            end = "complete"
            self._exchange.traffic.status = refusal.status
            await replies.pass_refusal(send, refusal.status, refusal.body, refusal.fields + self._told)
        except NotConnected as failed:
            error = failed.__cause__
            await replies.deny(send, replies.failed(502, str(failed)), self._told)
        except OSError:  # the client did not wait for the upstream
            end = "cancelled"
        finally:
            if self._exchange.finish(end, error):
                self._runtime.deliver(self._exchange, None)

    async def _serve(self, connector: Connector, receive: Receive, send: Sender) -> StreamEnd:
        flow = self._exchange.flow(None)
        if not await self._let_in(flow):
            await replies.deny(send, replies.refused(self._exchange), self._told)
            return "blocked"
        await receive()  # websocket.connect
        upstream = await connector.open(self._target.url, self._fields(), self._protocols())
        try:
            with suppress(StopIteration):
                flow.send(ResponseHead(101, Headers(())))
            told = upstream.fields + self._told
            await send({"type": "websocket.accept", "subprotocol": upstream.protocol, "headers": told})
            return await both_ways(receive, send, upstream, self._exchange)
        finally:
            await upstream.close()

    async def _let_in(self, flow: Any) -> bool:
        """Whether blocks and limits let the call through."""
        try:
            effect = flow.send(None)
            while isinstance(effect, Admit):
                effect = flow.send(await self._runtime.aadmit(effect.claims))
        except StopIteration:
            return False
        return True

    def _fields(self) -> list[tuple[str, str]]:
        without = replaced(self._target) | {name.encode("latin-1") for name in self._own_keys} | _ITS_OWN
        return [*to_upstream(self._headers, without=without), *credential(self._target)]

    def _protocols(self) -> list[str]:
        """What the client offers, without keys that are not for the upstream: browsers have no other place for them."""
        offered: list[str] = self._scope["subprotocols"]
        if self._target.key is not None:
            offered = [each for each in offered if not each.startswith(_KEY_AS_PROTOCOL)]
        if _PROTOCOL in self._own_keys:
            offered = [each for each in offered if not has_key(each.encode("latin-1"))]
        return offered
