"""What the OpenAI-shaped wire formats share: endpoints, settings, usage, errors, refusals.

Facts from the OpenAI API reference and from the deviations of the vendors that copy it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from llmtrace_sdk.core.model import Settings, Usage
from llmtrace_sdk.providers import _hosts
from llmtrace_sdk.providers._reading import mapping
from llmtrace_sdk.providers._shared import (
    BLOCKED_CODE,
    blocked_message,
    count,
    encode,
    error_code,
    real,
    short,
    strings,
    whole,
)
from llmtrace_sdk.typing import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmtrace_sdk.core.model import Decision
    from llmtrace_sdk.typing import RequestHead

_SETTINGS = frozenset(
    {
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "random_seed",
        "stop",
        "n",
        "reasoning_effort",
        "reasoning",
        "response_format",
        "text",
        "modalities",
        "service_tier",
        "previous_response_id",
        "conversation",
        "encoding_format",
        "dimensions",
        "output_dimension",
    }
)
_NONE_SET = Settings()
_OUTPUT_TYPES = {"text": "text", "json_object": "json", "json_schema": "json"}
_Count = Annotated[int, msgspec.Meta(ge=0)]
_ERROR_KEYS = ("message", "detail", "errors", "error_type", "statusCode")


def endpoint(head: RequestHead, operation: str, api: str) -> Endpoint:
    """The endpoint of a request that matched: its vendor, and its model when the path names one (Azure deployments)."""
    provider = _hosts.provider_name(head.host, head.port, head.path)
    model = _deployment(head.path) if "/deployments/" in head.path else None
    signed = provider == "aws.bedrock" and head.headers.get("authorization", "").startswith("AWS4-")
    # the events of the responses API end with one that still says something
    end_mark = b"data: [DONE]" if api in ("chat_completions", "completions") else b""
    return Endpoint(provider, operation, api, model, signed=signed, end_mark=end_mark)


def _deployment(path: str) -> str | None:
    return path.rpartition("/deployments/")[2].partition("/")[0] or None


def read_settings(body: Mapping[str, Any]) -> Settings:
    """The sampling settings of any OpenAI-shaped request."""
    if _SETTINGS.isdisjoint(body):  # most requests set nothing, and this runs on the application's time
        return _NONE_SET
    conversation = body.get("conversation")
    limits = (whole(body.get(key)) for key in ("max_completion_tokens", "max_output_tokens", "max_tokens"))
    return Settings(
        max_tokens=next((limit for limit in limits if limit is not None), None),
        temperature=real(body.get("temperature")),
        top_p=real(body.get("top_p")),
        top_k=whole(body.get("top_k")),
        frequency_penalty=real(body.get("frequency_penalty")),
        presence_penalty=real(body.get("presence_penalty")),
        seed=whole(body.get("seed", body.get("random_seed"))),
        stop_sequences=strings(body.get("stop")),
        choice_count=whole(body.get("n")),
        reasoning_level=short(body.get("reasoning_effort")) or short(mapping(body.get("reasoning")).get("effort")),
        output_type=_output_type(body),
        service_tier=short(body.get("service_tier")),
        previous_response_id=short(body.get("previous_response_id")),
        conversation_id=short(conversation) or short(mapping(conversation).get("id")),
        encoding_formats=strings(body.get("encoding_format")),
        dimensions=whole(body.get("dimensions", body.get("output_dimension"))),
    )


def _output_type(body: Mapping[str, Any]) -> str | None:
    """The kind of output that was asked for, in the words of gen_ai.output.type."""
    form = mapping(body.get("response_format")) or mapping(mapping(body.get("text")).get("format"))
    asked = form.get("type")
    found = _OUTPUT_TYPES.get(asked) if isinstance(asked, str) else None
    if found is None and body.get("modalities"):
        modalities = strings(body["modalities"])
        return next((kind for word, kind in (("audio", "speech"), ("image", "image")) if word in modalities), None)
    return found


class _Read(msgspec.Struct, gc=False):
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None
    cache_creation_tokens: _Count | None = None


class _Made(msgspec.Struct, gc=False):
    reasoning_tokens: _Count | None = None


class _Usage(msgspec.Struct, gc=False):
    """OpenAI's own spelling."""

    prompt_tokens: _Count
    completion_tokens: _Count = 0
    total_tokens: _Count = 0
    prompt_tokens_details: _Read | None = None
    completion_tokens_details: _Made | None = None


_USAGE_KEYS = frozenset(_Usage.__struct_fields__)


def usage_of(value: Any) -> Usage:
    """Token counts in any of the spellings in use."""
    if isinstance(value, dict) and value.keys() <= _USAGE_KEYS:
        try:
            usage = msgspec.convert(value, _Usage)
        except msgspec.ValidationError:
            return _any_usage(value)
        read, made = usage.prompt_tokens_details, usage.completion_tokens_details
        reasoning = made.reasoning_tokens if made else None
        taken, given = usage.prompt_tokens, usage.completion_tokens
        if "completion_tokens" in value and not (reasoning and usage.total_tokens == taken + given + reasoning):
            if read is None:
                return Usage(taken, given, None, None, reasoning)
            written = read.cache_creation_tokens if read.cache_write_tokens is None else read.cache_write_tokens
            return Usage(taken, given, read.cached_tokens, written, reasoning)
    return _any_usage(value)


def _any_usage(value: Any) -> Usage:
    """The careful reading.

    Some vendors (x.ai) leave reasoning tokens out of the output count; their own total tells, and they are added.
    """
    usage = mapping(value)
    read = mapping(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    made = mapping(usage.get("completion_tokens_details") or usage.get("output_tokens_details"))
    taken = _first_count(usage, "prompt_tokens", "input_tokens")
    given = _first_count(usage, "completion_tokens", "output_tokens")
    reasoning = _first_count(made, "reasoning_tokens")
    if reasoning is None:
        reasoning = _first_count(usage, "reasoning_tokens")
    cached = _first_count(read, "cached_tokens")
    if cached is None:
        cached = _first_count(usage, "prompt_cache_hit_tokens", "cached_tokens")
    if taken is not None and given is not None and reasoning:
        given += reasoning if count(usage.get("total_tokens")) == taken + given + reasoning else 0
    return Usage(taken, given, cached, _first_count(read, "cache_write_tokens", "cache_creation_tokens"), reasoning)


def _first_count(body: Mapping[str, Any], *keys: str) -> int | None:
    found = (count(body.get(key)) for key in keys)
    return next((value for value in found if value is not None), None)


def error_of(payload: Any, *, loose: bool = True) -> str | None:
    """The low-cardinality code of an error body, None when it is no error. Never the message.

    `loose` also takes bodies that merely look like errors (`{"detail": ...}`, `{"message": ...}`), which is right for
    an answer that has nothing else to show.
    """
    if isinstance(payload, list) and len(payload) == 1:
        payload = payload[0]
    body = mapping(payload)
    error = body.get("error")
    if isinstance(error, dict):
        return _code(error)
    if error or body.get("object") == "error" or (loose and any(key in body for key in _ERROR_KEYS)):
        return _code(body)
    return None


def _code(error: Mapping[str, Any]) -> str:
    """Words tell more than numbers, so a numeric code comes last."""
    words = (error.get(key) for key in ("code", "type", "status", "error_type"))
    telling = (word for word in words if isinstance(word, str) and not word.isdigit() and word != "error")
    return error_code(*telling, error.get("code"), error.get("statusCode"), error.get("status"))


def refusal(decision: Decision) -> bytes:
    """The error body of a refused call, as the SDKs of this family read it."""
    error = {"message": blocked_message(decision), "type": "invalid_request_error", "param": None, "code": BLOCKED_CODE}
    return encode({"error": error})
