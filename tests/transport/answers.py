"""Streamed answers of every wire format, and a way to show them to an exchange without any transport."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx

from llmtrace_sdk import runtime
from llmtrace_sdk.core.effects import Hold
from llmtrace_sdk.families import RawHeaders
from llmtrace_sdk.typing import RequestHead, ResponseHead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from llmtrace_sdk.core.exchange import Exchange

SSE: Final = "text/event-stream"
ASKED: Final = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}


class Format(NamedTuple):
    """How one API streams: `opening`, one event for each piece of text, of a tool's arguments, and `ending`."""

    path: str
    request: dict[str, Any]
    content_type: str
    say: Callable[[str], bytes]
    call: Callable[[str], bytes] | None
    opening: tuple[bytes, ...]
    ending: Callable[[str], tuple[bytes, ...]]
    host: str = "127.0.0.1"

    def stream(self, pieces: Iterable[str]) -> list[bytes]:
        """The events of an answer that says the pieces."""
        said = list(pieces)
        return [*self.opening, *map(self.say, said), *self.ending("".join(said))]


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def sse(value: Any, name: str = "") -> bytes:
    event = f"event: {name}\n".encode() if name else b""
    return event + b"data: " + (value if isinstance(value, bytes) else compact(value)) + b"\n\n"


def chat(delta: dict[str, Any], reason: str | None = None, choice: int = 0) -> bytes:
    choices = [{"index": choice, "delta": delta, "finish_reason": reason}]
    return sse({"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": choices})


def chat_call(arguments: str, number: int = 0) -> bytes:
    call = {"index": number, "function": {"arguments": arguments}}
    return chat({"tool_calls": [call]})


def response(kind: str, **more: Any) -> bytes:
    return sse({"type": f"response.{kind}", **more}, f"response.{kind}")


_ITEM: Final = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def _response_ending(said: str) -> tuple[bytes, ...]:
    part = {"type": "output_text", "text": said, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    return (
        response("output_text.done", text=said, **_ITEM),
        response("content_part.done", part=part, **_ITEM),
        response("output_item.done", output_index=0, item=item),
        response("completed", response={"id": "r1", "model": "m", "status": "completed", "output": [item]}),
    )


def message(kind: str, **more: Any) -> bytes:
    return sse({"type": kind, **more}, kind)


def block(delta: dict[str, Any], index: int = 0) -> bytes:
    return message("content_block_delta", index=index, delta=delta)


def gemini(part: dict[str, Any], **more: Any) -> bytes:
    return sse({"candidates": [{"content": {"parts": [part], "role": "model"}, **more}], "modelVersion": "m"})


def ollama(content: str, **more: Any) -> bytes:
    return compact({"model": "m", "message": {"role": "assistant", "content": content}, "done": False, **more}) + b"\n"


def cohere(kind: str, content: dict[str, Any] | None = None, **more: Any) -> bytes:
    delta = {"message": {"content": content}} if content else {}
    return sse({"type": kind, "index": 0, "delta": delta | more}, kind)


def bedrock(kind: str, value: Any) -> bytes:
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(text)) + text.encode()
        for name, text in ((":event-type", kind), (":message-type", "event"))
    )
    payload = compact(value)
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    frame = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return frame + struct.pack(">I", zlib.crc32(frame))


FORMATS: Final = {
    "openai_chat": Format(
        "/v1/chat/completions",
        ASKED,
        SSE,
        lambda text: chat({"content": text}),
        chat_call,
        (chat({"role": "assistant", "content": ""}),),
        lambda _: (chat({}, "stop"), sse(b"[DONE]")),
    ),
    "openai_responses": Format(
        "/v1/responses",
        {"model": "m", "stream": True, "input": "hello"},
        SSE,
        lambda text: response("output_text.delta", delta=text, **_ITEM),
        lambda text: response("function_call_arguments.delta", delta=text, item_id="fc_1", output_index=1),
        (response("created", response={"id": "r1", "model": "m", "output": []}),),
        _response_ending,
    ),
    "anthropic": Format(
        "/v1/messages",
        ASKED | {"max_tokens": 9},
        SSE,
        lambda text: block({"type": "text_delta", "text": text}),
        lambda text: block({"type": "input_json_delta", "partial_json": text}),
        (
            message("message_start", message={"id": "m1", "model": "m", "content": [], "usage": {"input_tokens": 1}}),
            message("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        ),
        lambda _: (
            message("content_block_stop", index=0),
            message("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1}),
            message("message_stop"),
        ),
    ),
    "gemini": Format(
        "/v1beta/models/m:streamGenerateContent",
        {"contents": [{"parts": [{"text": "hello"}]}]},
        SSE,
        lambda text: gemini({"text": text}),
        None,
        (),
        lambda _: (gemini({"text": ""}, finishReason="STOP"),),
    ),
    "ollama": Format(
        "/api/chat",
        ASKED,
        "application/x-ndjson",
        ollama,
        None,
        (),
        lambda _: (ollama("", done=True, done_reason="stop"),),
    ),
    "cohere": Format(
        "/v2/chat",
        ASKED,
        SSE,
        lambda text: cohere("content-delta", {"text": text}),
        None,
        (cohere("message-start"), cohere("content-start", {"type": "text", "text": ""})),
        lambda _: (cohere("content-end"), cohere("message-end", finish_reason="COMPLETE"), sse(b"[DONE]")),
        "api.cohere.com",
    ),
    "bedrock": Format(
        "/model/m/converse-stream",
        {"messages": [{"role": "user", "content": [{"text": "hello"}]}]},
        "application/vnd.amazon.eventstream",
        lambda text: bedrock("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}),
        None,
        (bedrock("messageStart", {"role": "assistant"}),),
        lambda _: (bedrock("contentBlockStop", {"contentBlockIndex": 0}), bedrock("messageStop", {"stopReason": "x"})),
    ),
}


class Given(NamedTuple):
    """What came out: after each chunk, and at the end, and whether the stream was ended by force."""

    steps: list[list[bytes]]
    last: list[bytes]
    blocked: bool
    exchange: Exchange

    @property
    def raw(self) -> bytes:
        return b"".join([chunk for step in self.steps for chunk in step] + self.last)

    @property
    def chunks(self) -> list[bytes]:
        return [chunk for step in self.steps for chunk in step] + self.last


def opened(fmt: Format, *, coding: str = "", body: bytes | None = None, content_type: str = "") -> Exchange:
    """An exchange that waits for the chunks of the answer."""
    port = None if "." in fmt.host and fmt.host[0].isalpha() else 9
    head = RequestHead("POST", "https", fmt.host, port, fmt.path, httpx.Headers({"content-type": "application/json"}))
    exchange = runtime.current().open(head, everything=False)
    assert exchange is not None
    fields = [(b"content-type", (content_type or fmt.content_type).encode())]
    if coding:
        fields.append((b"content-encoding", coding.encode()))
    flow = exchange.flow(compact(fmt.request) if body is None else body)
    effect = next(flow)
    try:
        effect = flow.send(ResponseHead(200, RawHeaders(fields)))
        assert not isinstance(effect, Hold)
    except StopIteration:
        pass
    return exchange


def through(fmt: Format, chunks: Sequence[bytes], **how: Any) -> Given:
    """Show the chunks to a held exchange."""
    exchange = opened(fmt, **how)
    assert exchange.held
    steps: list[list[bytes]] = []
    for chunk in chunks:
        steps.append(list(exchange.pass_on(chunk)))
        if exchange.stopped:
            return Given(steps, [], blocked=True, exchange=exchange)
    last = list(exchange.pass_on(None))
    return Given(steps, last, exchange.stopped, exchange)


def said(raw: bytes) -> str:
    """All strings of all complete events, one after the other, which have the texts in them as a client reads them."""
    out: list[str] = []
    for line in raw.splitlines():
        data = line.removeprefix(b"data: ")
        if data.startswith(b"{"):
            try:
                _strings(json.loads(data), out)
            except ValueError:
                continue
    return "".join(out)


def _strings(value: Any, out: list[str]) -> None:
    if isinstance(value, str):
        out.append(value)
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _strings(each, out)


def texts(raw: bytes, *members: str) -> list[str]:
    """The values of members of these names, in the order in which they come."""
    out: list[str] = []
    for line in raw.splitlines():
        data = line.removeprefix(b"data: ")
        if data.startswith(b"{"):
            _members(json.loads(data), members, out)
    return out


def _members(value: Any, names: tuple[str, ...], out: list[str]) -> None:
    if isinstance(value, dict):
        for name, each in value.items():
            if name in names and isinstance(each, str):
                out.append(each)
            else:
                _members(each, names, out)
    elif isinstance(value, list):
        for each in value:
            _members(each, names, out)


def gzipped(chunks: Iterable[bytes]) -> list[bytes]:
    """The chunks behind a content coding, each of them flushed as servers do."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    out = [packer.compress(chunk) + packer.flush(zlib.Z_SYNC_FLUSH) for chunk in chunks]
    return [*out, packer.flush()]


def unzipped(raw: bytes) -> bytes:
    return zlib.decompressobj(31).decompress(raw)


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)
