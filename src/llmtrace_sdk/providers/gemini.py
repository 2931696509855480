"""Google's Gemini API: `models/{model}:generateContent` and its relatives, on any host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.providers._gemini_ending import ending
from llmtrace_sdk.providers._gemini_reader import GenerateReader
from llmtrace_sdk.providers._gemini_request import read_embed, read_generate
from llmtrace_sdk.providers._shared import BLOCKED_CODE, blocked_message, encode, path_name
from llmtrace_sdk.typing import Covers, Endpoint

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Channel, Decision, Kind, Prompt
    from llmtrace_sdk.typing import RequestHead, Told

_METHODS = {
    "generateContent": ("generate_content", False),
    "streamGenerateContent": ("generate_content", True),
    "embedContent": ("embeddings", False),
    "batchEmbedContents": ("embeddings", False),
}
_VERTEX_PREDICT = "predict"
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
}


_REQUEST: Final[dict[Channel, tuple[Kind, ...]]] = {
    "system": ("text", "tool_definition"),
    "user": ("text",),
    "assistant": ("text", "reasoning", "tool_call"),
    "tool": ("tool_result",),
}
_ANSWER: Final[tuple[Kind, ...]] = ("text", "reasoning", "tool_call", "tool_result")
_TEXTS: Final[dict[Channel, tuple[Kind, ...]]] = {"user": ("text",)}
COVERS = (
    Covers("generateContent", request=_REQUEST, answer=_ANSWER, notes="cached content is not in the request"),
    Covers(
        "streamGenerateContent",
        request=_REQUEST,
        answer=_ANSWER,
        stream=_ANSWER,
        fixed=("answer",),
        notes="whole, it is a JSON array over which the texts are spread",
    ),
    Covers("embedContent", request=_TEXTS),
    Covers("batchEmbedContents", request=_TEXTS),
    Covers(_VERTEX_PREDICT, request=_TEXTS, notes="embedding models of Vertex AI alone"),
)


class Gemini:
    """The wire format."""

    name = "gemini"
    covers = COVERS

    def match(self, head: RequestHead, /) -> Endpoint | None:
        """A POST to a custom method of a model resource."""
        resource, _, method = head.path.rpartition(":")
        known = _METHODS.get(method)
        if known is None:
            if method != _VERTEX_PREDICT or not _embeds(resource):
                return None
            known = ("embeddings", False)
        if head.method != "POST":
            return None
        model = path_name(resource.rpartition("/")[2])
        return Endpoint(_vendor(head.host), known[0], method, model, known[1])

    def parse_request(self, endpoint: Endpoint, payload: Any, /) -> Prompt:
        """Read a request body; raises `Unreadable`."""
        if endpoint.operation == "embeddings":
            return read_embed(payload, endpoint.model)
        return read_generate(payload, endpoint.model, endpoint.stream is True)

    def reader(self, endpoint: Endpoint, /) -> GenerateReader:  # noqa: ARG002
        """A fresh reader."""
        return GenerateReader()

    def refusal(self, endpoint: Endpoint, decision: Decision, status: int, /) -> bytes:  # noqa: ARG002
        """A google.rpc.Status as Google's HTTP gateways write it: `error.code` must equal the status."""
        detail = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": BLOCKED_CODE,
            "domain": "llmtrace",
            "metadata": {"decision": decision.id},
        }
        error = {
            "code": status,
            "message": blocked_message(decision),
            "status": _STATUSES.get(status, "FAILED_PRECONDITION"),
            "details": [detail],
        }
        return encode({"error": error})

    def ending(self, endpoint: Endpoint, decision: Decision, told: Told, /) -> bytes:  # noqa: ARG002
        """The last response of a stopped stream: its candidates were unsafe."""
        return ending(decision, told)


def _embeds(resource: str) -> bool:
    """Only Google's embedding models are known to take texts in `predict`."""
    return "/publishers/google/models/" in resource and "embedding" in resource


def _vendor(host: str) -> str:
    if host == "generativelanguage.googleapis.com":
        return "gcp.gemini"
    if host.endswith(".googleapis.com") or host == "aiplatform.googleapis.com":
        return "gcp.vertex_ai" if "aiplatform" in host else "gcp.gen_ai"
    return "gcp.gen_ai"


PROVIDER = Gemini()
