"""Ollama: newline-delimited JSON, streamed unless the request says `"stream": false`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .call import CREATED_TEXT, Call
from .reply import Piece, Reply, json_reply
from .vendor import Vendor, count_inputs, vector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .answer import Answer

NDJSON: Final = "application/x-ndjson"
_DIMENSIONS: Final = 16


def error(status: int, message: str) -> Reply:
    """Ollama's error object."""
    return json_reply({"error": message}, status=status)


OLLAMA: Final = Vendor("ollama", error)


def chat(call: Call) -> Reply:
    """POST /api/chat."""
    return _reply(call, _in_message)


def generate(call: Call) -> Reply:
    """POST /api/generate."""
    return _reply(call, _in_response)


def _in_message(text: str = "", thinking: str = "", tool: dict[str, Any] | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if thinking:
        message["thinking"] = thinking
    if tool:
        message["tool_calls"] = [{"function": tool}]
    return {"message": message}


def _in_response(text: str = "", thinking: str = "", _tool: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"response": text, "thinking": thinking} if thinking else {"response": text}


def _reply(call: Call, carry: Any) -> Reply:
    answer = call.answer()
    if call.data.get("stream", True) is not False:
        return call.stream(_lines(call, answer, carry), media=NDJSON)
    said = carry(answer.text or answer.refusal, answer.reasoning, _tool(answer))
    return call.whole(_head(call) | said | _ending(answer))


def _lines(call: Call, answer: Answer, carry: Any) -> Iterator[Piece]:
    head = _head(call)
    for piece in answer.deltas(answer.reasoning):
        yield call.json(head | carry("", piece) | {"done": False}) + b"\n"
    for piece in answer.deltas(answer.text or answer.refusal):
        yield call.json(head | carry(piece) | {"done": False}) + b"\n"
    if answer.tool:
        yield call.json(head | carry("", "", _tool(answer)) | {"done": False}) + b"\n"
    yield call.json(head | carry() | _ending(answer)) + b"\n"


def _head(call: Call) -> dict[str, Any]:
    return {"model": call.model, "created_at": CREATED_TEXT}


def _tool(answer: Answer) -> dict[str, Any] | None:
    return {"name": answer.tool.name, "arguments": answer.tool.arguments} if answer.tool else None


def _ending(answer: Answer) -> dict[str, Any]:
    ending: dict[str, Any] = {
        "done": True,
        "done_reason": "stop",
        "total_duration": 42_000_000,
        "load_duration": 1_000_000,
    }
    if answer.usage:
        ending["prompt_eval_count"] = answer.usage.input
        ending["prompt_eval_duration"] = 10_000_000
        ending["eval_count"] = answer.usage.output
        ending["eval_duration"] = 30_000_000
    return ending


def embed(call: Call) -> Reply:
    """POST /api/embed."""
    rows = count_inputs(call.data.get("input"))
    usage = call.answer().usage
    return call.whole(
        {
            "model": call.model,
            "embeddings": [vector(row, _DIMENSIONS) for row in range(rows)],
            "total_duration": 14_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": usage.input if usage else 0,
        }
    )


def embeddings(call: Call) -> Reply:
    """POST /api/embeddings, the older form of one prompt."""
    return call.whole({"embedding": vector(0, _DIMENSIONS)})


def tags(call: Call) -> Reply:
    """GET /api/tags."""
    details = {"format": "gguf", "family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M"}
    entry = {
        "name": "llama3.2:latest",
        "model": "llama3.2:latest",
        "modified_at": CREATED_TEXT,
        "size": 2_019_393_189,
        "digest": "0" * 64,
        "details": details,
    }
    return call.whole({"models": [entry]})
