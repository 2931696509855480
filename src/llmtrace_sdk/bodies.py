"""Response bodies on their way to the application, for httpx and httpx2."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from llmtrace_sdk.errors import Blocked

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from types import ModuleType

    from llmtrace_sdk.core.exchange import Exchange
    from llmtrace_sdk.core.model import StreamEnd

EXTENSION: Final = "llmtrace"


class Call(Protocol):
    """What a body tells of itself, and where its chunks go. `chunks` are those that are to be given out next."""

    chunks: deque[bytes]
    feed: Callable[[bytes], None]
    exchange: Exchange

    def finish(self, end: StreamEnd, error: BaseException | None = None, /) -> None:
        """The body is over."""

    def failed(self, error: BaseException, /) -> None:
        """The body raised."""

    def abandon(self) -> None:
        """Garbage collection took the body."""

    def stop(self) -> Blocked:
        """The body must not go on; gives what is to be raised."""


class _Body:
    """A response body on its way to the application, chunk by chunk as it comes.

    Mixed into each library's own base classes by `make`. Sync iteration is a generator. Async iteration is not, so that
    no unfinished generator is left to the event loop when the application drops the response.
    """

    def __init__(self, call: Call, inner: Any, rest: Any) -> None:
        self._call: Call = call
        self._inner = inner
        self._ended = False
        self._rest = rest  # an iterator that was begun already, when the first chunks were held

    def __iter__(self) -> Iterator[bytes]:
        call = self._call
        exchange, feed, chunks = call.exchange, call.feed, call.chunks
        try:
            while chunks:
                yield chunks.popleft()
            for chunk in self._inner if self._rest is None else self._rest:
                feed(chunk)
                if exchange.over:
                    call.finish("complete")
                yield chunk
        except GeneratorExit:
            raise  # close(), or garbage collection, will report the end
        except BaseException as error:
            call.failed(error)
            raise
        call.finish("complete")

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._rest is None:
            self._rest = aiter(self._inner)
        return self

    async def __anext__(self) -> bytes:
        call = self._call
        if call.chunks:
            return call.chunks.popleft()
        try:
            chunk: bytes = await anext(self._rest)
            call.feed(chunk)
            if call.exchange.over:
                call.finish("complete")
        except StopAsyncIteration:
            call.finish("complete")
            raise
        except BaseException as error:
            call.failed(error)
            raise
        return chunk

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._call.finish("closed")

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._call.finish("closed")

    def __del__(self) -> None:
        self._call.abandon()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)  # not set yet, or private to the inner stream
        return getattr(self._inner, name)


class _HeldBody(_Body):
    """A response body of which only goes on what may: the exchange says so, chunk by chunk.

    Where the connection breaks, what may go on of what was kept back goes on before the error does.
    """

    _broken: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        call = self._call
        try:
            yield from self._let_through(call)
        except GeneratorExit:
            raise  # close(), or garbage collection, will report the end
        except BaseException as error:
            call.failed(error)
            raise
        call.finish("complete")

    def _let_through(self, call: Call) -> Iterator[bytes]:
        exchange = call.exchange
        source = iter(self._inner)
        while not (self._ended or exchange.stopped):
            yield from self._passed(call, self._next(source))
        if exchange.stopped:
            blocked = call.stop()
            self._inner.close()
            raise blocked
        if self._broken is not None:
            raise self._broken

    def _next(self, source: Iterator[bytes]) -> bytes | None:
        try:
            return next(source)
        except StopIteration:
            self._ended = True
        except Exception as error:  # noqa: BLE001 - raised again behind what is still to be given out
            self._ended, self._broken = True, error
        return None

    def _passed(self, call: Call, chunk: bytes | None) -> Sequence[bytes]:
        exchange = call.exchange
        let_through = exchange.pass_on(chunk)
        if chunk is not None and exchange.over and not exchange.stopped:
            call.finish("complete")
        return let_through

    async def __anext__(self) -> bytes:
        call = self._call
        try:
            while not call.chunks:
                await self._advance(call)
        except StopAsyncIteration:
            call.finish("complete")
            raise
        except BaseException as error:
            call.failed(error)
            raise
        return call.chunks.popleft()

    async def _advance(self, call: Call) -> None:
        if call.exchange.stopped:
            blocked = call.stop()
            await self._inner.aclose()
            raise blocked
        if self._ended:
            raise self._broken or StopAsyncIteration
        chunk: bytes | None = None
        try:
            chunk = await anext(self._rest)
        except StopAsyncIteration:
            self._ended = True
        except Exception as error:  # noqa: BLE001 - raised again behind what is still to be given out
            self._ended, self._broken = True, error
        call.chunks.extend(self._passed(call, chunk))


class _RaisingResponse:
    """A refusal that raises `Blocked` where an SDK asks it for its error."""

    extensions: dict[str, Any]

    def raise_for_status(self) -> Any:
        raise Blocked(self.extensions[EXTENSION])


class Family(NamedTuple):
    """The classes that depend on the HTTP library."""

    Body: Any
    HeldBody: Any
    ByteStream: Any
    Response: Any
    RaisingResponse: Any


@lru_cache(maxsize=4)
def make(module: ModuleType) -> Family:
    """The driver's classes for one HTTP library. Each library accepts only its own base classes."""
    return Family(
        Body=type("Body", (_Body, module.SyncByteStream, module.AsyncByteStream), {}),
        HeldBody=type("HeldBody", (_HeldBody, module.SyncByteStream, module.AsyncByteStream), {}),
        ByteStream=module.ByteStream,
        Response=module.Response,
        RaisingResponse=type("RaisingResponse", (_RaisingResponse, module.Response), {}),
    )
