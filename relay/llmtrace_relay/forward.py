"""ASGI <-> exchange <-> upstream: the relay's driver, which touches bodies in flight as the SDK's transports do."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from msgspec import structs

from llmtrace_relay import leaving, replies
from llmtrace_relay.callers import labels_of, uuid_of
from llmtrace_relay.headers import Headers, to_client, to_upstream
from llmtrace_relay.requests import ClientGone, TooLarge, TooSlow, Upload, promised, whole
from llmtrace_relay.targets import MissingKey, UnknownUpstream, credential, defaults, replaced, target_of
from llmtrace_relay.upstream import UpstreamFailed
from llmtrace_sdk import config, providers, runtime
from llmtrace_sdk.core.claims import Admit
from llmtrace_sdk.core.effects import Ask, Send
from llmtrace_sdk.core.exchange import Exchange
from llmtrace_sdk.faults import count_fault
from llmtrace_sdk.introduction import CALL, introduced
from llmtrace_sdk.typing import RequestHead, ResponseHead

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from collections.abc import Set as AbstractSet

    from llmtrace_relay.behind import Behind
    from llmtrace_relay.store import Identity
    from llmtrace_relay.targets import Target
    from llmtrace_relay.upstream import Answer, Client
    from llmtrace_sdk.core.effects import Effect, Pipeline
    from llmtrace_sdk.core.model import Labels, StreamEnd
    from llmtrace_sdk.runtime import Runtime
    from llmtrace_sdk.telemetry.spans import CallSpan
    from llmtrace_sdk.typing import Endpoint, Provider

    Sender = Callable[[Any], Awaitable[None]]
    Receive = Callable[[], Awaitable[Any]]

LARGE_BYTES: Final = 32 << 10
"""From this size on a request is inspected on a thread, so that other calls do not wait for it."""

_CODED: Final = 16
"""How many times as long as it came a text with a content coding is taken to be."""

# The one asks for a tunnel past the relay, the other for all that the upstream was sent: a configured key, too.
_NOT_SENT: Final = frozenset({"CONNECT", "TRACE"})
_SENT: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
# Letters, digits and `-._~`: RFC 3986 section 6.2.2.2 says that these are the same with and without escape.
_NEEDLESS: Final = re.compile(r"%(?:3\d|[46][1-9a-f]|[57][0-9a]|2[de]|5f|7e)", re.IGNORECASE)
_log = logging.getLogger("llmtrace.relay")
_END: Final = {"type": "http.response.body", "body": b"", "more_body": False}


class Forwarder:
    """Sends calls on, through the pipeline of the process's runtime. `refused` is told of answers of the relay's own
    that no record tells of, by status and a code.
    """

    def __init__(self, client: Client, refused: Callable[[int, str], None], behind: Behind) -> None:
        self._client = client
        self._refused = refused
        self._behind = behind

    async def __call__(
        self, scope: Any, receive: Receive, send: Sender, headers: Headers, who: Identity, own_keys: AbstractSet[str]
    ) -> None:
        """Serve one request. `own_keys` names the header fields that have a key to the relay, in lower case."""
        if scope["method"] in _NOT_SENT:
            self._refused(405, "method")
            reply = replies.failed(405, f"{scope['method']} is not sent on")
            await replies.say(send, reply, [(b"allow", _SENT), (b"connection", b"close")])
            return
        now = runtime.current()
        known = introduced(headers, config.state_secret(now.settings)) if CALL in headers else None
        labels = labels_of(scope, headers, now.settings, who.tenant_id, known)
        try:
            target = target_of(now.settings, headers, scope["raw_path"], scope["query_string"], labels.tenant)
        except (UnknownUpstream, MissingKey) as error:
            code = "unknown_upstream" if isinstance(error, UnknownUpstream) else "missing_key"
            self._refused(400 if code == "unknown_upstream" else 502, code)
            reply = replies.failed(400 if code == "unknown_upstream" else 502, str(error))
            await replies.say(send, reply, [(b"x-llmtrace-trace-id", uuid_of(labels.trace or "").encode())])
            return
        pipeline = now.pipeline
        if known is not None and known.proven:  # the same call: what it takes of the limits it takes once
            pipeline = structs.replace(pipeline, new_id=lambda: known.call)
        call = Passage(self._client, self._behind, now, pipeline, scope, headers, target, labels, own_keys)
        self._behind.under_way += 1
        try:
            await call.serve(receive, send)
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            self._behind.under_way -= 1


class Passage:
    """One call on its way through."""

    __slots__ = (
        "_answer",
        "_behind",
        "_client",
        "_exchange",
        "_gone",
        "_headers",
        "_held",
        "_labels",
        "_own_keys",
        "_runtime",
        "_scope",
        "_span",
        "_target",
        "_task",
        "_times",
        "_unwatch",
        "_upload",
        "_whole",
    )

    def __init__(
        self,
        client: Client,
        behind: Behind,
        now: Runtime,
        pipeline: Pipeline,
        scope: Any,
        headers: Headers,
        target: Target,
        labels: Labels,
        own_keys: AbstractSet[str],
    ) -> None:
        self._client = client
        self._behind = behind
        self._runtime = now
        self._scope = scope
        self._headers = headers
        self._target = target
        self._labels = labels
        self._own_keys = own_keys
        self._span: CallSpan | None = None
        self._answer: Answer | None = None
        self._held: list[bytes] = []
        self._whole = False
        self._gone = False
        self._times = 1
        self._upload: Upload | None = None
        self._unwatch: Callable[[], object] | None = None
        base = target.base
        head = RequestHead(scope["method"], base.scheme, base.host, base.port, target.path, headers)
        provider, endpoint = _match(head)
        may_defer = not now.at_once and runtime.worker.waiting < runtime.DEFERRED_LIMIT
        self._exchange = Exchange(pipeline, head, provider, endpoint, labels, may_defer=may_defer, ends=True)

    async def serve(self, receive: Receive, send: Sender) -> None:
        """Everything between the request's head and the answer's end."""
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        limit = self._runtime.settings.max_request_size_bytes
        try:
            promised(self._headers, limit)
            body = await whole(receive, limit) if self._exchange.endpoint is not None else None
        except (TooLarge, TooSlow) as error:
            await self._unfinished(send, error)
            return
        except ClientGone:
            self._finish("cancelled")
            return
        if body is None and self._has_body():
            self._upload = Upload(receive, limit, lambda: self._watch(receive))
        else:
            self._watch(receive)
        try:
            await self._pass(body, send)
        except asyncio.CancelledError:
            if not self._gone:
                raise
            task.uncancel()
            self._finish("cancelled")
        finally:
            if self._unwatch is not None:
                self._unwatch()
            if self._answer is not None:
                self._answer.close()

    def failed(self, error: BaseException) -> None:
        """Whatever was not foreseen: the call is over, and its record tells of it."""
        self._finish("error" if isinstance(error, Exception) else "cancelled", error)

    async def _pass(self, body: bytes | None, send: Sender) -> None:
        exchange = self._exchange
        flow = exchange.flow(body)
        try:
            refused = await self._drive(flow, body)
        except UpstreamFailed as error:
            await self._not_sent(send, error)
            return
        await self._at_once()
        if refused:
            await self._refuse(send)
        else:
            await self._deliver(send)

    async def _drive(self, flow: Any, body: bytes | None) -> bool:
        """Do what the exchange asks for; whether it refuses the call."""
        effect = await self._first(flow, body)
        self._start_span()
        while effect is not None:
            answer: object
            if isinstance(effect, Send):
                answer = await self._send(effect, body)
            elif isinstance(effect, Admit):
                answer = await self._runtime.aadmit(effect.claims)
            elif isinstance(effect, Ask):
                answer = await self._runtime.aask(effect)
            else:
                answer = await self._hold(effect.limit)
            effect = self._advance(flow, answer)
        return self._exchange.blocked

    async def _first(self, flow: Any, body: bytes | None) -> Effect | None:
        if body is None or len(body) * _times(self._headers) < LARGE_BYTES:
            return self._advance(flow, None)
        return await asyncio.get_running_loop().run_in_executor(None, self._advance, flow, None)

    def _advance(self, flow: Any, answer: object) -> Effect | None:
        try:
            effect: Effect = flow.send(answer)
        except StopIteration:
            return None
        return effect

    async def _send(self, effect: Send, body: bytes | None) -> ResponseHead:
        changed = effect.body is not None
        target = self._target
        without = replaced(target) | {name.encode("latin-1") for name in self._own_keys}
        headers = to_upstream(self._headers, without=without, body_changed=changed)
        headers += [*credential(target), *defaults(target, self._headers)]
        content = effect.body if changed else body if body is not None else self._upload
        self._answer = answer = await self._client.send(self._scope["method"], target.url, headers, content)
        fields = Headers(answer.headers)
        self._times = _times(fields)
        return ResponseHead(answer.status, fields)

    async def _hold(self, limit: int) -> bool:
        """Read the answer before anybody sees it; whether that was all of it."""
        assert self._answer is not None
        size = 0
        while chunk := await self._answer.chunk():
            self._held.append(chunk)
            self._exchange.feed(chunk)
            size += len(chunk)
            if size > limit:
                return False
        self._whole = True
        return True

    async def _at_once(self) -> None:
        """What follows findings and must be there before the next call of the same source is."""
        exchange = self._exchange
        if self._runtime.at_once and exchange.found:
            act = self._runtime.early(exchange)
            if act is not None:
                await asyncio.get_running_loop().run_in_executor(None, act)

    async def _deliver(self, send: Sender) -> None:
        """Give the answer out, as it comes."""
        exchange, answer = self._exchange, self._answer
        assert answer is not None
        given = exchange.given
        recoded = given is not None or (exchange.held and exchange.recoded)
        fields = to_client(answer.headers, resized=exchange.held, recoded=recoded)
        if exchange.reservation is not None:
            fields += replies.remaining(exchange.reservation.left(), {name.lower() for name, _ in fields})
        if given is not None:
            fields.append((b"content-length", b"%d" % len(given)))
        await send({"type": "http.response.start", "status": answer.status, "headers": fields + self._told()})
        if given is not None:
            await send({"type": "http.response.body", "body": given, "more_body": False})
            self._finish("complete")
            return
        try:
            if exchange.held:
                await self._release(send, answer)
            else:
                await self._stream(send, answer)
        except UpstreamFailed as error:
            # the answer is broken off as the upstream's was: to end it cleanly would be to say that it is whole
            self._finish("error", error.__cause__ or error)

    async def _stream(self, send: Sender, answer: Answer) -> None:
        feed = self._exchange.feed
        for chunk in self._held:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        while not self._whole and (chunk := await answer.chunk()):
            feed(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send(_END)
        self._finish("complete")

    async def _release(self, send: Sender, answer: Answer) -> None:
        """A stream that goes on as far as the exchange lets it."""
        exchange = self._exchange
        more = True
        while more and not exchange.stopped:
            chunk = await answer.chunk()
            more = bool(chunk)
            for piece in exchange.pass_on(chunk or None):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        if exchange.stopped:
            answer.close()
            ending = exchange.ending()
            self._finish("blocked")
            if ending is None:
                return  # no end would fit, so it breaks off
            await send({"type": "http.response.body", "body": ending, "more_body": True})
        await send(_END)
        self._finish("complete")

    async def _refuse(self, send: Sender) -> None:
        if self._answer is not None:
            self._answer.close()
        self._finish("blocked")
        await self._reply(send, replies.refused(self._exchange))

    async def _not_sent(self, send: Sender, error: UpstreamFailed) -> None:
        """There is no answer: because of the upstream, or of the caller's own body."""
        broken = self._upload and self._upload.broken
        if isinstance(broken, (TooLarge, TooSlow)):
            await self._unfinished(send, broken)
        elif isinstance(broken, ClientGone):
            self._finish("cancelled")
        else:
            self._finish("error", error.__cause__ or error)
            await self._reply(send, replies.failed(502, f"Upstream request failed: {error}"))

    async def _unfinished(self, send: Sender, error: TooLarge | TooSlow) -> None:
        """The rest of the request is not waited for."""
        limit = self._runtime.settings.max_request_size_bytes
        status, words = 413, f"the request is larger than {limit} bytes"
        if isinstance(error, TooSlow):
            status, words = 408, "the request did not come in time"
        self._exchange.traffic.status = status
        self._finish("complete")
        await self._reply(send, replies.failed(status, words), close=True)

    async def _reply(self, send: Sender, reply: replies.Reply, *, close: bool = False) -> None:
        await replies.say(send, reply, [*self._told(), *([(b"connection", b"close")] if close else [])])

    def _told(self) -> list[tuple[bytes, bytes]]:
        exchange = self._exchange
        decision = exchange.decision if exchange.decided else None
        enforcing = self._runtime.settings.enforcement.mode != "log"
        return replies.told(decision, exchange.found, uuid_of(self._labels.trace or ""), enforcing=enforcing)

    def _has_body(self) -> bool:
        return "content-length" in self._headers or "transfer-encoding" in self._headers

    def _watch(self, receive: Receive) -> None:
        """From now on the client's going away ends the call: what the upstream still has to say is not read."""
        self._unwatch = leaving.watch(self._scope, receive, self._leave)

    def _leave(self) -> None:
        self._gone = True
        self._task.cancel()

    def _start_span(self) -> None:
        self._span = self._runtime.start_span(self._exchange)

    def _finish(self, end: StreamEnd, error: BaseException | None = None) -> None:
        if self._exchange.finish(end, error):
            traffic = self._exchange.traffic
            size = traffic.request_bytes * _times(self._headers) + traffic.response_bytes * self._times
            self._behind.put(self._runtime, self._exchange, self._span, size)


def _times(headers: Headers) -> int:
    return _CODED if "content-encoding" in headers else 1


def _match(head: RequestHead) -> tuple[Provider | None, Endpoint | None]:
    """What a call is. To vendors `%63hat` is `chat`, so that it has to be read as that here, too."""
    try:
        if "%" not in head.path:
            return providers.find(head) or (None, None)
        # what must be escaped may belong to a name, and only if nothing is known like that it is a slash
        ways = (_NEEDLESS.sub(lambda found: unquote(found[0]), head.path), unquote(head.path))
        found = (providers.find(structs.replace(head, path=way)) for way in ways)
        return next((each for each in found if each is not None), (None, None))
    except Exception as error:  # noqa: BLE001 - a foreign wire format may do anything; the call goes on unread
        count_fault("match", error)
        return None, None
