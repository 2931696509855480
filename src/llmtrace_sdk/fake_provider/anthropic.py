"""Anthropic messages: whole, streamed, and as Vertex AI serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .reply import Reply, json_reply
from .vendor import Vendor, model_in_body, segment_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .answer import Answer, Usage
    from .call import Call
    from .http1 import Request

_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_SIGNATURE: Final = "ZmFrZS1zaWduYXR1cmU="


def error(status: int, message: str) -> Reply:
    """Anthropic's error object."""
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return json_reply({"type": "error", "error": {"type": kind, "message": message}}, status=status)


def model_of(request: Request, data: dict[str, Any]) -> str:
    """The body's model, else the one in a Vertex path."""
    return model_in_body(request, data) or segment_after(request.path, "models").partition(":")[0]


ANTHROPIC: Final = Vendor("anthropic", error, model_of)


def messages(call: Call) -> Reply:
    """POST */v1/messages and Vertex's :rawPredict and :streamRawPredict."""
    answer = call.answer()
    if call.streams or call.request.path.endswith(":streamRawPredict"):
        return call.stream(call.sse(event, event["type"]) for event in events(call, answer))
    return call.whole(message(call, answer))


def count_tokens(call: Call) -> Reply:
    """POST */v1/messages/count_tokens."""
    usage = call.answer().usage
    return call.whole({"input_tokens": usage.input if usage else 0})


def message(call: Call, answer: Answer) -> dict[str, Any]:
    """The whole message."""
    body = _message(call, [block for block, _ in _blocks(call, answer)], _stop_reason(answer))
    if answer.usage:
        body["usage"] = _usage(answer.usage)
    return body


def _message(call: Call, content: list[dict[str, Any]], stop_reason: str | None) -> dict[str, Any]:
    return {
        "id": call.id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input - usage.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
        "service_tier": "standard",
    }


def _stop_reason(answer: Answer) -> str:
    if answer.refusal:
        return "refusal"
    return "tool_use" if answer.tool else "end_turn"


def _blocks(call: Call, answer: Answer) -> Iterator[tuple[dict[str, Any], str]]:
    """Each content block, and the text that its deltas are cut from."""
    if answer.reasoning:
        block = {"type": "thinking", "thinking": answer.reasoning, "signature": _SIGNATURE}
        yield block, answer.reasoning
    text = answer.text or answer.refusal
    if text:
        yield {"type": "text", "text": text}, text
    if answer.tool:
        block = {"type": "tool_use", "id": call.id("toolu_"), "name": answer.tool.name}
        yield block | {"input": answer.tool.arguments}, answer.tool.json


_EMPTY: Final[dict[str, dict[str, Any]]] = {
    "thinking": {"thinking": "", "signature": ""},
    "text": {"text": ""},
    "tool_use": {"input": {}},
}
_DELTAS: Final = {
    "thinking": ("thinking_delta", "thinking"),
    "text": ("text_delta", "text"),
    "tool_use": ("input_json_delta", "partial_json"),
}


def events(call: Call, answer: Answer) -> Iterator[dict[str, Any]]:
    """The events of a streamed message, each with its `type`."""
    started = _message(call, [], None)
    if answer.usage:
        started["usage"] = _usage(answer.usage) | {"output_tokens": 1}
    yield {"type": "message_start", "message": started}
    for index, (block, text) in enumerate(_blocks(call, answer)):
        yield from _block_events(answer, index, block, text)
    ended: dict[str, Any] = {"delta": {"stop_reason": _stop_reason(answer), "stop_sequence": None}}
    if answer.usage:
        ended["usage"] = {"output_tokens": answer.usage.output}
    yield {"type": "message_delta", **ended}
    yield {"type": "message_stop"}


def _block_events(answer: Answer, index: int, block: dict[str, Any], text: str) -> Iterator[dict[str, Any]]:
    kind = block["type"]
    yield {"type": "content_block_start", "index": index, "content_block": block | _EMPTY[kind]}
    if index == 0:
        yield {"type": "ping"}
    name, field = _DELTAS[kind]
    for piece in answer.deltas(text):
        yield {"type": "content_block_delta", "index": index, "delta": {"type": name, field: piece}}
    if kind == "thinking":
        signed = {"type": "signature_delta", "signature": _SIGNATURE}
        yield {"type": "content_block_delta", "index": index, "delta": signed}
    yield {"type": "content_block_stop", "index": index}
