"""OpenAI chat completions, the wire format most vendors and local servers speak: POST .../chat/completions.

Also Mistral's /agents/completions, which differs in the name of the model only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers import _openai_parts as parts
from llmtrace_sdk.providers import _openai_shapes as shapes
from llmtrace_sdk.providers._openai_choices import ChoicesReader
from llmtrace_sdk.providers._openai_ending import ending
from llmtrace_sdk.providers._reading import mapping, require_mapping, sequence
from llmtrace_sdk.providers._shared import Draft, short
from llmtrace_sdk.typing import Covers

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Decision, Prompt
    from llmtrace_sdk.typing import Endpoint, RequestHead, Told

_PATHS = ("/chat/completions", "/agents/completions", "/chat/completions/")


COVERS = (
    Covers(
        "chat_completions",
        request={
            "system": ("text", "tool_definition"),
            "user": ("text",),
            "assistant": ("text", "reasoning", "refusal", "tool_call"),
            "tool": ("tool_result",),
            "data": ("text",),
        },
        answer=("text", "reasoning", "refusal", "tool_call"),
        stream=("text", "reasoning", "refusal", "tool_call"),
        signed="at_aws",
        notes="a transcript is the text of spoken answers",
    ),
)


class OpenAIChat:
    """The wire format of chat completions (`typing.Provider`)."""

    name = "openai_chat"
    covers = COVERS

    def match(self, head: RequestHead, /) -> Endpoint | None:
        """POST to any path that ends in /chat/completions, on any host."""
        if not head.path.endswith(_PATHS) or head.method != "POST":
            return None
        return shapes.endpoint(head, "chat", "chat_completions")

    def parse_request(self, endpoint: Endpoint, payload: Any, /) -> Prompt:
        """Messages, tools and settings; raises `Unreadable` when there are neither messages nor a prompt."""
        body = require_mapping(payload)
        draft = Draft()
        if isinstance(body.get("messages"), list):
            parts.read_messages(draft, body["messages"], "/messages")
        elif not isinstance(body.get("prompt"), str):
            raise Unreadable("unknown_shape")
        draft.add(body.get("prompt"), "user", "/prompt")
        parts.read_tools(draft, body.get("tools"), "/tools")
        parts.read_tools(draft, body.get("functions"), "/functions")
        parts.read_content(draft, mapping(body.get("prediction")).get("content"), "data", "/prediction/content")
        for at, document in enumerate(sequence(body.get("documents"))):
            draft.add_texts(document, "data", f"/documents/{at}")
        model = short(body.get("model")) or endpoint.model
        return draft.prompt(model, body.get("stream") is True, shapes.read_settings(body))

    def reader(self, endpoint: Endpoint, /) -> ChoicesReader:  # noqa: ARG002
        """A fresh reader for the answer."""
        return ChoicesReader()

    def refusal(self, endpoint: Endpoint, decision: Decision, status: int, /) -> bytes:  # noqa: ARG002
        """OpenAI's error object."""
        return shapes.refusal(decision)

    def ending(self, endpoint: Endpoint, decision: Decision, told: Told, /) -> bytes:  # noqa: ARG002
        """The last chunk of a stopped stream, with the reason `content_filter`."""
        return ending(decision, told, chat=True)


PROVIDER = OpenAIChat()
