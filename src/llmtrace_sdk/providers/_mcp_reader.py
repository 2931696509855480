"""Reading what MCP servers answer: JSON-RPC messages, alone, in a batch, or one an event.

The method is not repeated in an answer; the members of the result tell what was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core.model import Delta
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._reading import EMPTY, ReaderState, mapping, require_mapping, sequence, text
from llmtrace_sdk.providers._shared import definition, error_code, escape, event_value, joined, pick, short

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_sdk.core.model import Kind

_TOOL_ERROR = "tool_error"
_OFFERS = ("tools", "prompts", "resources", "resourceTemplates")
_OPAQUE = frozenset({"type", "mimeType", "data", "blob", "annotations", "icons", "_meta", "role"})


class MCPReader(ReaderState):
    """The answer of one call."""

    __slots__ = ("_found", "_parts")

    def __init__(self) -> None:
        super().__init__()
        self._parts = 0
        self._found: list[Delta] = []

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a message or a batch; raises `Unreadable` for anything else."""
        self.done = True
        if isinstance(payload, list):
            for at, item in enumerate(payload):
                self._message(mapping(item), f"/{at}")
            return self._taken()
        message = require_mapping(payload)
        if not any(key in message for key in ("jsonrpc", "result", "error")):
            raise Unreadable("unknown_shape")
        self._message(message, "")
        return self._taken()

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:  # noqa: ARG002
        """Read one message of a stream: the answer, or what the server asks or tells before it."""
        value = event_value(data)
        if isinstance(value, list):
            return self.body(value)
        self._message(require_mapping(value), "")
        return self._taken()

    def _taken(self) -> Iterable[Delta]:
        found, self._found = self._found, []
        return found or EMPTY

    def _message(self, message: dict[str, Any], pointer: str) -> None:
        if message.get("error"):
            error = message["error"]
            self.error_type = error_code(mapping(error).get("code"), error)
            self.done = True
        elif isinstance(message.get("result"), dict):
            self._result(message["result"], f"{pointer}/result")
            self.done = True
        elif message.get("method") in ("sampling/createMessage", "elicitation/create"):
            self._asked(mapping(message.get("params")), f"{pointer}/params")

    def _result(self, result: dict[str, Any], pointer: str) -> None:
        if result.get("isError") is True:
            self.error_type = _TOOL_ERROR
        for key in ("content", "contents"):
            for at, block in enumerate(sequence(result.get(key))):
                self._block(mapping(block), f"{pointer}/{key}/{at}")
        for at, item in enumerate(sequence(result.get("messages"))):
            self._contents(mapping(item).get("content"), f"{pointer}/messages/{at}/content")
        self._add(joined(result.get("structuredContent")), "tool_result", f"{pointer}/structuredContent")
        for key in _OFFERS:
            for at, item in enumerate(sequence(result.get(key))):
                self._offer(mapping(item), f"{pointer}/{key}/{at}")
        self._add(text(result.get("instructions")), "tool_definition", f"{pointer}/instructions")
        for key, request in mapping(result.get("inputRequests")).items():
            self._asked(mapping(mapping(request).get("params")), f"{pointer}/inputRequests/{escape(key)}/params")

    def _contents(self, value: Any, pointer: str) -> None:
        """One block or a list of them."""
        if isinstance(value, list):
            for at, block in enumerate(value):
                self._block(mapping(block), f"{pointer}/{at}")
        else:
            self._block(mapping(value), pointer)

    def _block(self, block: dict[str, Any], pointer: str) -> None:
        """Text, an embedded resource, a link to one; pictures and sound have no text."""
        said = block.get("text")
        if isinstance(said, str):
            self._add(said, "tool_result", f"{pointer}/text")
            return
        resource = mapping(block.get("resource"))
        if resource:
            self._add(text(resource.get("text")), "tool_result", f"{pointer}/resource/text")
        else:
            self._add(joined(block, _OPAQUE), "tool_result", pointer)

    def _offer(self, offer: dict[str, Any], pointer: str) -> None:
        """A tool, prompt or resource as the server describes it to models."""
        schema = {key: offer[key] for key in ("inputSchema", "outputSchema", "arguments") if offer.get(key)}
        told = (text(offer.get("title")), definition(offer.get("description"), schema))
        name = short(pick(offer, "name", "uri")[1])
        self._add("\n".join(part for part in told if part), "tool_definition", pointer, name)

    def _asked(self, params: dict[str, Any], pointer: str) -> None:
        """The server asks for the words of a model or of the user: its text reaches one of them."""
        for key in ("systemPrompt", "message"):
            self._add(text(params.get(key)), "tool_result", f"{pointer}/{key}")
        for at, item in enumerate(sequence(params.get("messages"))):
            self._contents(mapping(item).get("content"), f"{pointer}/messages/{at}/content")

    def _add(self, value: str | None, kind: Kind, pointer: str, name: str | None = None) -> None:
        if value or name:
            self._found.append(Delta(value or "", kind, 0, self._parts, pointer, name))
            self._parts += 1
