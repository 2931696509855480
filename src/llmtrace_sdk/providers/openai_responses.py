"""OpenAI responses: POST .../responses, and GET .../responses/{id}, which fetches a stored one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core.model import Prompt
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers import _hosts
from llmtrace_sdk.providers import _openai_parts as parts
from llmtrace_sdk.providers import _openai_shapes as shapes
from llmtrace_sdk.providers._openai_events import ResponsesReader
from llmtrace_sdk.providers._openai_items import read_items
from llmtrace_sdk.providers._reading import mapping, require_mapping
from llmtrace_sdk.providers._responses_ending import ending
from llmtrace_sdk.providers._shared import Draft, escape, short
from llmtrace_sdk.typing import Covers

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Decision, Kind
    from llmtrace_sdk.typing import Endpoint, RequestHead, Told

_API = "responses"
_PATHS = ("/responses", "/responses/")
_ANSWER: Final[tuple[Kind, ...]] = ("text", "reasoning", "refusal", "tool_call", "tool_result", "tool_definition")
_ASKING = ("input", "prompt", "previous_response_id", "conversation")


COVERS = (
    Covers(
        _API,
        request={
            "system": ("text", "tool_definition"),
            "user": ("text",),
            "assistant": ("text", "reasoning", "refusal", "tool_call"),
            "tool": ("tool_result",),
        },
        answer=_ANSWER,
        stream=_ANSWER,
        signed="at_aws",
        notes="what the vendor keeps (earlier responses, stored prompts) is not in the request",
    ),
    Covers(_API, "fetch_response", answer=_ANSWER, stream=_ANSWER, signed="at_aws", notes="a stored answer is fetched"),
)


class OpenAIResponses:
    """The wire format of the Responses API (`typing.Provider`)."""

    name = "openai_responses"
    covers = COVERS

    def match(self, head: RequestHead, /) -> Endpoint | None:
        """POST to any path that ends in /responses; GET of a stored response."""
        if head.path.endswith(_PATHS):
            return shapes.endpoint(head, "chat", _API) if head.method == "POST" else None
        if head.method == "GET" and "/responses/" in head.path:
            return _match_stored(head)
        return None

    def parse_request(self, endpoint: Endpoint, payload: Any, /) -> Prompt:
        """Instructions, input, tools and settings; raises `Unreadable` when nothing is asked."""
        if endpoint.operation == "fetch_response":
            return Prompt()
        body = require_mapping(payload)
        if not any(body.get(key) is not None for key in _ASKING):
            raise Unreadable("unknown_shape")
        draft = Draft()
        draft.add(body.get("instructions"), "system", "/instructions")
        if isinstance(body.get("input"), list):
            read_items(draft, body["input"], "/input")
        else:
            draft.add(body.get("input"), "user", "/input")
        _read_template(draft, mapping(body.get("prompt")))
        parts.read_tools(draft, body.get("tools"), "/tools")
        model = short(body.get("model")) or endpoint.model
        return draft.prompt(model, body.get("stream") is True, shapes.read_settings(body))

    def reader(self, endpoint: Endpoint, /) -> ResponsesReader:  # noqa: ARG002
        """A fresh reader for the answer."""
        return ResponsesReader()

    def refusal(self, endpoint: Endpoint, decision: Decision, status: int, /) -> bytes:  # noqa: ARG002
        """OpenAI's error object."""
        return shapes.refusal(decision)

    def ending(self, endpoint: Endpoint, decision: Decision, told: Told, /) -> bytes:  # noqa: ARG002
        """The last events of a stopped stream: the response is incomplete, by a content filter."""
        return ending(decision, told)


def _match_stored(head: RequestHead) -> Endpoint | None:
    """GET .../responses/{id}. On a host nobody knows the id must look like one, as other APIs have `responses` too."""
    before, _, label = head.path.rpartition("/")
    if not label or not before.endswith("/responses"):
        return None
    if label.startswith("resp") or _hosts.is_known(head.host):
        return shapes.endpoint(head, "fetch_response", _API)
    return None


def _read_template(draft: Draft, prompt: dict[str, Any]) -> None:
    """A stored prompt: its text is at the vendor's, only the variables are in the request."""
    for key, value in mapping(prompt.get("variables")).items():
        parts.read_content(draft, value, "user", f"/prompt/variables/{escape(key)}")


PROVIDER = OpenAIResponses()
