"""Cohere's v2 chat and embed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .reply import Piece, Reply, json_reply
from .vendor import Vendor, vector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .answer import Answer, Usage
    from .call import Call

_DIMENSIONS: Final = 16


def error(status: int, message: str) -> Reply:
    """Cohere's error object."""
    return json_reply({"id": "fake-error", "message": message}, status=status)


COHERE: Final = Vendor("cohere", error)


def chat(call: Call) -> Reply:
    """POST /v2/chat."""
    answer = call.answer()
    if call.streams:
        return call.stream(_stream(call, answer))
    body = {"id": call.id("cohere-"), "finish_reason": _finish(answer), "message": _message(call, answer)}
    if answer.usage:
        body["usage"] = _usage(answer.usage)
    return call.whole(body)


def _finish(answer: Answer) -> str:
    return "TOOL_CALL" if answer.tool else "COMPLETE"


def _usage(usage: Usage) -> dict[str, Any]:
    counts = {"input_tokens": usage.input, "output_tokens": usage.output}
    return {"billed_units": counts, "tokens": counts, "cached_tokens": usage.cached}


def _contents(answer: Answer) -> list[tuple[str, str]]:
    """Kind and text of each content part; a part's text field is named like its kind."""
    parts = (("thinking", answer.reasoning), ("text", answer.text or answer.refusal))
    return [(kind, text) for kind, text in parts if text]


def _message(call: Call, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant"}
    if contents := _contents(answer):
        message["content"] = [{"type": kind, kind: text} for kind, text in contents]
    if answer.tool:
        message["tool_plan"] = "I will look that up."
        message["tool_calls"] = [_tool_call(call, answer, answer.tool.json)]
    return message


def _tool_call(call: Call, answer: Answer, arguments: str) -> dict[str, Any]:
    assert answer.tool is not None
    function = {"name": answer.tool.name, "arguments": arguments}
    return {"id": call.id("tool_"), "type": "function", "function": function}


def _stream(call: Call, answer: Answer) -> Iterator[Piece]:
    for event in _events(call, answer):
        yield call.sse(event, event["type"])
    yield call.sse_text(b"[DONE]")


def _events(call: Call, answer: Answer) -> Iterator[dict[str, Any]]:
    opened: dict[str, Any] = {
        "role": "assistant",
        "content": [],
        "tool_plan": "",
        "tool_calls": [],
        "citations": [],
    }
    yield {"type": "message-start", "id": call.id("cohere-"), "delta": {"message": opened}}
    for index, (kind, text) in enumerate(_contents(answer)):
        begun = {"type": kind, kind: ""}
        yield {"type": "content-start", "index": index, "delta": {"message": {"content": begun}}}
        for piece in answer.deltas(text):
            yield {"type": "content-delta", "index": index, "delta": {"message": {"content": {kind: piece}}}}
        yield {"type": "content-end", "index": index}
    if answer.tool:
        yield from _tool_events(call, answer)
    ended: dict[str, Any] = {"finish_reason": _finish(answer)}
    if answer.usage:
        ended["usage"] = _usage(answer.usage)
    yield {"type": "message-end", "delta": ended}


def _tool_events(call: Call, answer: Answer) -> Iterator[dict[str, Any]]:
    assert answer.tool is not None
    yield {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will look that up."}}}
    begun = {"message": {"tool_calls": _tool_call(call, answer, "")}}
    yield {"type": "tool-call-start", "index": 0, "delta": begun}
    for piece in answer.deltas(answer.tool.json):
        delta = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
        yield {"type": "tool-call-delta", "index": 0, "delta": delta}
    yield {"type": "tool-call-end", "index": 0}


def embed(call: Call) -> Reply:
    """POST /v2/embed; floats only."""
    given = call.data.get("texts")
    texts = given if isinstance(given, list) else []
    usage = call.answer().usage
    return call.whole(
        {
            "id": call.id("embed-"),
            "response_type": "embeddings_by_type",
            "embeddings": {"float": [vector(row, _DIMENSIONS) for row in range(len(texts) or 1)]},
            "texts": texts,
            "meta": {
                "api_version": {"version": "2"},
                "billed_units": {"input_tokens": usage.input if usage else 0},
            },
        }
    )
