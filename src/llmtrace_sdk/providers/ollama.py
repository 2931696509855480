"""Ollama's own API: `/api/chat`, `/api/generate`, `/api/embed`, `/api/embeddings`, streamed unless the body says not.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core.model import Channel, Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._ollama_ending import ending
from llmtrace_sdk.providers._ollama_reader import OllamaReader
from llmtrace_sdk.providers._reading import mapping, require_mapping, sequence, text
from llmtrace_sdk.providers._shared import (
    BLOCKED_CODE,
    UNKNOWN_ROLE,
    Draft,
    blocked_message,
    encode,
    read_function_calls,
    read_function_tools,
    real,
    short,
    strings,
    whole,
)
from llmtrace_sdk.typing import Covers, Endpoint

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Decision, Prompt
    from llmtrace_sdk.typing import RequestHead, Told

_ENDPOINTS = {
    "chat": Endpoint("ollama", "chat", "chat", framing="ndjson"),
    "generate": Endpoint("ollama", "text_completion", "generate", framing="ndjson"),
    "embed": Endpoint("ollama", "embeddings", "embed", framing="ndjson"),
    "embeddings": Endpoint("ollama", "embeddings", "embeddings", framing="ndjson"),
}
_PATHS = tuple(f"/api/{name}" for name in _ENDPOINTS)
_CHANNELS: dict[Any, Channel] = {"user": "user", "assistant": "assistant", "system": "system", "tool": "tool"}
_TOKEN_CONTEXT = "token_context"  # noqa: S105
"""Coverage code: an earlier conversation is sent as token numbers, which cannot be read."""


COVERS = (
    Covers(
        "chat",
        request={
            "system": ("text", "tool_definition"),
            "user": ("text",),
            "assistant": ("text", "reasoning", "tool_call"),
            "tool": ("tool_result",),
        },
        answer=("text", "reasoning", "tool_call"),
        stream=("text", "reasoning", "tool_call"),
        framing="ndjson",
    ),
    Covers(
        "generate",
        request={"system": ("text",), "user": ("text",)},
        answer=("text", "reasoning"),
        stream=("text", "reasoning"),
        framing="ndjson",
        notes="an earlier conversation given as token numbers is not read",
    ),
    Covers("embed", request={"user": ("text",)}, framing="ndjson"),
    Covers("embeddings", request={"user": ("text",)}, framing="ndjson"),
)


class Ollama:
    """The wire format."""

    name = "ollama"
    covers = COVERS

    def match(self, head: RequestHead, /) -> Endpoint | None:
        """A POST to one of the four paths, at any prefix."""
        path = head.path
        if not path.endswith(_PATHS) or head.method != "POST":
            return None
        return _ENDPOINTS[path.rpartition("/")[2]]

    def parse_request(self, endpoint: Endpoint, payload: Any, /) -> Prompt:
        """Read a body; raises `Unreadable`."""
        body = require_mapping(payload)
        draft = Draft()
        if endpoint.api == "chat":
            _read_messages(draft, body.get("messages"))
            read_function_tools(draft, body.get("tools"), "/tools")
        else:
            _read_completion(draft, body)
            _read_inputs(draft, body)
        streams = endpoint.operation != "embeddings" and body.get("stream") is not False
        return draft.prompt(body.get("model"), streams, _settings(body))

    def reader(self, endpoint: Endpoint, /) -> OllamaReader:  # noqa: ARG002
        """A fresh reader."""
        return OllamaReader()

    def refusal(self, endpoint: Endpoint, decision: Decision, status: int, /) -> bytes:  # noqa: ARG002
        """`{"error": "..."}`."""
        return encode({"error": blocked_message(decision), "code": BLOCKED_CODE})

    def ending(self, endpoint: Endpoint, decision: Decision, told: Told, /) -> bytes:
        """The last line of a stopped stream."""
        return ending(decision, told, chat=endpoint.api == "chat")


def _read_messages(draft: Draft, messages: Any) -> None:
    # No messages at all asks the server to load the model.
    if messages is not None and not isinstance(messages, list):
        raise Unreadable("unknown_shape")
    names: dict[str, str] = {}
    for at, item in enumerate(sequence(messages)):
        if isinstance(item, dict):
            _read_message(draft, item, f"/messages/{at}", names)
        else:
            draft.add_odd(item, "user", f"/messages/{at}")


def _read_message(draft: Draft, message: dict[str, Any], pointer: str, names: dict[str, str]) -> None:
    channel = _CHANNELS.get(text(message.get("role")))
    if channel is None:
        draft.note(UNKNOWN_ROLE)
        channel = "user"
    draft.blobs += len(sequence(message.get("images")))
    draft.add(message.get("thinking"), "assistant", f"{pointer}/thinking", "reasoning")
    if channel == "tool":
        called = short(message.get("tool_name")) or names.get(text(message.get("tool_call_id")) or "")
        draft.add(message.get("content"), "tool", f"{pointer}/content", "tool_result", called)
    else:
        draft.add(message.get("content"), channel, f"{pointer}/content")
    names.update(read_function_calls(draft, message.get("tool_calls"), f"{pointer}/tool_calls"))


def _read_completion(draft: Draft, body: dict[str, Any]) -> None:
    """What `generate` and the old `embeddings` take. No prompt at all asks the server to load the model."""
    draft.add(body.get("system"), "system", "/system")
    draft.add(body.get("template"), "system", "/template")
    draft.add(body.get("prompt"), "user", "/prompt")
    draft.add(body.get("suffix"), "user", "/suffix")
    draft.blobs += len(sequence(body.get("images")))
    if sequence(body.get("context")):
        draft.note(_TOKEN_CONTEXT)


def _read_inputs(draft: Draft, body: dict[str, Any]) -> None:
    inputs = body.get("input")
    if isinstance(inputs, list):
        for at, item in enumerate(inputs):
            draft.add(item, "user", f"/input/{at}")
    else:
        draft.add(inputs, "user", "/input")


def _settings(body: dict[str, Any]) -> Settings:
    options, think, form = mapping(body.get("options")), body.get("think"), body.get("format")
    return Settings(
        max_tokens=whole(options.get("num_predict")),
        temperature=real(options.get("temperature")),
        top_p=real(options.get("top_p")),
        top_k=whole(options.get("top_k")),
        frequency_penalty=real(options.get("frequency_penalty")),
        presence_penalty=real(options.get("presence_penalty")),
        seed=whole(options.get("seed")),
        stop_sequences=strings(options.get("stop")),
        reasoning_level=short(think),
        output_type="json" if form == "json" or isinstance(form, dict) else None,
        dimensions=whole(body.get("dimensions")),
    )


PROVIDER = Ollama()
