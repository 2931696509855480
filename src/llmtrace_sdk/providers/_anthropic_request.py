"""Reading requests of Anthropic's Messages API (also inside Bedrock and Vertex AI bodies).

Source: https://docs.anthropic.com/en/api/messages and the beta blocks listed there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from llmtrace_sdk.core.model import Channel, Kind, Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._reading import mapping, require_mapping, sequence, text
from llmtrace_sdk.providers._shared import UNKNOWN_ROLE, Draft, pick, real, short, strings, texts, whole

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Prompt

OPAQUE = frozenset({
    "type", "id", "tool_use_id", "file_id", "file_type", "media_type", "page_age", "retrieved_at",
    "signature", "encrypted_content", "encrypted_stdout", "cache_control", "citations", "error_code",
})  # fmt: skip
"""Members of server tools' results that hold no readable text."""

TOOL_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
REMOTE_TOOLS = "remote_tools"
"""Coverage code: the provider fetches tools by itself, so their definitions are not in the body."""

_CLIENT_RESULTS = frozenset({"tool_result", "mcp_tool_result"})
_RETRIEVED = frozenset({"web_search_tool_result", "web_fetch_tool_result"})
_BLOBS = frozenset({"image", "container_upload"})
SILENT = frozenset({"redacted_thinking", "tool_reference", "tool_removal", "fallback", "container_upload"})
"""Blocks without readable text."""
_DEPTH_LIMIT = 8
_CHANNELS: dict[Any, Channel] = {"user": "user", "assistant": "assistant", "system": "system"}


def read_messages(payload: Any, model: str | None, stream: bool | None) -> Prompt:
    """Read a decoded body; `model` and `stream` win over it when the path gave them. Raises `Unreadable`."""
    body = require_mapping(payload)
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise Unreadable("unknown_shape")
    conversation = _Conversation()
    conversation.content(body.get("system"), "/system", _Voice("system"))
    conversation.messages(messages)
    conversation.tools(body)
    streamed = body.get("stream") is True if stream is None else stream
    return conversation.draft.prompt(model or body.get("model"), streamed, _settings(body))


def _settings(body: dict[str, Any]) -> Settings:
    output = mapping(body.get("output_config"))
    shape = mapping(output.get("format") or body.get("output_format")).get("type")
    return Settings(
        max_tokens=whole(body.get("max_tokens")),
        temperature=real(body.get("temperature")),
        top_p=real(body.get("top_p")),
        top_k=whole(body.get("top_k")),
        stop_sequences=strings(body.get("stop_sequences")),
        reasoning_level=short(output.get("effort")),
        output_type="json" if shape == "json_schema" else None,
        service_tier=short(body.get("service_tier")),
    )


class _Voice(Struct, frozen=True):
    """Whose text is being read, what it is, and how deep inside other blocks."""

    channel: Channel
    kind: Kind = "text"
    name: str | None = None
    depth: int = 0

    def deeper(self) -> _Voice:
        return _Voice(self.channel, self.kind, self.name, self.depth + 1)

    def quoting(self) -> _Voice:
        """The voice of a document: a tool's when a tool returned it, else that of retrieved data."""
        return _Voice("tool" if self.kind == "tool_result" else "data", self.kind, self.name, self.depth + 1)


class _Conversation:
    """One request being walked; remembers the names of the tools called, for their results."""

    __slots__ = ("draft", "names")

    def __init__(self) -> None:
        self.draft = Draft()
        self.names: dict[str, str] = {}

    def messages(self, messages: list[Any]) -> None:
        for at, item in enumerate(messages):
            message = mapping(item)
            channel = _CHANNELS.get(text(message.get("role")))
            if channel is None:
                self.draft.note(UNKNOWN_ROLE)
            self.content(message.get("content"), f"/messages/{at}/content", _Voice(channel or "user"))

    def content(self, value: Any, pointer: str, voice: _Voice) -> None:
        """A string, or a list of blocks."""
        if not isinstance(value, list):
            self._add(value, pointer, voice)
            return
        for at, item in enumerate(value):
            if isinstance(item, dict) and voice.depth < _DEPTH_LIMIT:
                self._block(item, f"{pointer}/{at}", voice)
            else:
                self.draft.add_odd(item, voice.channel, f"{pointer}/{at}", voice.kind, voice.name)

    def _add(self, value: Any, pointer: str, voice: _Voice) -> None:
        self.draft.add(value, voice.channel, pointer, voice.kind, voice.name)

    def _block(self, block: dict[str, Any], pointer: str, voice: _Voice) -> None:
        sort = text(block.get("type")) or ""
        if sort == "text":
            self._add(block.get("text"), f"{pointer}/text", voice)
        elif sort in _CLIENT_RESULTS:
            result = _Voice("tool", "tool_result", self._called(block), voice.depth + 1)
            self.content(block.get("content"), f"{pointer}/content", result)
        elif sort in TOOL_CALLS:
            self._call(block, pointer)
        elif sort == "thinking":
            self.draft.add(block.get("thinking"), "assistant", f"{pointer}/thinking", "reasoning")
        elif sort in _BLOBS:
            self.draft.blobs += 1
        elif sort == "document":
            self._document(block, pointer, voice.quoting())
        elif sort == "search_result":
            self._add(block.get("title"), f"{pointer}/title", voice.quoting())
            self.content(block.get("content"), f"{pointer}/content", voice.quoting())
        elif sort.endswith("_tool_result"):
            self._server_result(block, "data" if sort in _RETRIEVED else "tool", f"{pointer}/content")
        elif sort not in SILENT:
            self._rare_block(sort, block, pointer, voice)

    def _rare_block(self, sort: str, block: dict[str, Any], pointer: str, voice: _Voice) -> None:
        if sort == "compaction":
            self.draft.add(block.get("content"), "assistant", f"{pointer}/content")
        elif sort == "tool_addition":
            self._definition(block.get("tool"), f"{pointer}/tool")
        elif sort == "mcp_tool_listing":
            self._definitions(block.get("tools"), f"{pointer}/tools")
        elif sort == "browser_state":
            self.draft.add_texts(block.get("tabs"), voice.channel, f"{pointer}/tabs", voice.kind, voice.name)
        else:
            self.draft.add_odd(block, voice.channel, pointer, voice.kind, voice.name)

    def _called(self, block: dict[str, Any]) -> str | None:
        return self.names.get(text(block.get("tool_use_id")) or "")

    def _call(self, block: dict[str, Any], pointer: str) -> None:
        name, label = short(block.get("name")), text(block.get("id"))
        if name and label:
            self.names[label] = name
        self.draft.add_json(block.get("input"), f"{pointer}/input", name)

    def _server_result(self, block: dict[str, Any], channel: Channel, pointer: str) -> None:
        name = self._called(block)
        for place, found in texts(_without_file(block.get("content")), pointer, OPAQUE):
            self.draft.add(found, channel, place, "tool_result", name)

    def _document(self, block: dict[str, Any], pointer: str, voice: _Voice) -> None:
        source = mapping(block.get("source"))
        self._add(block.get("title"), f"{pointer}/title", voice)
        self._add(block.get("context"), f"{pointer}/context", voice)
        if source.get("type") == "text":
            self._add(source.get("data"), f"{pointer}/source/data", voice)
        elif source.get("type") == "content":
            self.content(source.get("content"), f"{pointer}/source/content", voice)
        else:
            self.draft.blobs += 1

    def tools(self, body: dict[str, Any]) -> None:
        self._definitions(body.get("tools"), "/tools")
        if sequence(body.get("mcp_servers")):
            self.draft.note(REMOTE_TOOLS)

    def _definitions(self, tools: Any, pointer: str) -> None:
        for at, item in enumerate(sequence(tools)):
            self._definition(item, f"{pointer}/{at}")

    def _definition(self, item: Any, pointer: str) -> None:
        tool = mapping(item)
        _, schema = pick(tool, "input_schema", "inputSchema")
        name = tool.get("name") or tool.get("mcp_server_name")
        self.draft.add_tool(name, tool.get("description"), schema, pointer)


def _without_file(content: Any) -> Any:
    """A fetched page without the bytes of a file, which are base64 and no text."""
    document = mapping(mapping(content).get("content"))
    if mapping(document.get("source")).get("type") == "base64":
        return {key: value for key, value in content.items() if key != "content"}
    return content
