"""Reading the bodies of InvokeModel, which are those of the model's own vendor.

Which vendor's is told by the members of the body; the model's name decides where two vendors share `messages`.
Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core.model import Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers import openai_chat
from llmtrace_sdk.providers._anthropic_request import read_messages
from llmtrace_sdk.providers._bedrock_converse import read_converse
from llmtrace_sdk.providers._cohere_request import read_chat_v1, read_embed
from llmtrace_sdk.providers._reading import mapping, require_mapping, sequence
from llmtrace_sdk.providers._shared import Draft, pick, real, strings, whole

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Prompt
    from llmtrace_sdk.typing import Endpoint

_CONVERSE_MARKS = ("schemaVersion", "inferenceConfig", "toolConfig")
_LIMITS = ("max_gen_len", "max_tokens", "max_tokens_to_sample", "maxTokens", "maxTokenCount")


def read_invoke(endpoint: Endpoint, payload: Any) -> Prompt:
    """Read a body; raises `Unreadable` when no known model takes it."""
    body = require_mapping(payload)
    model, streams = endpoint.model, endpoint.stream is True
    if "messages" in body:
        return _read_conversation(endpoint, body)
    if isinstance(body.get("prompt"), str):
        return _read_completion(body, "prompt", model, streams)
    if "inputText" in body or "inputImage" in body:
        return _read_completion(body, "inputText", model, streams)
    if "message" in body:
        return read_chat_v1(body, model)
    if "texts" in body or "inputs" in body or "images" in body:
        return read_embed(body, model)
    raise Unreadable("unknown_shape")


def _read_conversation(endpoint: Endpoint, body: dict[str, Any]) -> Prompt:
    model, streams = endpoint.model, endpoint.stream is True
    if "anthropic_version" in body or "anthropic" in (model or ""):
        return read_messages(body, model, streams)
    if "nova" in (model or "") or any(mark in body for mark in _CONVERSE_MARKS):
        return read_converse(body, model, streams)
    # The path says whether the answer is streamed, so `stream` in the body is only what the reader looks at.
    return openai_chat.PROVIDER.parse_request(endpoint, {"model": model, **body, "stream": streams})


def _read_completion(body: dict[str, Any], key: str, model: str | None, streams: bool) -> Prompt:
    """One text in: Llama, Mistral, Titan, Jurassic, Command, DeepSeek, and Claude's old completions."""
    draft = Draft()
    draft.add(body.get(key), "user", f"/{key}")
    draft.blobs += len(sequence(body.get("images"))) + ("inputImage" in body)
    return draft.prompt(model, streams, _settings(body))


def _settings(body: dict[str, Any]) -> Settings:
    config = mapping(body.get("textGenerationConfig")) or body
    return Settings(
        max_tokens=whole(pick(config, *_LIMITS)[1]),
        temperature=real(config.get("temperature")),
        top_p=real(pick(config, "top_p", "topP", "p")[1]),
        top_k=whole(pick(config, "top_k", "topK", "k")[1]),
        stop_sequences=strings(pick(config, "stop", "stop_sequences", "stopSequences")[1]),
        dimensions=whole(body.get("dimensions")),
        encoding_formats=strings(body.get("embeddingTypes")),
    )
