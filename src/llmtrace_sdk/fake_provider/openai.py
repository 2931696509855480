"""OpenAI chat and text completions, embeddings, models, files, batches.

Azure OpenAI, Mistral and Hugging Face share the chat format.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import TYPE_CHECKING, Any, Final

from .call import CREATED, Call
from .reply import Piece, Reply, json_reply
from .vendor import Vendor, count_inputs, model_in_body, segment_after, vector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .answer import Answer, Usage
    from .http1 import Request

MODELS: Final = ("gpt-4o-mini", "gpt-4o", "text-embedding-3-small")
_MAX_DIMENSIONS: Final = 4096
_CODES: Final = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


def error(status: int, message: str) -> Reply:
    """OpenAI's error object."""
    kind, code = _CODES.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    return json_reply({"error": {"message": message, "type": kind, "param": None, "code": code}}, status=status)


def model_of(request: Request, data: dict[str, Any]) -> str:
    """The body's model, else Azure's deployment or Hugging Face's model in the path."""
    path = request.path
    return (
        model_in_body(request, data)
        or segment_after(path, "deployments")
        or segment_after(path, "models").partition(":")[0]
        or MODELS[0]
    )


OPENAI: Final = Vendor("openai", error, model_of)


def usage_object(usage: Usage) -> dict[str, Any]:
    """Token counts of chat and text completions."""
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def chat(call: Call) -> Reply:
    """POST */chat/completions."""
    answer = call.answer()
    if call.streams:
        return call.stream(_chat_events(call, answer))
    message = _message(call, answer)
    choice = {"message": message, "logprobs": None, "finish_reason": _finish(answer)}
    body = _envelope(call, "chatcmpl-", "chat.completion")
    body["choices"] = [{"index": index, **choice} for index in range(call.choices)]
    if answer.usage:
        body["usage"] = usage_object(answer.usage)
    return call.whole(body)


def _envelope(call: Call, prefix: str, kind: str) -> dict[str, Any]:
    return {
        "id": call.id(prefix),
        "object": kind,
        "created": CREATED,
        "model": call.model,
        "system_fingerprint": "fp_fake",
    }


def _finish(answer: Answer) -> str:
    return "tool_calls" if answer.tool else "stop"


def _content(call: Call, text: str, thinking: str = "") -> Any:
    """Text as it stands, or as Mistral's list of typed parts when the scenario says so."""
    if not call.scenario.parts:
        return text
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": thinking}]}
    return ([thought] if thinking else []) + ([{"type": "text", "text": text}] if text else [])


def _message(call: Call, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": answer.refusal or None}
    if answer.text:
        message["content"] = _content(call, answer.text, answer.reasoning)
    if answer.reasoning and not call.scenario.parts:
        message["reasoning_content"] = answer.reasoning
    if answer.tool:
        function = {"name": answer.tool.name, "arguments": answer.tool.json}
        message["tool_calls"] = [{"id": call.id("call_"), "type": "function", "function": function}]
    return message


def _chat_events(call: Call, answer: Answer) -> Iterator[Piece]:
    asked = call.data.get("stream_options")
    include_usage = call.scenario.usage == "on" or (isinstance(asked, dict) and asked.get("include_usage") is True)
    envelope = _envelope(call, "chatcmpl-", "chat.completion.chunk")
    if include_usage:
        envelope["usage"] = None
    if "/deployments/" in call.request.path:
        # Azure opens with its verdict on the prompt, in an event that has no choice.
        yield call.sse(envelope | {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
    count = call.choices
    for delta, finish in _deltas(call, answer):
        for index in range(count):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
            envelope["choices"] = [choice]
            yield call.sse(envelope)
    if include_usage and answer.usage:
        yield call.sse(envelope | {"choices": [], "usage": usage_object(answer.usage)})
    yield call.sse_text(b"[DONE]")


def _deltas(call: Call, answer: Answer) -> Iterator[tuple[dict[str, Any], str | None]]:
    yield (
        {"role": "assistant", "content": None if answer.tool and not answer.text else "", "refusal": None},
        None,
    )
    for piece in answer.deltas(answer.reasoning):
        yield (
            ({"content": _content(call, "", piece)} if call.scenario.parts else {"reasoning_content": piece}),
            None,
        )
    for piece in answer.deltas(answer.text):
        yield {"content": _content(call, piece)}, None
    for piece in answer.deltas(answer.refusal):
        yield {"refusal": piece}, None
    if answer.tool:
        opened = {"name": answer.tool.name, "arguments": ""}
        yield (
            {"tool_calls": [{"index": 0, "id": call.id("call_"), "type": "function", "function": opened}]},
            None,
        )
        for piece in answer.deltas(answer.tool.json):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, None
    yield {}, _finish(answer)


def completions(call: Call) -> Reply:
    """POST */completions, the older text format."""
    answer = call.answer()
    text = answer.text or answer.refusal
    if call.streams:
        return call.stream(_completion_events(call, answer, text))
    body = _envelope(call, "cmpl-", "text_completion")
    choice = {"text": text, "logprobs": None, "finish_reason": "stop"}
    body["choices"] = [{"index": index, **choice} for index in range(call.choices)]
    if answer.usage:
        body["usage"] = usage_object(answer.usage)
    return call.whole(body)


def _completion_events(call: Call, answer: Answer, text: str) -> Iterator[Piece]:
    envelope = _envelope(call, "cmpl-", "text_completion")
    for piece in answer.deltas(text):
        choice = {"index": 0, "text": piece, "logprobs": None, "finish_reason": None}
        yield call.sse(envelope | {"choices": [choice]})
    last: dict[str, Any] = {"choices": [{"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"}]}
    if answer.usage:
        last["usage"] = usage_object(answer.usage)
    yield call.sse(envelope | last)
    yield call.sse_text(b"[DONE]")


def embeddings(call: Call) -> Reply:
    """POST */embeddings, as numbers or as base64 of little-endian 32-bit floats."""
    asked = call.data.get("dimensions")
    size = min(asked, _MAX_DIMENSIONS) if isinstance(asked, int) and asked > 0 else 16
    packed = call.data.get("encoding_format") == "base64"
    rows = [
        {"object": "embedding", "index": index, "embedding": _packed(values) if packed else values}
        for index, values in enumerate(vector(i, size) for i in range(count_inputs(call.data.get("input"))))
    ]
    body: dict[str, Any] = {"object": "list", "data": rows, "model": call.model}
    usage = call.answer().usage
    if usage:
        body["usage"] = {"prompt_tokens": usage.input, "total_tokens": usage.input}
    return call.whole(body)


def _packed(values: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def _model_object(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "fake"}


def models(call: Call) -> Reply:
    """GET */models."""
    return call.whole({"object": "list", "data": [_model_object(name) for name in MODELS]})


def model(call: Call) -> Reply:
    """GET */models/{id}."""
    return call.whole(_model_object(call.request.path.rpartition("/models/")[2]))


def files(call: Call) -> Reply:
    """POST */files: any multipart form; only its size is read."""
    body = call.request.body
    name = f"file-{hashlib.sha256(body).hexdigest()[:24]}"
    return call.whole(
        {
            "id": name,
            "object": "file",
            "bytes": len(body),
            "created_at": CREATED,
            "filename": "upload",
            "purpose": "batch",
            "status": "processed",
        }
    )


def batches(call: Call) -> Reply:
    """POST */batches."""
    return call.whole(
        {
            "id": call.id("batch_"),
            "object": "batch",
            "endpoint": call.data.get("endpoint", "/v1/chat/completions"),
            "input_file_id": call.data.get("input_file_id", "file-fake"),
            "completion_window": call.data.get("completion_window", "24h"),
            "status": "validating",
            "created_at": CREATED,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
        }
    )
