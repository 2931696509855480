"""Reading answers of the Gemini API, whole or streamed.

A stream is a series of ordinary responses; each holds the next parts of its candidates. Consecutive texts of the
same sort continue one piece, anything else starts a new one.
Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from llmtrace_sdk.core.model import Delta, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._gemini_request import CODE_TOOL, NO_TEXT, tool_name
from llmtrace_sdk.providers._reading import EMPTY, ReaderState, mapping, require_mapping, sequence, text
from llmtrace_sdk.providers._shared import (
    compact,
    count,
    error_code,
    event_body,
    joined,
    short,
    total,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from llmtrace_sdk.core.model import Kind


class _Part(Struct, forbid_unknown_fields=True):
    text: str
    thought: bool = False
    thoughtSignature: str | None = None  # noqa: N815


class _Content(Struct):
    parts: tuple[_Part]


class _Candidate(Struct):
    content: _Content
    index: int = 0
    finishReason: str | None = None  # noqa: N815


class _Counts(Struct):
    promptTokenCount: int | None = None  # noqa: N815
    toolUsePromptTokenCount: int | None = None  # noqa: N815
    candidatesTokenCount: int | None = None  # noqa: N815
    thoughtsTokenCount: int | None = None  # noqa: N815
    cachedContentTokenCount: int | None = None  # noqa: N815


class _Chunk(Struct):
    """An ordinary chunk: one candidate that goes on with one text."""

    candidates: tuple[_Candidate]
    usageMetadata: _Counts | None = None  # noqa: N815
    error: Any = None


_DECODE = msgspec.json.Decoder(_Chunk).decode
_FIELDS = _Counts.__struct_fields__
_CANDIDATE_LIMIT = 1023
"""The highest index told apart; what comes on top flows into it."""
_KNOWN = ("candidates", "promptFeedback", "usageMetadata", "embedding", "embeddings", "predictions")


class _Progress:
    """How far one candidate has come: the number of its pieces and the sort of the last one."""

    __slots__ = ("kind", "open_call", "pieces")

    def __init__(self) -> None:
        self.pieces = 0
        self.kind: Kind | None = None
        self.open_call = False

    def piece(self, kind: Kind, *, goes_on: bool) -> tuple[int, bool]:
        """The number of the piece that a part belongs to, and whether it is a new one."""
        if goes_on and kind == self.kind:
            return self.pieces - 1, False
        self.kind = kind
        self.pieces += 1
        return self.pieces - 1, True

    def skip(self) -> None:
        """A piece without text, such as a picture."""
        self.kind = None
        self.pieces += 1


class GenerateReader(ReaderState):
    """The answer of one call."""

    __slots__ = ("_candidates", "_counts", "_latest", "_reasons")

    def __init__(self) -> None:
        super().__init__()
        self._candidates: dict[int, _Progress] = {}
        self._counts: dict[str, int] = {}
        self._latest: _Counts | None = None
        self._reasons: dict[int, str] = {}

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a whole response, or the list of responses that is a stream without `alt=sse`."""
        self.done = True
        if isinstance(payload, list):
            return [delta for item in payload for delta in self._response(mapping(item), streamed=True)]
        response = require_mapping(payload)
        if "error" not in response and not any(key in response for key in _KNOWN):
            raise Unreadable("unknown_shape")
        return self._response(response, streamed=False)

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:  # noqa: ARG002
        """Read one streamed response."""
        try:
            chunk = _DECODE(data)
        except (ValueError, RecursionError):
            return self._event(data)
        candidate = chunk.candidates[0]
        part, at = candidate.content.parts[0], candidate.index
        progress = self._candidates.get(at)
        kind: Kind = "reasoning" if part.thought else "text"
        if progress is None or progress.kind != kind or candidate.finishReason is not None or chunk.error:
            return self._event(data)
        if chunk.usageMetadata is not None:
            self._latest = chunk.usageMetadata
        return (Delta(part.text, kind, at, progress.pieces - 1),) if part.text else EMPTY

    def _event(self, data: bytes) -> Iterable[Delta]:
        return self._response(event_body(data), streamed=True)

    def _response(self, response: dict[str, Any], *, streamed: bool) -> Iterable[Delta]:
        if response.get("error"):
            error = mapping(response["error"])
            self.error_type = error_code(error.get("status"), error.get("code"))
            return EMPTY
        self.model = short(response.get("modelVersion")) or self.model
        self.response_id = short(response.get("responseId")) or self.response_id
        self._count(response)
        self._count_embeddings(response)
        found: list[Delta] = []
        for position, item in enumerate(sequence(response.get("candidates"))):
            candidate = mapping(item)
            index = whole(candidate.get("index"))
            at = min(max(position if index is None else index, 0), _CANDIDATE_LIMIT)
            self._candidate(candidate, at, position, streamed, found)
        self._finish(mapping(response.get("promptFeedback")))
        return found

    def _candidate(self, candidate: dict[str, Any], at: int, position: int, streamed: bool, found: list[Delta]) -> None:
        progress = self._candidates.setdefault(at, _Progress())
        base = f"/candidates/{at if streamed else position}/content/parts"
        for part in sequence(mapping(candidate.get("content")).get("parts")):
            found.extend(_read_part(mapping(part), progress, at, base, streamed=streamed))
        reason = short(candidate.get("finishReason"))
        if reason:
            self._reasons[at] = reason

    def _finish(self, feedback: dict[str, Any]) -> None:
        """A refused prompt has no candidates; what stands in their place is the reason."""
        reasons = [self._reasons[at] for at in sorted(self._reasons)]
        blocked = short(feedback.get("blockReason"))
        self.finish_reasons = reasons or ([blocked] if blocked else [])
        if blocked or (reasons and len(reasons) == len(self._candidates)):
            self.done = True

    @property
    def usage(self) -> Usage:
        """Made when asked for, because every chunk brings counts; they are cumulative, so later ones win."""
        self._keep(self._latest)
        known = self._counts.get
        thoughts = known("thoughtsTokenCount")
        return Usage(
            input_tokens=total(known("promptTokenCount"), known("toolUsePromptTokenCount")),
            output_tokens=total(known("candidatesTokenCount"), thoughts),
            cache_read_tokens=known("cachedContentTokenCount"),
            reasoning_tokens=thoughts,
        )

    @usage.setter
    def usage(self, value: Usage) -> None:
        """Nothing: the counts decide."""

    def _keep(self, seen: _Counts | None) -> None:
        for field in _FIELDS:
            value = count(getattr(seen, field, None))
            if value is not None:
                self._counts[field] = value

    def _count(self, response: dict[str, Any]) -> None:
        usage = response.get("usageMetadata")
        if isinstance(usage, dict):
            self._latest = _Counts(*(count(usage.get(field)) for field in _FIELDS))
            self._keep(self._latest)

    def _count_embeddings(self, response: dict[str, Any]) -> None:
        """Vertex AI counts the tokens of each embedded text."""
        predictions = sequence(response.get("predictions"))
        seen = [mapping(mapping(mapping(item).get("embeddings")).get("statistics")) for item in predictions]
        self._keep(_Counts(promptTokenCount=total(*(count(item.get("token_count")) for item in seen))))


def _read_part(part: dict[str, Any], progress: _Progress, at: int, base: str, *, streamed: bool) -> Iterator[Delta]:
    """The pieces of one part: normally one, none for a picture."""
    said = part.get("text")
    known = [key for key in part if key in _READERS]
    if isinstance(said, str) and (said or not streamed):
        kind: Kind = "reasoning" if part.get("thought") is True else "text"
        number, new = progress.piece(kind, goes_on=streamed)
        yield Delta(said, kind, at, number, f"{base}/{number}/text" if new else "")
    elif said is None and not known:
        yield from _read_unknown(part, progress, at, base)
    for key in known:
        yield _READERS[key](mapping(part[key]), progress, at, f"{base}/%d/{key}")


def _read_unknown(part: dict[str, Any], progress: _Progress, at: int, base: str) -> Iterator[Delta]:
    """A picture, a signature, or a part of a sort that nobody knew when this was written."""
    progress.skip()
    rest = joined(part, NO_TEXT)
    if rest:
        yield Delta(rest, "text", at, progress.pieces - 1, f"{base}/{progress.pieces - 1}")


def _read_call(call: dict[str, Any], progress: _Progress, at: int, place: str) -> Delta:
    """A call, whole or as a run of partial arguments (Vertex AI, `streamFunctionCallArguments`)."""
    number, new = progress.piece("tool_call", goes_on=progress.open_call)
    progress.open_call = call.get("willContinue") is True
    partial = sequence(call.get("partialArgs"))
    args = call.get("args")
    given = joined(partial, frozenset({"jsonPath"})) if partial else compact(args) if args else ""
    return Delta(given, "tool_call", at, number, f"{place % number}/args" if new else "", tool_name(call))


def _read_code(code: dict[str, Any], progress: _Progress, at: int, place: str) -> Delta:
    number, _ = progress.piece("tool_call", goes_on=False)
    return Delta(text(code.get("code")) or "", "tool_call", at, number, f"{place % number}/code", CODE_TOOL)


def _read_output(result: dict[str, Any], progress: _Progress, at: int, place: str) -> Delta:
    number, _ = progress.piece("tool_result", goes_on=False)
    given = text(result.get("output")) or ""
    return Delta(given, "tool_result", at, number, f"{place % number}/output", CODE_TOOL)


def _read_response(result: dict[str, Any], progress: _Progress, at: int, place: str) -> Delta:
    number, _ = progress.piece("tool_result", goes_on=False)
    given = joined(result.get("response"))
    return Delta(given, "tool_result", at, number, f"{place % number}/response", tool_name(result))


_READERS: dict[str, Callable[[dict[str, Any], _Progress, int, str], Delta]] = {
    "functionCall": _read_call,
    "toolCall": _read_call,
    "executableCode": _read_code,
    "codeExecutionResult": _read_output,
    "functionResponse": _read_response,
    "toolResponse": _read_response,
}
