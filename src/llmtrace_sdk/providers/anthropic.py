"""Anthropic Messages: `/v1/messages` at any host and prefix, and Anthropic's models on Vertex AI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.providers._anthropic_ending import events
from llmtrace_sdk.providers._anthropic_reader import MessagesReader
from llmtrace_sdk.providers._anthropic_request import read_messages
from llmtrace_sdk.providers._endings import objects, sse
from llmtrace_sdk.providers._shared import BLOCKED_CODE, blocked_message, encode, path_name
from llmtrace_sdk.typing import Covers, Endpoint

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Decision, Prompt
    from llmtrace_sdk.typing import RequestHead, Told

_END = b"event: message_stop"
_MESSAGES = Endpoint("anthropic", "chat", "messages", end_mark=_END)
_MESSAGES_AT_AWS = Endpoint("aws.bedrock", "chat", "messages", signed=True, end_mark=_END)
_AWS_HOSTS = ".api.aws"
_VERTEX_PATH = "/publishers/anthropic/models/"
_VERTEX_COUNTING = "count-tokens"
_ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}


COVERS = (
    Covers(
        "messages",
        request={
            "system": ("text", "tool_definition"),
            "user": ("text",),
            "assistant": ("text", "reasoning", "tool_call"),
            "tool": ("tool_result",),
            "data": ("text", "tool_result"),
        },
        answer=("text", "reasoning", "tool_call", "tool_result"),
        stream=("text", "reasoning", "tool_call", "tool_result"),
        signed="at_aws",
        notes="what a search or a fetch brought back is data; encrypted thoughts and results are not read",
    ),
)


class Anthropic:
    """The wire format."""

    name = "anthropic"
    covers = COVERS

    def match(self, head: RequestHead, /) -> Endpoint | None:
        """A POST to the Messages endpoint or to a Vertex AI model of Anthropic."""
        path = head.path
        if path.endswith("/v1/messages"):
            return _messages(head) if head.method == "POST" else None
        if path.endswith("awPredict") and head.method == "POST":
            return _vertex(path)
        return None

    def parse_request(self, endpoint: Endpoint, payload: Any, /) -> Prompt:
        """Read a Messages body; raises `Unreadable`."""
        return read_messages(payload, endpoint.model, endpoint.stream)

    def reader(self, endpoint: Endpoint, /) -> MessagesReader:  # noqa: ARG002
        """A fresh reader."""
        return MessagesReader()

    def refusal(self, endpoint: Endpoint, decision: Decision, status: int, /) -> bytes:  # noqa: ARG002
        """`{"type": "error", "error": {...}}` with the type that belongs to the status."""
        error = {
            "type": _ERROR_TYPES.get(status, "invalid_request_error"),
            "message": blocked_message(decision),
            "code": BLOCKED_CODE,
        }
        return encode({"type": "error", "error": error})

    def ending(self, endpoint: Endpoint, decision: Decision, told: Told, /) -> bytes:  # noqa: ARG002
        """The last events of a stopped stream: the message is a refusal."""
        made = events(decision, objects(told.events), told.model)
        return b"".join(sse(event, event["type"]) for event in made)


def _messages(head: RequestHead) -> Endpoint:
    return _MESSAGES_AT_AWS if head.host.endswith(_AWS_HOSTS) else _MESSAGES


def _vertex(path: str) -> Endpoint | None:
    _, found, tail = path.rpartition(_VERTEX_PATH)
    model, _, method = tail.rpartition(":")
    if not found or method not in ("rawPredict", "streamRawPredict") or model == _VERTEX_COUNTING:
        return None
    return Endpoint("gcp.vertex_ai", "chat", "messages", model=path_name(model), stream=method == "streamRawPredict")


PROVIDER = Anthropic()
