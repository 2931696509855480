"""Amazon Bedrock: Converse and InvokeModel, whole and streamed.

Requests are signed over their body (SigV4), so they can be refused but not rewritten.
Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.providers._bedrock_converse import read_converse
from llmtrace_sdk.providers._bedrock_converse_reader import ConverseReader
from llmtrace_sdk.providers._bedrock_ending import converse, invoke
from llmtrace_sdk.providers._bedrock_invoke import read_invoke
from llmtrace_sdk.providers._bedrock_invoke_reader import InvokeReader
from llmtrace_sdk.providers._shared import blocked_message, encode, path_name
from llmtrace_sdk.typing import Covers, Endpoint

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Channel, Decision, Kind, Prompt
    from llmtrace_sdk.typing import RequestHead, Told

_METHODS = {
    "converse": False,
    "converse-stream": True,
    "invoke": False,
    "invoke-with-response-stream": True,
}
"""Operation in the path -> is the answer streamed."""

_SUFFIXES = tuple(f"/{method}" for method in _METHODS)
_TEXT_MODELS = (
    "amazon.titan-text",
    "ai21.j2",
    "cohere.command-text",
    "cohere.command-light",
    "deepseek.r1",
    "meta.llama",
    "mistral.mistral-7b",
    "mistral.mixtral",
)
"""Models that continue a text instead of a conversation."""


_CONVERSE: Final[dict[Channel, tuple[Kind, ...]]] = {
    "system": ("text", "tool_definition"),
    "user": ("text",),
    "assistant": ("text", "reasoning", "tool_call"),
    "tool": ("tool_result",),
    "data": ("text",),
}
_CONVERSED: Final[tuple[Kind, ...]] = ("text", "reasoning", "tool_call", "tool_result")
_INVOKE: Final[dict[Channel, tuple[Kind, ...]]] = {
    "system": ("text", "tool_definition"),
    "user": ("text",),
    "assistant": ("text", "reasoning", "refusal", "tool_call"),
    "tool": ("tool_result",),
    "data": ("text", "tool_result"),
}
_INVOKED: Final[tuple[Kind, ...]] = ("text", "reasoning", "refusal", "tool_call", "tool_result")
_VENDORS = "the body is that of the model's own vendor, of whose kinds it has some"
COVERS = (
    Covers("converse", request=_CONVERSE, answer=_CONVERSED, framing="aws", signed="always"),
    Covers("converse_stream", request=_CONVERSE, stream=_CONVERSED, framing="aws", signed="always"),
    Covers("invoke", request=_INVOKE, answer=_INVOKED, framing="aws", signed="always", notes=_VENDORS),
    Covers(
        "invoke_with_response_stream",
        request=_INVOKE,
        stream=_INVOKED,
        framing="aws",
        signed="always",
        notes=_VENDORS,
    ),
)


class Bedrock:
    """The wire format."""

    name = "bedrock"
    covers = COVERS

    def match(self, head: RequestHead, /) -> Endpoint | None:
        """A POST to `/model/{modelId}/{method}`; the model id may be an ARN, with its slashes escaped or not."""
        path = head.path
        if not path.endswith(_SUFFIXES) or head.method != "POST":
            return None
        _, found, tail = path.partition("/model/")
        model, _, method = tail.rpartition("/")
        if not found or not model:
            return None
        model = path_name(model)
        operation = "chat" if method.startswith("converse") else _operation(model)
        return Endpoint("aws.bedrock", operation, method.replace("-", "_"), model, _METHODS[method], "aws", signed=True)

    def parse_request(self, endpoint: Endpoint, payload: Any, /) -> Prompt:
        """Read a body; raises `Unreadable`."""
        if endpoint.api.startswith("converse"):
            return read_converse(payload, endpoint.model, endpoint.stream is True)
        return read_invoke(endpoint, payload)

    def reader(self, endpoint: Endpoint, /) -> ConverseReader | InvokeReader:
        """A fresh reader."""
        return ConverseReader() if endpoint.api.startswith("converse") else InvokeReader()

    def refusal(self, endpoint: Endpoint, decision: Decision, status: int, /) -> bytes:  # noqa: ARG002
        """`{"message": "..."}`."""
        return encode({"message": blocked_message(decision)})

    def ending(self, endpoint: Endpoint, decision: Decision, told: Told, /) -> bytes:
        """The last messages of a stopped stream: a guardrail intervened, or what the model's vendor says instead."""
        return (converse if endpoint.api.startswith("converse") else invoke)(decision, told)


def _operation(model: str) -> str:
    if "embed" in model:
        return "embeddings"
    return "text_completion" if any(known in model for known in _TEXT_MODELS) else "chat"


PROVIDER = Bedrock()
