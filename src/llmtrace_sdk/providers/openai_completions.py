"""OpenAI legacy completions: POST .../completions with a bare prompt, fill-in-the-middle (Mistral) included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers import _openai_parts as parts
from llmtrace_sdk.providers import _openai_shapes as shapes
from llmtrace_sdk.providers._openai_choices import ChoicesReader
from llmtrace_sdk.providers._openai_ending import ending
from llmtrace_sdk.providers._reading import require_mapping
from llmtrace_sdk.providers._shared import Draft, short
from llmtrace_sdk.typing import Covers

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Decision, Prompt
    from llmtrace_sdk.typing import Endpoint, RequestHead, Told

_PATHS = ("/completions", "/completions/")
_CHAT = ("/chat/completions", "/agents/completions", "/chat/completions/")


COVERS = (Covers("completions", request={"user": ("text",)}, answer=("text",), stream=("text",), signed="at_aws"),)


class OpenAICompletions:
    """The wire format of legacy completions (`typing.Provider`)."""

    name = "openai_completions"
    covers = COVERS

    def match(self, head: RequestHead, /) -> Endpoint | None:
        """POST to any path that ends in /completions, chat excepted, on any host."""
        if not head.path.endswith(_PATHS) or head.method != "POST" or head.path.endswith(_CHAT):
            return None
        return shapes.endpoint(head, "text_completion", "completions")

    def parse_request(self, endpoint: Endpoint, payload: Any, /) -> Prompt:
        """Prompts, suffix and settings; raises `Unreadable` when there is no prompt."""
        body = require_mapping(payload)
        if "prompt" not in body and "suffix" not in body:
            raise Unreadable("unknown_shape")
        draft = Draft()
        parts.read_texts(draft, body.get("prompt"), "/prompt")
        draft.add(body.get("suffix"), "user", "/suffix")
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
        return ending(decision, told, chat=False)


PROVIDER = OpenAICompletions()
