"""A mock provider that costs next to nothing: `python -m benchmarks.relay.upstream --port P`.

Every POST is a chat completion: a stream when its body says so, else one of JSON. `x-mock-chunks` says how many chunks
a stream has (20), `x-mock-pace-ms` how long it waits before each (0: all are written at once). Answers carry a CRC of
their body, so that whoever reads them can tell whether a proxy changed it. `GET /stats` tells what happened.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import zlib
from typing import cast

import httptools
import uvloop
from msgspec import Struct, field
from msgspec.json import Decoder

from .answers import Answers

CHUNKS = 20


class StreamOptions(Struct):
    include_usage: bool = False


class Question(Struct):
    """What counts of a request."""

    stream: bool = False
    stream_options: StreamOptions = field(default_factory=StreamOptions)


DECODER = Decoder(Question)


class Told:
    """What happened so far. `open`: connections that there are; `broken`: streams whose reader went away."""

    def __init__(self) -> None:
        self.requests = self.streams = self.finished = self.broken = self.open = self.opened = 0


class Connection(asyncio.Protocol):
    """One connection of a client that waits for an answer before it asks again."""

    def __init__(self, answers: Answers, told: Told) -> None:
        self._answers = answers
        self._told = told
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._told.open += 1
        self._told.opened += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._told.open -= 1
        if self._waiting:
            self._told.broken += 1
            self._waiting = []
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._waiting and self._timer is None:
            self._write_next()

    # what the parser calls

    def on_message_begin(self) -> None:
        self._path = b""
        self._body: list[bytes] = []
        self._chunks, self._pace_s = CHUNKS, 0.0

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not name.lower().startswith(b"x-mock-"):
            return
        if name.lower() == b"x-mock-chunks":
            self._chunks = int(value)
        else:
            self._pace_s = float(value) / 1000

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_method() != b"POST":
            self._answer(json.dumps(vars(self._told)).encode())
            return
        self._told.requests += 1
        question = DECODER.decode(b"".join(self._body))
        if question.stream:
            self._stream(self._answers.events(self._chunks, usage=question.stream_options.include_usage))
        else:
            self._answer(self._answers.whole())

    # answers

    def _answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-body-crc: %08x\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % (zlib.crc32(body), len(body)) + body)

    def _stream(self, events: list[bytes]) -> None:
        self._told.streams += 1
        head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
            b"x-body-crc: %08x\r\ntransfer-encoding: chunked\r\n\r\n"
        ) % zlib.crc32(b"".join(events))
        chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
        chunks[-1] += b"0\r\n\r\n"
        if not self._pace_s:
            self._told.finished += 1
            self._transport.write(head + b"".join(chunks))
            return
        self._waiting = chunks[::-1]
        self._transport.write(head)
        self._timer = self._loop.call_later(self._pace_s, self._write_next)

    def _write_next(self) -> None:
        self._timer = None
        if self._full or not self._waiting:
            return
        self._transport.write(self._waiting.pop())
        if self._waiting:
            self._timer = self._loop.call_later(self._pace_s, self._write_next)
        else:
            self._told.finished += 1


async def serve(host: str, port: int) -> None:
    """Until terminated."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    answers, told = Answers(), Told()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: Connection(answers, told), host, port, backlog=1024)
    print(f"mock upstream on http://{host}:{server.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.relay.upstream", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    uvloop.run(serve(options.host, options.port))


if __name__ == "__main__":
    main()
