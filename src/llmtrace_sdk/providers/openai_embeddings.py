"""OpenAI embeddings: POST .../embeddings; the spellings of Voyage, Jina and vLLM included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core import jsonio
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers import _openai_parts as parts
from llmtrace_sdk.providers import _openai_shapes as shapes
from llmtrace_sdk.providers._reading import EMPTY, ReaderState, mapping, require_mapping, sequence
from llmtrace_sdk.providers._shared import Draft, short
from llmtrace_sdk.typing import Covers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_sdk.core.model import Decision, Delta, Prompt
    from llmtrace_sdk.typing import Endpoint, RequestHead

_PATHS = ("/embeddings", "/embeddings/")


COVERS = (
    Covers(
        "embeddings",
        request={"system": ("text",), "user": ("text",), "assistant": ("text",)},
        signed="at_aws",
        notes="conversations to embed (vLLM) are read; token numbers are not",
    ),
)


class OpenAIEmbeddings:
    """The wire format of embeddings (`typing.Provider`)."""

    name = "openai_embeddings"
    covers = COVERS

    def match(self, head: RequestHead, /) -> Endpoint | None:
        """POST to any path that ends in /embeddings, on any host."""
        if not head.path.endswith(_PATHS) or head.method != "POST":
            return None
        return shapes.endpoint(head, "embeddings", "embeddings")

    def parse_request(self, endpoint: Endpoint, payload: Any, /) -> Prompt:
        """The texts to embed; raises `Unreadable` when there is no input."""
        body = require_mapping(payload)
        if "input" not in body and "messages" not in body:
            raise Unreadable("unknown_shape")
        draft = Draft()
        parts.read_texts(draft, body.get("input"), "/input")
        parts.read_messages(draft, sequence(body.get("messages")), "/messages")
        model = short(body.get("model")) or endpoint.model
        return draft.prompt(model, stream=False, settings=shapes.read_settings(body))

    def reader(self, endpoint: Endpoint, /) -> EmbeddingsReader:  # noqa: ARG002
        """A fresh reader for the answer."""
        return EmbeddingsReader()

    def refusal(self, endpoint: Endpoint, decision: Decision, status: int, /) -> bytes:  # noqa: ARG002
        """OpenAI's error object."""
        return shapes.refusal(decision)


class EmbeddingsReader(ReaderState):
    """Reads model and usage; vectors are no text."""

    __slots__ = ()

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a whole answer; raises `Unreadable` when it is neither an answer nor an error."""
        body = mapping(payload)
        is_answer = isinstance(body.get("data"), list)
        self.error_type = shapes.error_of(payload, loose=not is_answer)
        if not is_answer and self.error_type is None:
            raise Unreadable("unknown_shape")
        self.model = short(body.get("model"))
        self.response_id = short(body.get("id"))
        self.usage = shapes.usage_of(body.get("usage"))
        return EMPTY

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:  # noqa: ARG002
        """Embeddings are not streamed; an event holds the whole answer."""
        return self.body(jsonio.decode(data))


PROVIDER = OpenAIEmbeddings()
