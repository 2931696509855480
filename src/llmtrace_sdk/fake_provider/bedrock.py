"""Amazon Bedrock runtime: `invoke` with Anthropic bodies, `converse`, and both as event streams."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from . import anthropic
from .eventstream import MEDIA, frame
from .reply import Piece, Reply, encode, json_reply
from .vendor import Vendor, segment_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .answer import Answer, Usage
    from .call import Call
    from .http1 import Request

_EXCEPTIONS: Final = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


def error(status: int, message: str) -> Reply:
    """An AWS error: its type is in a header."""
    name = _EXCEPTIONS.get(status, "InternalServerException" if status >= 500 else "ValidationException")
    return json_reply({"message": message}, status=status, headers=f"x-amzn-errortype: {name}\r\n")


def model_of(request: Request, _data: dict[str, Any]) -> str:
    """The model id in the path."""
    return segment_after(request.path, "model")


BEDROCK: Final = Vendor("bedrock", error, model_of)


def invoke(call: Call) -> Reply:
    """POST /model/{id}/invoke: an Anthropic message for Claude, a Converse body for other models."""
    answer = call.answer()
    body = anthropic.message(call, answer) if _is_claude(call) else _body(call, answer)
    return call.whole(body, headers=_count_headers(answer.usage))


def _is_claude(call: Call) -> bool:
    return "anthropic" in call.model or "claude" in call.model


def _count_headers(usage: Usage | None) -> str:
    if usage is None:
        return ""
    name = "x-amzn-bedrock-{}-token-count: {}\r\n"
    return name.format("input", usage.input) + name.format("output", usage.output)


def invoke_stream(call: Call) -> Reply:
    """POST /model/{id}/invoke-with-response-stream."""
    answer = call.answer()
    if _is_claude(call):
        events = _measured(anthropic.events(call, answer), answer.usage)
    else:
        events = ({name: event} for name, event in _converse_events(call, answer))
    return call.stream((_chunk(call.json(event)) for event in events), media=MEDIA)


def _chunk(data: bytes) -> bytes:
    return frame(encode({"bytes": base64.b64encode(data).decode(), "p": "abcdefgh"}), "chunk")


def _measured(events: Iterator[dict[str, Any]], usage: Usage | None) -> Iterator[dict[str, Any]]:
    for event in events:
        if event["type"] == "message_stop" and usage:
            metrics = {"inputTokenCount": usage.input, "outputTokenCount": usage.output}
            event["amazon-bedrock-invocationMetrics"] = metrics | {
                "invocationLatency": 42,
                "firstByteLatency": 7,
            }
        yield event


def converse(call: Call) -> Reply:
    """POST /model/{id}/converse."""
    return call.whole(_body(call, call.answer()))


def converse_stream(call: Call) -> Reply:
    """POST /model/{id}/converse-stream."""
    answer = call.answer()
    frames: Iterator[Piece] = (frame(call.json(event), name) for name, event in _converse_events(call, answer))
    return call.stream(frames, media=MEDIA)


def _body(call: Call, answer: Answer) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if answer.reasoning:
        reasoning = {"text": answer.reasoning, "signature": "ZmFrZQ=="}
        content.append({"reasoningContent": {"reasoningText": reasoning}})
    if answer.text or answer.refusal:
        content.append({"text": answer.text or answer.refusal})
    if answer.tool:
        content.append({"toolUse": _tool_use(call, answer) | {"input": answer.tool.arguments}})
    body: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": _stop_reason(answer),
        "metrics": {"latencyMs": 42},
    }
    if answer.usage:
        body["usage"] = _usage(answer.usage)
    return body


def _tool_use(call: Call, answer: Answer) -> dict[str, Any]:
    assert answer.tool is not None
    return {"toolUseId": call.id("tooluse_"), "name": answer.tool.name}


def _stop_reason(answer: Answer) -> str:
    if answer.refusal:
        return "content_filtered"
    return "tool_use" if answer.tool else "end_turn"


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "inputTokens": usage.input - usage.cached,
        "outputTokens": usage.output,
        "totalTokens": usage.total,
        "cacheReadInputTokens": usage.cached,
        "cacheWriteInputTokens": 0,
    }


def _converse_events(call: Call, answer: Answer) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "messageStart", {"role": "assistant"}
    for index, (deltas, start) in enumerate(_blocks(call, answer)):
        if start:
            yield "contentBlockStart", {"contentBlockIndex": index, "start": start}
        for delta in deltas:
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}
        yield "contentBlockStop", {"contentBlockIndex": index}
    yield "messageStop", {"stopReason": _stop_reason(answer)}
    ended: dict[str, Any] = {"metrics": {"latencyMs": 42}}
    if answer.usage:
        ended["usage"] = _usage(answer.usage)
    yield "metadata", ended


def _blocks(call: Call, answer: Answer) -> Iterator[tuple[Iterator[dict[str, Any]], dict[str, Any]]]:
    """The deltas of each content block and, for tool calls alone, how it starts."""
    if answer.reasoning:
        yield ({"reasoningContent": {"text": piece}} for piece in answer.deltas(answer.reasoning)), {}
    if answer.text or answer.refusal:
        yield ({"text": piece} for piece in answer.deltas(answer.text or answer.refusal)), {}
    if answer.tool:
        start = {"toolUse": _tool_use(call, answer)}
        yield ({"toolUse": {"input": piece}} for piece in answer.deltas(answer.tool.json)), start
