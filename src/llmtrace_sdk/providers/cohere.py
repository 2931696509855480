"""Cohere: `/v2/chat` and `/v2/embed` at any host, `/v1/chat` and `/v1/embed` at Cohere's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.providers._cohere_ending import ending, ending_v1
from llmtrace_sdk.providers._cohere_reader import ChatReader
from llmtrace_sdk.providers._cohere_reader_v1 import ChatReaderV1
from llmtrace_sdk.providers._cohere_request import read_chat, read_chat_v1, read_embed
from llmtrace_sdk.providers._shared import BLOCKED_CODE, blocked_message, encode
from llmtrace_sdk.typing import Covers, Endpoint

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Decision, Prompt
    from llmtrace_sdk.typing import RequestHead, Told

_V2 = {
    "chat": Endpoint("cohere", "chat", "chat_v2"),
    "embed": Endpoint("cohere", "embeddings", "embed"),
}
_V1 = {
    "chat": Endpoint("cohere", "chat", "chat_v1", framing="ndjson"),
    "embed": Endpoint("cohere", "embeddings", "embed"),
}
_HOSTS = (".cohere.com", ".cohere.ai")


COVERS = (
    Covers(
        "chat_v2",
        request={
            "system": ("text", "tool_definition"),
            "user": ("text",),
            "assistant": ("text", "reasoning", "tool_call"),
            "tool": ("tool_result",),
            "data": ("text",),
        },
        answer=("text", "reasoning", "tool_call"),
        stream=("text", "reasoning", "tool_call"),
        notes="the plan before tool calls is reasoning",
    ),
    Covers(
        "chat_v1",
        request={
            "system": ("text", "tool_definition"),
            "user": ("text",),
            "assistant": ("text", "tool_call"),
            "tool": ("tool_result",),
            "data": ("text",),
        },
        answer=("text", "tool_call"),
        stream=("text", "tool_call"),
        framing="ndjson",
        notes="what connectors fetch is not in the request",
    ),
    Covers("embed", request={"user": ("text",)}),
)


class Cohere:
    """The wire format."""

    name = "cohere"
    covers = COVERS

    def match(self, head: RequestHead, /) -> Endpoint | None:
        """A POST to one of the paths, at any prefix."""
        path = head.path
        if not path.endswith(("/chat", "/embed")) or head.method != "POST":
            return None
        base, _, name = path.rpartition("/")
        if base.endswith("/v2"):
            return _V2[name]
        return _V1[name] if base.endswith("/v1") and head.host.endswith(_HOSTS) else None

    def parse_request(self, endpoint: Endpoint, payload: Any, /) -> Prompt:
        """Read a body; raises `Unreadable`."""
        if endpoint.api == "embed":
            return read_embed(payload)
        return read_chat_v1(payload) if endpoint.api == "chat_v1" else read_chat(payload)

    def reader(self, endpoint: Endpoint, /) -> ChatReader | ChatReaderV1:
        """A fresh reader."""
        return ChatReaderV1() if endpoint.api == "chat_v1" else ChatReader()

    def refusal(self, endpoint: Endpoint, decision: Decision, status: int, /) -> bytes:  # noqa: ARG002
        """`{"message": "..."}`."""
        return encode({"message": blocked_message(decision), "code": BLOCKED_CODE})

    def ending(self, endpoint: Endpoint, decision: Decision, told: Told, /) -> bytes:
        """The last events of a stopped stream: it ends with an error."""
        return ending_v1(decision, told) if endpoint.api == "chat_v1" else ending(decision, told)


PROVIDER = Cohere()
