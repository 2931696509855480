"""Chat answers and chunks for the tests."""

from __future__ import annotations

from typing import Any

from openai_answers import ANY

from llmtrace_sdk.providers.openai_chat import PROVIDER

USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 9,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 16, "cache_write_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-x-2026",
    "service_tier": "default",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}],
    "usage": USAGE,
}


def parse(body: Any, endpoint: Any = ANY) -> Any:
    return PROVIDER.parse_request(endpoint, body)


def only(message: dict[str, Any]) -> Any:
    (segment,) = parse({"messages": [message]}).segments
    return segment


def chunk(delta: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    choice = {"index": more.pop("index", 0), "finish_reason": more.pop("finish", None)}
    if delta is not None:
        choice["delta"] = delta
    choice.update(more.pop("choice", {}))
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **more,
    }
