"""Streams that are stopped at any event, and a server that gives out what the relay would, for real SDKs to read."""

from __future__ import annotations

import json
import struct
import threading
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.request import Request, urlopen

import httpx

from llmtrace_sdk import providers, runtime
from llmtrace_sdk.core import framing
from llmtrace_sdk.core.exchange import Exchange
from llmtrace_sdk.core.model import Labels
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.families import RawHeaders
from llmtrace_sdk.typing import RequestHead, ResponseHead

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from llmtrace_sdk.fake_provider import FakeProvider
    from llmtrace_sdk.typing import Endpoint

SAYS_MUCH: Final = "plain,reasoning,tool,chunks=3,usage=on"
SSE: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"
AWS: Final = "application/vnd.amazon.eventstream"
_FRAMINGS: Final = {SSE: "sse", NDJSON: "ndjson", AWS: "aws"}


class Shape(NamedTuple):
    """One streamed operation: where it is, what asks for it (`{model}` is filled in), and how its answer comes.

    The fake provider answers, unless the events are `canned`.
    """

    name: str
    path: str
    request: dict[str, Any]
    media: str = SSE
    model: str = "m"
    host: str = "127.0.0.1"
    scenario: str = SAYS_MUCH
    query: str = ""
    canned: tuple[bytes, ...] = ()

    @property
    def asked(self) -> bytes:
        body = json.dumps(self.request) if self.request else ""
        return self._filled(body).encode()

    @property
    def place(self) -> str:
        return self._filled(self.path)

    def _filled(self, text: str) -> str:
        return text.replace("{model}", f"{self.model}+{self.scenario}")

    def events(self, provider: FakeProvider) -> list[bytes]:
        """The answer, an event each."""
        return list(self.canned or _fetched(provider.url + self.place + self.query, self.asked, self.media))


@lru_cache(maxsize=64)
def _fetched(url: str, body: bytes, media: str) -> tuple[bytes, ...]:
    request = Request(url, body, {"content-type": "application/json"})
    with urlopen(request, timeout=10) as answer:
        assert answer.headers["content-type"].startswith(media)
        return tuple(cut(answer.read(), media))


def cut(raw: bytes, media: str) -> Iterator[bytes]:
    """The events of a stream, each with what ends it."""
    end = b"\n\n" if media == SSE else b"\n"
    while raw:
        size = struct.unpack(">I", raw[:4])[0] if media == AWS else raw.index(end) + len(end)
        yield raw[:size]
        raw = raw[size:]


class _Stopping:
    """A wire format whose readers cannot read on at the event of that number: a strict policy ends the stream there."""

    def __init__(self, provider: Any, at: int) -> None:
        self._provider = provider
        self._at = at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def reader(self, endpoint: Endpoint) -> Any:
        return _StoppingReader(self._provider.reader(endpoint), self._at)


class _StoppingReader:
    def __init__(self, reader: Any, at: int) -> None:
        self._reader = reader
        self._left = at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def event(self, name: str, data: bytes) -> Any:
        self._left -= 1
        if self._left < 0:
            raise Unreadable("unknown_part")
        return self._reader.event(name, data)


class Given(NamedTuple):
    """What went on of a stream, and how it has to end; None where it did not stop, or nothing fits."""

    out: bytes
    ending: bytes | None
    exchange: Exchange

    @property
    def whole(self) -> bytes:
        return self.out + (self.ending or b"")


def stopped(shape: Shape, events: Sequence[bytes], at: int, *, size: int | None = None) -> Given:
    """A stream that is stopped in front of the event of that number. The chunks are the events, or `size` bytes."""
    exchange = made(shape, lambda provider: _Stopping(provider, at))
    raw = b"".join(events)
    chunks = list(events) if size is None else [raw[begin : begin + size] for begin in range(0, len(raw), size)]
    return given(exchange, chunks)


def head_of(shape: Shape) -> RequestHead:
    """The head of a request."""
    headers = httpx.Headers({"content-type": "application/json", "accept": f"application/json, {SSE}"})
    return RequestHead("POST" if shape.request else "GET", "https", shape.host, 443, shape.place, headers)


def made(
    shape: Shape, wire: Callable[[Any], Any] = lambda provider: provider, *, ends: bool = True, coding: str = ""
) -> Exchange:
    """An exchange that holds an answer whose body is to come; its wire format may be made into another."""
    head = head_of(shape)
    found = providers.find(head)
    assert found is not None
    exchange = Exchange(runtime.current().pipeline, head, wire(found[0]), found[1], Labels(), ends=ends)
    flow = exchange.flow(shape.asked)
    next(flow)
    fields = [(b"content-type", shape.media.encode()), *[(b"content-encoding", coding.encode())] * bool(coding)]
    assert _last(flow, ResponseHead(200, RawHeaders(fields))) is None
    assert exchange.held
    return exchange


def _last(flow: Generator[Any, Any, Any], answer: ResponseHead) -> Any:
    try:
        raise AssertionError(flow.send(answer))
    except StopIteration as end:
        return end.value


def given(exchange: Exchange, chunks: Sequence[bytes]) -> Given:
    """Show the chunks to an exchange, as far as it goes on."""
    out: list[bytes] = []
    for chunk in [*chunks, None]:
        out += exchange.pass_on(chunk)
        if exchange.stopped:
            break
    exchange.finish("blocked" if exchange.stopped else "complete")
    return Given(b"".join(out), exchange.ending(), exchange)


def reasons(shape: Shape, raw: bytes) -> set[str | None]:
    """Why a stream ended, as our own reader tells it; empty when it has not ended."""
    found = providers.find(head_of(shape))
    assert found is not None
    reader, frames = found[0].reader(found[1]), framing.make(_FRAMINGS[shape.media])
    for name, data in [*frames.feed(raw), *frames.flush()]:
        list(reader.event(name, data))
    assert frames.fault is None
    return {*reader.finish_reasons, reader.error_type} if reader.done else set()


@contextmanager
def serving(answer: Callable[[bytes], tuple[str, bytes]]) -> Iterator[str]:
    """A server that answers each request with the content type and the body that a function makes of its body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            media, body = answer(self.rfile.read(int(self.headers.get("content-length", 0))))
            self.send_response(200 if body else 202)
            for name, value in (("content-type", media), ("transfer-encoding", "chunked"), ("connection", "close")):
                self.send_header(name, value)
            self.end_headers()
            middle = len(body) // 2
            for piece in filter(None, (body[:middle], body[middle:])):
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
