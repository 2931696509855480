"""Model Context Protocol over streamable HTTP: what a program sends to tools and what tools answer.

Source: https://modelcontextprotocol.io/specification (2025-03-26 to 2026-07-28), sections Transports, Tools, Resources
and Prompts. JSON-RPC batches of the first of these revisions are read too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core.model import Prompt, Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._endings import mark, objects, sse
from llmtrace_sdk.providers._mcp_reader import MCPReader
from llmtrace_sdk.providers._reading import mapping
from llmtrace_sdk.providers._shared import BLOCKED_CODE, Draft, blocked_message, encode, escape, short, texts
from llmtrace_sdk.typing import Covers, Endpoint

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Channel, Decision
    from llmtrace_sdk.typing import RequestHead, Told

_ENDPOINT = Endpoint("mcp", "execute_tool", "mcp")
# A server may listen at any path, so its headers decide. Looking into headers is slow; these are never its paths.
_MODEL_PATHS = ("/completions", "/responses", "/messages", "/embeddings", "/predictions", "/chat", "/generate")
_REFUSED = -32001
"""A code of the range that JSON-RPC 2.0 section 5.1 leaves to servers."""

_OPAQUE = frozenset({"type", "mimeType", "data", "blob", "action"})


COVERS = (
    Covers(
        "mcp",
        request={"user": ("text",), "assistant": ("text", "tool_call")},
        answer=("tool_result", "tool_definition"),
        stream=("tool_result", "tool_definition"),
        notes="what a server asks of the model or the user is read as a tool's result",
    ),
)


class MCP:
    """The wire format."""

    name = "mcp"
    covers = COVERS

    def match(self, head: RequestHead, /) -> Endpoint | None:
        """A POST with the protocol's headers, or to a path that ends in `/mcp` and accepts both kinds of answers.

        GET opens a channel for the server's own messages and DELETE ends a session: no call is made by them.
        """
        if head.method != "POST" or head.path.endswith(_MODEL_PATHS):
            return None
        header = head.headers.get
        if header("mcp-protocol-version") or header("mcp-session-id"):
            return _ENDPOINT
        if not head.path.endswith("/mcp"):
            return None
        accepted = header("accept", "")
        return _ENDPOINT if "application/json" in accepted and "text/event-stream" in accepted else None

    def parse_request(self, endpoint: Endpoint, payload: Any, /) -> Prompt:  # noqa: ARG002
        """Read a JSON-RPC message or a batch of them; raises `Unreadable`."""
        draft = Draft()
        if isinstance(payload, list):
            for at, message in enumerate(payload):
                _read_message(draft, message, f"/{at}")
        else:
            _read_message(draft, payload, "")
        return draft.prompt(None, stream=False, settings=Settings())

    def reader(self, endpoint: Endpoint, /) -> MCPReader:  # noqa: ARG002
        """A fresh reader."""
        return MCPReader()

    def refusal(self, endpoint: Endpoint, decision: Decision, status: int, /) -> bytes:  # noqa: ARG002
        """A JSON-RPC error; its id is null because the request's is not known here (JSON-RPC 2.0 section 5)."""
        error = {"code": _REFUSED, "message": blocked_message(decision), "data": {"code": BLOCKED_CODE}}
        return encode({"jsonrpc": "2.0", "id": None, "error": error})

    def ending(self, endpoint: Endpoint, decision: Decision, told: Told, /) -> bytes | None:  # noqa: ARG002
        """An error for each request that has no answer yet; None where no request is known."""
        data = {"code": BLOCKED_CODE, "llmtrace": mark(decision)}
        error = {"code": _REFUSED, "message": blocked_message(decision), "data": data}
        waiting = _unanswered(told)
        if waiting is None:
            return None
        return b"".join(sse({"jsonrpc": "2.0", "id": label, "error": error}, "message") for label in waiting)


def _unanswered(told: Told) -> list[str | int] | None:
    """The ids of the requests that were sent, without those that the client has an answer to; None without any."""
    answered = {_label(message) for message in objects(told.events) if "result" in message or "error" in message}
    sent = [_label(message) for message in objects((told.request,)) if "method" in message]
    known = [label for label in sent if label is not None]
    return [label for label in known if label not in answered] if known else None


def _label(message: dict[str, Any]) -> str | int | None:
    label = message.get("id")
    return label if isinstance(label, str | int) else None


def _read_message(draft: Draft, message: Any, pointer: str) -> None:
    """Only messages that carry content give segments; handshakes and notifications have none."""
    if not isinstance(message, dict) or "jsonrpc" not in message:
        raise Unreadable("unknown_shape")
    method, params, place = message.get("method"), mapping(message.get("params")), f"{pointer}/params"
    if method == "tools/call":
        name = short(params.get("name"))
        if name:
            draft.tools.append(name)
        draft.add_json(params.get("arguments"), f"{place}/arguments", name)
    elif method == "prompts/get":
        draft.add_texts(params.get("arguments"), "user", f"{place}/arguments")
    elif method == "completion/complete":
        draft.add_texts(mapping(params.get("argument")).get("value"), "user", f"{place}/argument/value")
    elif method is None:
        _read_reply(draft, mapping(message.get("result")), f"{pointer}/result")
    for key, reply in mapping(params.get("inputResponses")).items():
        _read_reply(draft, mapping(reply), f"{place}/inputResponses/{escape(key)}")


def _read_reply(draft: Draft, result: dict[str, Any], pointer: str) -> None:
    """What the server had asked for: the words of a model (sampling) or of the user (elicitation)."""
    channel: Channel = "assistant" if "role" in result else "user"
    for place, found in texts(result.get("content"), f"{pointer}/content", _OPAQUE):
        draft.add(found, channel, place)


PROVIDER = MCP()
