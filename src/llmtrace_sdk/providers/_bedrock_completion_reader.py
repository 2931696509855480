"""Reading answers of Bedrock models that continue one text: Llama, Mistral, Titan, Jurassic, Command, old Claude."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core.model import Delta, Usage
from llmtrace_sdk.providers._reading import EMPTY, ReaderState, mapping, require_mapping, sequence
from llmtrace_sdk.providers._shared import count, event_body, short, total, whole

if TYPE_CHECKING:
    from collections.abc import Iterable

_LISTS = (
    ("results", "outputText", "completionReason"),
    ("outputs", "text", "stop_reason"),
    ("generations", "text", "finish_reason"),
)
_FLAT = (
    ("generation", "stop_reason", "/generation"),
    ("completion", "stop_reason", "/completion"),
    ("outputText", "completionReason", "/results/0/outputText"),
    ("text", "finish_reason", "/generations/0/text"),
)
_EMBEDDINGS = ("embedding", "embeddings", "embeddingsByType")


class CompletionReader(ReaderState):
    """The answer of one call."""

    __slots__ = ()

    MARKS: Final = frozenset({
        *(key for key, _, _ in _LISTS), *(key for key, _, _ in _FLAT), *_EMBEDDINGS, "completions",
    })  # fmt: skip

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a whole answer."""
        self.done = True
        return self._read(require_mapping(payload))

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:  # noqa: ARG002
        """Read one event: the members are those of a whole answer, Titan's without the list around them."""
        return self._read(event_body(data))

    def _read(self, answer: dict[str, Any]) -> Iterable[Delta]:
        self._count(answer)
        found: list[Delta] = []
        for key, field, reason in _LISTS:
            for at, item in enumerate(sequence(answer.get(key))):
                self._add(found, mapping(item), field, reason, at, f"/{key}/{at}/{field}")
        for field, reason, pointer in _FLAT:
            if field in answer:
                self._add(found, answer, field, reason, whole(answer.get("index")) or 0, pointer)
        for at, item in enumerate(sequence(answer.get("completions"))):
            completion = mapping(item)
            told = {**mapping(completion.get("data")), "reason": mapping(completion.get("finishReason")).get("reason")}
            self._add(found, told, "text", "reason", at, f"/completions/{at}/data/text")
        return found or EMPTY

    def _add(
        self, found: list[Delta], piece: dict[str, Any], field: str, reason: str, choice: int, pointer: str
    ) -> None:
        said, ended = piece.get(field), short(piece.get(reason))
        if isinstance(said, str) and said:
            found.append(Delta(said, "text", choice, 0, pointer))
        if ended:
            self.done = True
            self.finish_reasons = [*self.finish_reasons[:1023], ended]

    def _count(self, answer: dict[str, Any]) -> None:
        """Counts so far; the ones that an event leaves out stay."""
        results = sequence(answer.get("results"))
        taken = [count(answer.get(key)) for key in ("prompt_token_count", "inputTextTokenCount")]
        given = [count(answer.get(key)) for key in ("generation_token_count", "totalOutputTextTokenCount")]
        given.append(total(*(count(mapping(item).get("tokenCount")) for item in results)))
        known = self.usage
        self.usage = Usage(
            next((value for value in taken if value is not None), known.input_tokens),
            next((value for value in given if value is not None), known.output_tokens),
        )
