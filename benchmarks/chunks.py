"""Cost per server-sent event, in memory: the transport gives out 500 chunks, nothing else happens."""

from __future__ import annotations

import json
from time import perf_counter
from typing import TYPE_CHECKING, Any

import httpx
import httpx2

import llmtrace_sdk as llmtrace

from .stats import Pair

if TYPE_CHECKING:
    from types import ModuleType

COUNT = 500
URL = "http://127.0.0.1:9/v1/chat/completions"
BODY = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "hello"}]}


def event(number: int) -> bytes:
    choice = {"index": 0, "delta": {"content": f" word{number % 10}"}, "logprobs": None, "finish_reason": None}
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [choice],
    }
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


CHUNKS = [event(number) for number in range(COUNT)] + [b"data: [DONE]\n\n"]


def transport(module: ModuleType) -> Any:
    class Stream(module.SyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Any:
            yield from CHUNKS

    class Transport(module.BaseTransport):  # type: ignore[misc, name-defined]
        def handle_request(self, request: Any) -> Any:
            return module.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream(), request=request)

    return Transport()


def per_chunk(scale: float) -> list[Pair]:
    """Microseconds per chunk of a whole stream, the call's fixed cost taken off by a stream of one chunk."""
    pairs = []
    for module in (httpx2, httpx):
        bare, ours = (module.Client(transport=transport(module)) for _ in range(2))
        llmtrace.instrument(ours)
        pair = Pair(f"{module.__name__} iter_raw, per chunk")
        for number in range(max(int(300 * scale), 50)):
            first, second = (bare, ours) if number % 2 else (ours, bare)
            times = {id(client): read(client) for client in (first, second)}
            pair.bare.append(times[id(bare)])
            pair.ours.append(times[id(ours)])
        pairs.append(pair)
    return pairs


def read(client: Any) -> float:
    """From the first chunk to the last, divided by their number: what happens once per call is left out."""
    with client.stream("POST", URL, json=BODY) as response:
        chunks = response.iter_raw()
        next(chunks)
        began = perf_counter()
        for _ in range(COUNT - 1):
            next(chunks)
        took = perf_counter() - began
        for _ in chunks:
            pass
    llmtrace.flush()
    return took / (COUNT - 1) * 1e6
