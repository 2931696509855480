"""Model Context Protocol over streamable HTTP (specification 2025-06-18, `basic/transports`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .reply import Mark, Piece, Reply, json_reply
from .vendor import Vendor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .answer import Answer
    from .call import Call
    from .http1 import Request

_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
_METHOD_NOT_FOUND: Final = -32601
_INTERNAL_ERROR: Final = -32603
_TEXT_INPUT: Final = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
TOOLS: Final = (
    {"name": "lookup", "description": "Looks a question up in the timetable.", "inputSchema": _TEXT_INPUT},
    {"name": "repeat", "description": "Gives back what it was given.", "inputSchema": _TEXT_INPUT},
)


def error(status: int, message: str) -> Reply:
    """A JSON-RPC error that belongs to no request."""
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": _INTERNAL_ERROR, "message": message}}
    return json_reply(body, status=status)


def _no_model(_request: Request, _data: dict[str, Any]) -> str:
    return ""


MCP: Final = Vendor("mcp", error, _no_model)


def post(call: Call) -> Reply:
    """POST /mcp: one JSON-RPC message; notifications and responses are taken with 202."""
    method, request_id = call.data.get("method"), call.data.get("id")
    if request_id is None or method is None:
        return Reply(status=202)
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": request_id, **_outcome(call, method)}
    headers = f"mcp-session-id: {call.id('session-')}\r\n" if method == "initialize" else ""
    if call.scenario.sse:
        return call.stream(_once(call, message), headers=headers)
    return call.whole(message, headers=headers)


def _once(call: Call, message: dict[str, Any]) -> Iterator[Piece]:
    if call.data.get("method") == "tools/call":
        told = {"progressToken": 1, "progress": 1, "total": 2}
        yield call.sse({"jsonrpc": "2.0", "method": "notifications/progress", "params": told}, "message")
    yield call.sse(message, "message")


def _outcome(call: Call, method: Any) -> dict[str, Any]:
    if method == "initialize":
        return {"result": _initialized(call)}
    if method == "tools/list":
        return {"result": {"tools": TOOLS}}
    if method == "tools/call":
        return {"result": _tool_result(call)}
    if method == "ping":
        return {"result": {}}
    return {"error": {"code": _METHOD_NOT_FOUND, "message": "Method not found"}}


def _params(call: Call) -> dict[str, Any]:
    params = call.data.get("params")
    return params if isinstance(params, dict) else {}


def _initialized(call: Call) -> dict[str, Any]:
    asked = _params(call).get("protocolVersion")
    return {
        "protocolVersion": asked if asked in _VERSIONS else _VERSIONS[-1],
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "fake-provider", "version": "1"},
    }


def _tool_result(call: Call) -> dict[str, Any]:
    params = _params(call)
    arguments = params.get("arguments")
    given = arguments if isinstance(arguments, dict) else {}
    text = "\n".join(value for value in given.values() if isinstance(value, str))
    if params.get("name") != "repeat" or call.scenario.text:
        text = _said(call.answer_to({"input": text}))
    return {"content": [{"type": "text", "text": text}], "isError": call.scenario.refusal}


def _said(answer: Answer) -> str:
    return answer.text or answer.refusal


def listen(call: Call) -> Reply:
    """GET /mcp: the stream for what the server starts itself; it says nothing and stays open."""
    return call.stream(iter((b": open\n\n", Mark.HOLD)))


def end(_call: Call) -> Reply:
    """DELETE /mcp: ends a session."""
    return Reply(status=200)
