"""Google Gemini, as the Developer API and Vertex AI serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .reply import JSON, Piece, Reply, json_reply
from .vendor import Vendor, vector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .answer import Answer, Usage
    from .call import Call
    from .http1 import Request

_STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_DIMENSIONS: Final = 16


def error(status: int, message: str) -> Reply:
    """Google's error object."""
    name = _STATUSES.get(status, "UNKNOWN")
    return json_reply({"error": {"code": status, "message": message, "status": name}}, status=status)


def model_of(request: Request, _data: dict[str, Any]) -> str:
    """The last path segment, up to the method."""
    return request.path.rpartition("/")[2].rpartition(":")[0]


GEMINI: Final = Vendor("gemini", error, model_of)


def generate(call: Call) -> Reply:
    """POST */models/{model}:generateContent."""
    answer = call.answer()
    return call.whole(_response(call, answer, [list(_parts(answer))] * _count(call), last=True))


def stream(call: Call) -> Reply:
    """POST */models/{model}:streamGenerateContent: SSE with `?alt=sse`, else a JSON array sent bit by bit."""
    answer = call.answer()
    chunks = _chunks(call, answer)
    if "alt=sse" in call.request.query:
        return call.stream(call.sse(chunk) for chunk in chunks)
    return call.stream(_array(call, chunks), media=JSON)


def _array(call: Call, chunks: Iterator[dict[str, Any]]) -> Iterator[Piece]:
    opening = b"["
    for chunk in chunks:
        yield opening + call.json(chunk)
        opening = b",\r\n"
    yield b"]"


def _count(call: Call) -> int:
    config = call.data.get("generationConfig")
    asked = call.scenario.n or (config.get("candidateCount") if isinstance(config, dict) else None)
    return min(asked, 128) if isinstance(asked, int) and asked > 0 else 1


def _parts(answer: Answer) -> Iterator[dict[str, Any]]:
    if answer.reasoning:
        yield {"text": answer.reasoning, "thought": True}
    if answer.text:
        yield {"text": answer.text}
    if answer.tool:
        yield {"functionCall": {"name": answer.tool.name, "args": answer.tool.arguments}}


def _chunks(call: Call, answer: Answer) -> Iterator[dict[str, Any]]:
    parts = _streamed_parts(answer)
    held = next(parts, None)
    while held is not None:
        following = next(parts, None)
        yield _response(call, answer, [[held]] * _count(call), last=following is None)
        held = following
    if answer.refusal:
        yield _response(call, answer, [[]] * _count(call), last=True)


def _streamed_parts(answer: Answer) -> Iterator[dict[str, Any]]:
    for piece in answer.deltas(answer.reasoning):
        yield {"text": piece, "thought": True}
    for piece in answer.deltas(answer.text):
        yield {"text": piece}
    if answer.tool:
        yield {"functionCall": {"name": answer.tool.name, "args": answer.tool.arguments}}


def _response(call: Call, answer: Answer, contents: list[list[dict[str, Any]]], *, last: bool) -> dict[str, Any]:
    candidates = [_candidate(index, parts, answer, last) for index, parts in enumerate(contents)]
    body: dict[str, Any] = {"candidates": candidates, "modelVersion": call.model, "responseId": call.id("")}
    if answer.usage:
        body["usageMetadata"] = _usage(answer.usage)
    return body


def _candidate(index: int, parts: list[dict[str, Any]], answer: Answer, last: bool) -> dict[str, Any]:
    if answer.refusal and not parts:
        return {"finishReason": "SAFETY", "index": index}
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": index}
    if last:
        candidate["finishReason"] = "STOP"
    return candidate


def _usage(usage: Usage) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "totalTokenCount": usage.total,
        "cachedContentTokenCount": usage.cached,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input}],
    }
    if usage.reasoning:
        counts["thoughtsTokenCount"] = usage.reasoning
    return counts


def count_tokens(call: Call) -> Reply:
    """POST */models/{model}:countTokens."""
    usage = call.answer().usage
    return call.whole({"totalTokens": usage.input if usage else 0})


def embed(call: Call) -> Reply:
    """POST */models/{model}:embedContent."""
    return call.whole({"embedding": {"values": vector(0, _DIMENSIONS)}})


def embed_batch(call: Call) -> Reply:
    """POST */models/{model}:batchEmbedContents."""
    rows = _length(call.data.get("requests"))
    return call.whole({"embeddings": [{"values": vector(row, _DIMENSIONS)} for row in range(rows)]})


def predict(call: Call) -> Reply:
    """POST */models/{model}:predict, Vertex AI's older embedding method."""
    rows = _length(call.data.get("instances"))
    statistics = {"token_count": 4, "truncated": False}
    return call.whole(
        {
            "predictions": [
                {"embeddings": {"values": vector(row, _DIMENSIONS), "statistics": statistics}} for row in range(rows)
            ]
        }
    )


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 1
