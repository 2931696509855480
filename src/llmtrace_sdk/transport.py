"""The drivers for httpx and httpx2: the only code in the SDK that awaits, sends or iterates a body.

`Tap` wraps a transport in place. It is a proxy, so that `isinstance(tap, HTTPTransport)`, `tap._pool` and whatever
else a program knows of its transport still hold. One class serves both families and both colours; the request that
comes along tells the family.
"""

from __future__ import annotations

import copy
from collections import deque
from typing import TYPE_CHECKING, Any

import wrapt

from llmtrace_sdk import families
from llmtrace_sdk.bodies import EXTENSION, make
from llmtrace_sdk.core.claims import Admit
from llmtrace_sdk.core.effects import Ask, Send
from llmtrace_sdk.errors import Blocked
from llmtrace_sdk.pending import decision_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.core.effects import Effect
    from llmtrace_sdk.core.exchange import Exchange
    from llmtrace_sdk.core.model import StreamEnd
    from llmtrace_sdk.runtime import Runtime
    from llmtrace_sdk.telemetry.spans import CallSpan
    from llmtrace_sdk.typing import Refusal


class Tap(wrapt.ObjectProxy[Any]):
    """A transport with the pipeline around it. `everything` also records requests that no provider knows."""

    def __init__(self, wrapped: Any, runtime: Callable[[], Runtime], *, everything: bool) -> None:
        super().__init__(wrapped)
        self._self_runtime = runtime
        self._self_everything = everything
        self._self_bypassed = False

    def handle_request(self, request: Any) -> Any:
        """Send a request through the pipeline (sync)."""
        call = None if self._self_bypassed else _open(self, request)
        if call is None:
            return self.__wrapped__.handle_request(request)
        try:
            return call.run(self.__wrapped__.handle_request)
        except BaseException as error:
            call.failed(error)
            raise

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request through the pipeline (async)."""
        call = None if self._self_bypassed else _open(self, request)
        if call is None:
            return await self.__wrapped__.handle_async_request(request)
        try:
            return await call.arun(self.__wrapped__.handle_async_request)
        except BaseException as error:
            call.failed(error)
            raise

    def __enter__(self) -> Any:
        self.__wrapped__.__enter__()
        return self

    def __exit__(self, *exc: object) -> Any:
        return self.__wrapped__.__exit__(*exc)

    async def __aenter__(self) -> Any:
        await self.__wrapped__.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> Any:
        return await self.__wrapped__.__aexit__(*exc)

    def __copy__(self) -> Tap:
        return Tap(self.__wrapped__, self._self_runtime, everything=self._self_everything)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tap:
        inner = copy.deepcopy(self.__wrapped__, memo)
        return Tap(inner, self._self_runtime, everything=self._self_everything)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # a pickled client may be opened where llmtrace is not configured: only the real transport travels
        return self.__wrapped__.__reduce_ex__(protocol)


def bypass(tap: Tap) -> None:
    """Make a tap stand aside for good: for one that somebody else has wrapped, so that it cannot be taken out."""
    tap._self_bypassed = True


def _open(tap: Tap, request: Any) -> Call | None:
    head = families.request_head(request)
    runtime = tap._self_runtime()
    exchange = runtime.open(head, everything=tap._self_everything)
    return None if exchange is None else Call(runtime, exchange, request)


class Call:
    """One exchange in the hands of a driver: its span, its response, and how its end is reported."""

    __slots__ = (
        "_extensions",
        "_flow",
        "_refusal",
        "_request",
        "_response",
        "_room",
        "_runtime",
        "_span",
        "_whole",
        "chunks",
        "exchange",
        "feed",
    )

    def __init__(self, runtime: Runtime, exchange: Exchange, request: Any) -> None:
        self.chunks: deque[bytes] = deque()
        self.feed = exchange.feed
        self.exchange = exchange
        self._runtime = runtime
        self._room: int | None = None
        self._request = request
        self._flow: Any = exchange.flow(_content_of(request))
        self._span: CallSpan | None = None
        self._response: Any = None
        self._extensions: dict[str, Any] | None = None
        self._refusal: Refusal | None = None
        self._whole = False

    def run(self, send: Callable[[Any], Any]) -> Any:
        """Drive the exchange to its response (sync)."""
        effect = self._begin()
        rest: Any = None
        while effect is not None:
            if isinstance(effect, Send):
                token = self._attach()
                try:
                    response = send(families.with_body(self._request, effect.body))
                finally:
                    self._detach(token)
                effect = self._sent(response)
                response = self._response
            elif isinstance(effect, Ask):
                effect = self._advance(self._runtime.ask(effect))
            elif isinstance(effect, Admit):
                effect = self._advance(self._runtime.admit(effect.claims))
            else:
                if not self._whole:
                    rest = iter(response.stream)
                    for chunk in rest:
                        if not self._keep(chunk, effect.limit):
                            break
                    else:
                        self._whole = True
                effect = self._advance(self._whole)
        if self._response is not None and (self._refusal is not None or self.exchange.given is not None):
            self._response.close()
        return self._deliver(rest) if self._refusal is None else self._refuse(self._refusal)

    async def arun(self, send: Callable[[Any], Any]) -> Any:
        """Drive the exchange to its response (async): `run` with awaits."""
        effect = self._begin()
        rest: Any = None
        while effect is not None:
            if isinstance(effect, Send):
                token = self._attach()
                try:
                    response = await send(families.with_body(self._request, effect.body))
                finally:
                    self._detach(token)
                effect = self._sent(response)
                response = self._response
            elif isinstance(effect, Ask):
                effect = self._advance(await self._runtime.aask(effect))
            elif isinstance(effect, Admit):
                effect = self._advance(await self._runtime.aadmit(effect.claims))
            else:
                if not self._whole:
                    rest = aiter(response.stream)
                    async for chunk in rest:
                        if not self._keep(chunk, effect.limit):
                            break
                    else:
                        self._whole = True
                effect = self._advance(self._whole)
        if self._response is not None and (self._refusal is not None or self.exchange.given is not None):
            await self._response.aclose()
        return self._deliver(rest) if self._refusal is None else self._refuse(self._refusal)

    def finish(self, end: StreamEnd, error: BaseException | None = None) -> None:
        """Report the end of the call; only the first report counts."""
        if self._finish(end, error):
            self._runtime.deliver(self.exchange, self._span)

    def _finish(self, end: StreamEnd, error: BaseException | None) -> bool:
        exchange = self.exchange
        if not exchange.finish(end, error):
            return False
        if self._extensions is not None:
            self._extensions[EXTENSION] = decision_of(exchange)
        if self._span is not None and self._span.role == "enrich":
            # now, because another library's span may end before the worker's turn
            self._span.enrich(exchange.decision, exchange.coverage)
        return True

    def stop(self) -> Blocked:
        """The end of a stream that must not go on; gives what is to be raised."""
        self.finish("blocked")
        return Blocked(self.exchange.decision)

    def failed(self, error: BaseException) -> None:
        """The transport, or the body, raised. What is not an `Exception` is a cancellation, not a fault."""
        self.finish("error" if isinstance(error, Exception) else "cancelled", error)

    def abandon(self) -> None:
        """Garbage collection took the response: the record is made on the worker, since this may be any thread."""
        if self.exchange.unfinished:
            self._runtime.later(self._span, self._finish_on_worker)

    def _finish_on_worker(self) -> None:
        if self._finish("abandoned", None):
            self._runtime.process(self.exchange, self._span)

    def _begin(self) -> Effect | None:
        effect = self._advance(None)
        self._span = self._runtime.start_span(self.exchange)
        return effect

    def _advance(self, answer: object) -> Effect | None:
        try:
            effect: Effect = self._flow.send(answer)
        except StopIteration as stop:
            self._refusal = stop.value
            return None
        return effect

    def _attach(self) -> object | None:
        if self._runtime.introduction is not None:
            exchange = self.exchange
            for name, value in self._runtime.introduction.fields(exchange.head, exchange.id, exchange.labels):
                self._request.headers[name] = value
        if self._span is None:
            return None
        self._runtime.propagate(self._span, self._request)
        return self._span.attach()

    def _detach(self, token: object | None) -> None:
        if self._span is not None:
            self._span.detach(token)

    def _sent(self, response: Any) -> Effect | None:
        self._response = response
        effect = self._advance(families.response_head(response))
        if response.is_stream_consumed:  # a transport that gives out whole responses (a mock, a cache)
            if self.exchange.held:
                self.exchange.is_decoded()
                self._response = families.with_content(response, response.content)
            else:
                self.exchange.feed_decoded(response.content)
                self._whole = True
        return effect

    def _keep(self, chunk: bytes, limit: int) -> bool:
        self.chunks.append(chunk)
        self.feed(chunk)
        self._room = (limit if self._room is None else self._room) - len(chunk)
        return self._room >= 0

    def _deliver(self, rest: Any) -> Any:
        # the body holds the call, so the call must not hold the response: only the cycle collector would free them
        response, self._response, self._request, self._flow = self._response, None, None, None
        family = make(families.module_of(type(response)))
        if self.exchange.given is not None:
            self.chunks.clear()
            response = families.with_content(response, self.exchange.given)
        self._extensions = response.extensions
        response.extensions[EXTENSION] = decision_of(self.exchange)
        if self._span is not None and self._span.role == "enrich":
            self._span.enrich(self.exchange.decision)
        if self._whole:
            self.finish("complete")
        if self.exchange.held:
            if self.exchange.recoded:
                families.promise_nothing(response.headers)
            response.stream = family.HeldBody(self, response.stream, None)
        elif not response.is_stream_consumed:
            response.stream = family.Body(self, response.stream, None if self.exchange.given is not None else rest)
        return response

    def _refuse(self, refusal: Refusal) -> Any:
        decision, request = self.exchange.decision, self._request
        self._response = self._request = self._flow = None
        self.finish("blocked")
        family = make(families.module_of(type(request)))
        kind = family.Response
        if self._runtime.raises:
            if "x-stainless-lang" not in request.headers:
                raise Blocked(decision)
            # these SDKs would retry an exception of the transport, but not one of the response
            kind = family.RaisingResponse
        # a stream, not ready content: the application may read it in any way in which it reads a real answer
        headers = [*refusal.headers, ("content-length", str(len(refusal.body)))]
        stream = family.ByteStream(refusal.body)
        return kind(refusal.status, headers=headers, stream=stream, request=request, extensions={EXTENSION: decision})


def _content_of(request: Any) -> bytes | None:
    try:
        content: bytes = request.content
    except Exception:  # noqa: BLE001 - RequestNotRead of either family: the body is a stream of the application's own
        return None
    return content
