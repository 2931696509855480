"""Reading requests of Amazon Bedrock's Converse API, which Nova models also take from InvokeModel.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from llmtrace_sdk.core.model import Channel, Kind, Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._reading import mapping, require_mapping, sequence, text
from llmtrace_sdk.providers._shared import UNKNOWN_ROLE, Draft, pick, real, short, strings, whole

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Prompt

STORED_PROMPT = "stored_prompt"
"""Coverage code: the prompt is kept at the provider and only its variables are in the body."""

BLOBS = frozenset({"image", "video", "audio"})
_SILENT = frozenset({"cachePoint", "toolRemoval"})
_DEPTH_LIMIT = 8
_CHANNELS: dict[Any, Channel] = {"user": "user", "assistant": "assistant", "system": "system"}


def read_converse(payload: Any, model: str | None, stream: bool) -> Prompt:
    """Read a body; raises `Unreadable`."""
    body = require_mapping(payload)
    stored = "promptVariables" in body or ":prompt/" in (model or "")
    if not isinstance(body.get("messages"), list) and not stored:
        raise Unreadable("unknown_shape")
    reading = _Reading()
    reading.blocks(body.get("system"), "/system", _Voice("system"))
    for at, item in enumerate(sequence(body.get("messages"))):
        reading.message(mapping(item), f"/messages/{at}")
    reading.tools(mapping(body.get("toolConfig")).get("tools"), "/toolConfig/tools")
    if stored:
        reading.draft.note(STORED_PROMPT)
        reading.draft.add_texts(body.get("promptVariables"), "user", "/promptVariables")
    return reading.draft.prompt(model, stream, _settings(body))


def _settings(body: dict[str, Any]) -> Settings:
    config, output = mapping(body.get("inferenceConfig")), mapping(body.get("outputConfig"))
    more = mapping(body.get("additionalModelRequestFields"))
    shape = mapping(output.get("textFormat")).get("type")
    return Settings(
        max_tokens=whole(pick(config, "maxTokens", "max_new_tokens")[1]),
        temperature=real(config.get("temperature")),
        top_p=real(pick(config, "topP", "top_p")[1]),
        top_k=whole(pick(config, "topK", "top_k")[1] or pick(more, "top_k", "topK")[1]),
        stop_sequences=strings(config.get("stopSequences")),
        reasoning_level=short(output.get("effort")),
        output_type="json" if shape == "json_schema" else None,
        service_tier=short(mapping(body.get("serviceTier")).get("type")),
    )


class _Voice(Struct, frozen=True):
    """Whose text is being read, what it is, and how deep inside other blocks."""

    channel: Channel
    kind: Kind = "text"
    name: str | None = None
    depth: int = 0

    def quoting(self) -> _Voice:
        """The voice of a document: a tool's when a tool returned it, else that of retrieved data."""
        return _Voice("tool" if self.kind == "tool_result" else "data", self.kind, self.name, self.depth + 1)


class _Reading:
    """One request being walked; remembers the names of the tools called, for their results."""

    __slots__ = ("draft", "names")

    def __init__(self) -> None:
        self.draft = Draft()
        self.names: dict[str, str] = {}

    def message(self, message: dict[str, Any], pointer: str) -> None:
        channel = _CHANNELS.get(text(message.get("role")))
        if channel is None:
            self.draft.note(UNKNOWN_ROLE)
        self.blocks(message.get("content"), f"{pointer}/content", _Voice(channel or "user"))

    def blocks(self, value: Any, pointer: str, voice: _Voice) -> None:
        """A list of blocks; a block is an object with one member, whose name is its sort."""
        if not isinstance(value, list):
            self._add(value, pointer, voice)
            return
        for at, item in enumerate(value):
            if not isinstance(item, dict) or voice.depth >= _DEPTH_LIMIT:
                self._odd(item, f"{pointer}/{at}", voice)
                continue
            for sort, inner in item.items():
                self._block(sort, inner, f"{pointer}/{at}/{sort}", voice)

    def _block(self, sort: str, value: Any, pointer: str, voice: _Voice) -> None:
        inner = mapping(value)
        if sort == "text":
            self._add(value, pointer, voice)
        elif sort == "toolUse":
            self._call(inner, pointer)
        elif sort == "toolResult":
            called = self.names.get(text(inner.get("toolUseId")) or "")
            self.blocks(
                inner.get("content"), f"{pointer}/content", _Voice("tool", "tool_result", called, voice.depth + 1)
            )
        elif sort == "json":
            self.draft.add_texts(value, voice.channel, pointer, voice.kind, voice.name)
        elif sort == "reasoningContent":
            said = mapping(inner.get("reasoningText")).get("text")
            self.draft.add(said, "assistant", f"{pointer}/reasoningText/text", "reasoning")
        elif sort in BLOBS:
            self.draft.blobs += 1
        elif sort == "document":
            self._document(inner, pointer, voice.quoting())
        elif sort not in _SILENT:
            self._rare_block(sort, inner, value, pointer, voice)

    def _rare_block(self, sort: str, inner: dict[str, Any], value: Any, pointer: str, voice: _Voice) -> None:
        if sort == "guardContent":
            said = mapping(inner.get("text")).get("text")
            self._add(said, f"{pointer}/text/text", voice)
            self.draft.blobs += "image" in inner
        elif sort == "citationsContent":
            self.blocks(inner.get("content"), f"{pointer}/content", voice)
        elif sort == "searchResult":
            self._add(inner.get("title"), f"{pointer}/title", voice.quoting())
            self.blocks(inner.get("content"), f"{pointer}/content", voice.quoting())
        elif sort == "toolAddition":
            self.draft.add_texts(value, "system", pointer, "tool_definition")
        else:
            self._odd(value, pointer, voice)

    def _add(self, value: Any, pointer: str, voice: _Voice) -> None:
        self.draft.add(value, voice.channel, pointer, voice.kind, voice.name)

    def _odd(self, value: Any, pointer: str, voice: _Voice) -> None:
        self.draft.add_odd(value, voice.channel, pointer, voice.kind, voice.name)

    def _call(self, call: dict[str, Any], pointer: str) -> None:
        name, label = short(call.get("name")), text(call.get("toolUseId"))
        if name and label:
            self.names[label] = name
        self.draft.add_json(call.get("input"), f"{pointer}/input", name)

    def _document(self, document: dict[str, Any], pointer: str, voice: _Voice) -> None:
        source = mapping(document.get("source"))
        self._add(document.get("name"), f"{pointer}/name", voice)
        self._add(document.get("context"), f"{pointer}/context", voice)
        self._add(source.get("text"), f"{pointer}/source/text", voice)
        self.blocks(source.get("content"), f"{pointer}/source/content", voice)
        if "bytes" in source or "s3Location" in source:
            self.draft.blobs += 1

    def tools(self, tools: Any, pointer: str) -> None:
        for at, item in enumerate(sequence(tools)):
            tool, place = mapping(item), f"{pointer}/{at}"
            spec = mapping(tool.get("toolSpec"))
            if spec:
                schema = mapping(spec.get("inputSchema")).get("json")
                self.draft.add_tool(spec.get("name"), spec.get("description"), schema, f"{place}/toolSpec")
            elif "systemTool" in tool:
                self.draft.add_tool(mapping(tool["systemTool"]).get("name"), None, None, f"{place}/systemTool")
            elif "cachePoint" not in tool:
                self.draft.add_odd(item, "system", place, "tool_definition")
