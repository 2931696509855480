"""Reading requests of Cohere's API, version 2 and the chat of version 1.

Source: https://docs.cohere.com/reference/chat, /reference/embed and /v1/reference/chat
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core.model import Channel, Kind, Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._reading import mapping, require_mapping, sequence, text
from llmtrace_sdk.providers._shared import (
    UNKNOWN_ROLE,
    Draft,
    read_function_calls,
    read_function_tools,
    real,
    short,
    strings,
    whole,
)

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Prompt

_CHANNELS: dict[Any, Channel] = {
    "user": "user",
    "assistant": "assistant",
    "chatbot": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
}
_BLOBS = frozenset({"image_url", "image"})
_REMOTE_CONNECTORS = "remote_tools"


def read_chat(payload: Any) -> Prompt:
    """Read a body of `/v2/chat`; raises `Unreadable`."""
    body = require_mapping(payload)
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise Unreadable("unknown_shape")
    draft = Draft()
    names: dict[str, str] = {}
    for at, item in enumerate(messages):
        if isinstance(item, dict):
            _read_message(draft, item, f"/messages/{at}", names)
        else:
            draft.add_odd(item, "user", f"/messages/{at}")
    _read_documents(draft, body)
    read_function_tools(draft, body.get("tools"), "/tools")
    return draft.prompt(body.get("model"), body.get("stream") is True, _settings(body))


def read_chat_v1(payload: Any, model: str | None = None) -> Prompt:
    """Read a body of `/v1/chat`, also the one inside Bedrock; raises `Unreadable`."""
    body = require_mapping(payload)
    if not isinstance(body.get("message"), str):
        raise Unreadable("unknown_shape")
    draft = Draft()
    draft.add(body.get("preamble"), "system", "/preamble")
    for at, item in enumerate(sequence(body.get("chat_history"))):
        turn = mapping(item)
        channel = _channel(draft, turn)
        draft.add(turn.get("message"), channel, f"/chat_history/{at}/message")
        _read_results_v1(draft, turn.get("tool_results"), f"/chat_history/{at}/tool_results")
        _read_calls_v1(draft, turn.get("tool_calls"), f"/chat_history/{at}/tool_calls")
    draft.add(body["message"], "user", "/message")
    _read_results_v1(draft, body.get("tool_results"), "/tool_results")
    _read_documents(draft, body)
    _read_tools_v1(draft, body)
    return draft.prompt(body.get("model") or model, body.get("stream") is True, _settings(body))


def read_embed(payload: Any, model: str | None = None) -> Prompt:
    """Read a body of `/v2/embed` or `/v1/embed`, also the one inside Bedrock; raises `Unreadable`."""
    body = require_mapping(payload)
    draft = Draft()
    known = [key for key in ("texts", "inputs", "images") if isinstance(body.get(key), list)]
    if not known:
        raise Unreadable("unknown_shape")
    for at, item in enumerate(sequence(body.get("texts"))):
        draft.add(item, "user", f"/texts/{at}")
    for at, item in enumerate(sequence(body.get("inputs"))):
        _read_content(draft, mapping(item).get("content"), "user", f"/inputs/{at}/content")
    draft.blobs += len(sequence(body.get("images")))
    return draft.prompt(body.get("model") or model, stream=False, settings=_settings(body))


def _settings(body: dict[str, Any]) -> Settings:
    form = mapping(body.get("response_format")).get("type")
    return Settings(
        max_tokens=whole(body.get("max_tokens")),
        temperature=real(body.get("temperature")),
        top_p=real(body.get("p")),
        top_k=whole(body.get("k")),
        frequency_penalty=real(body.get("frequency_penalty")),
        presence_penalty=real(body.get("presence_penalty")),
        seed=whole(body.get("seed")),
        stop_sequences=strings(body.get("stop_sequences")),
        choice_count=whole(body.get("num_generations")),
        reasoning_level=short(body.get("reasoning_effort")),
        output_type="json" if form == "json_object" else None,
        encoding_formats=strings(body.get("embedding_types")),
        dimensions=whole(body.get("output_dimension")),
    )


def _channel(draft: Draft, message: dict[str, Any]) -> Channel:
    channel = _CHANNELS.get((text(message.get("role")) or "").lower())
    if channel is None:
        draft.note(UNKNOWN_ROLE)
    return channel or "user"


def _read_message(draft: Draft, message: dict[str, Any], pointer: str, names: dict[str, str]) -> None:
    channel = _channel(draft, message)
    draft.add(message.get("tool_plan"), "assistant", f"{pointer}/tool_plan", "reasoning")
    if channel == "tool":
        called = names.get(text(message.get("tool_call_id")) or "")
        _read_content(draft, message.get("content"), channel, f"{pointer}/content", "tool_result", called)
    else:
        _read_content(draft, message.get("content"), channel, f"{pointer}/content")
    names.update(read_function_calls(draft, message.get("tool_calls"), f"{pointer}/tool_calls"))


def _read_content(
    draft: Draft, content: Any, channel: Channel, pointer: str, kind: Kind = "text", name: str | None = None
) -> None:
    """A string or a list of parts."""
    if not isinstance(content, list):
        draft.add(content, channel, pointer, kind, name)
        return
    for at, item in enumerate(content):
        part, place = mapping(item), f"{pointer}/{at}"
        sort = part.get("type")
        if sort == "text":
            draft.add(part.get("text"), channel, f"{place}/text", kind, name)
        elif sort == "thinking":
            draft.add(part.get("thinking"), "assistant", f"{place}/thinking", "reasoning")
        elif sort == "document":
            data = mapping(part.get("document")).get("data")
            draft.add_texts(data, "tool" if channel == "tool" else "data", f"{place}/document/data", kind, name)
        elif isinstance(sort, str) and sort in _BLOBS:
            draft.blobs += 1
        else:
            draft.add_odd(item, channel, place, kind, name)


def _read_documents(draft: Draft, body: dict[str, Any]) -> None:
    """Retrieved documents: strings, `{"id", "data"}`, or (version 1) the data itself."""
    for at, item in enumerate(sequence(body.get("documents"))):
        nested = isinstance(item, dict) and "data" in item
        place = f"/documents/{at}/data" if nested else f"/documents/{at}"
        draft.add_texts(item["data"] if nested else item, "data", place)


def _read_tools_v1(draft: Draft, body: dict[str, Any]) -> None:
    for at, item in enumerate(sequence(body.get("tools"))):
        tool = mapping(item)
        draft.add_tool(tool.get("name"), tool.get("description"), tool.get("parameter_definitions"), f"/tools/{at}")
    if sequence(body.get("connectors")):
        draft.note(_REMOTE_CONNECTORS)


def _read_calls_v1(draft: Draft, calls: Any, pointer: str) -> None:
    for at, item in enumerate(sequence(calls)):
        call = mapping(item)
        draft.add_json(call.get("parameters"), f"{pointer}/{at}/parameters", short(call.get("name")))


def _read_results_v1(draft: Draft, results: Any, pointer: str) -> None:
    for at, item in enumerate(sequence(results)):
        result = mapping(item)
        name = short(mapping(result.get("call")).get("name"))
        draft.add_texts(result.get("outputs"), "tool", f"{pointer}/{at}/outputs", "tool_result", name)
