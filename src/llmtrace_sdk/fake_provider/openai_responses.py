"""OpenAI's Responses API: one whole response, or its full sequence of typed events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .call import CREATED, Call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .answer import Answer, Usage
    from .reply import Piece, Reply

Event = dict[str, Any]


def responses(call: Call) -> Reply:
    """POST */responses."""
    answer = call.answer()
    if call.streams:
        return call.stream(_numbered(call, _events(call, answer)))
    return call.whole(_response(call, answer, "completed", _output(call, answer)))


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def _response(call: Call, answer: Answer, status: str, output: list[Event]) -> dict[str, Any]:
    done = status == "completed"
    return {
        "id": call.id("resp_"),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": call.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(answer.usage) if done and answer.usage else None,
        "metadata": {},
    }


def _output(call: Call, answer: Answer) -> list[Event]:
    items = []
    if answer.reasoning:
        items.append(_reasoning(call, answer.reasoning))
    if answer.text or answer.refusal:
        items.append(_message(call, [_part(answer.text, answer.refusal)], "completed"))
    if answer.tool:
        items.append(_function_call(call, answer, answer.tool.json, "completed"))
    return items


def _reasoning(call: Call, text: str) -> Event:
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"id": call.id("rs_"), "type": "reasoning", "summary": summary}


def _message(call: Call, content: list[Event], status: str) -> Event:
    return {
        "id": call.id("msg_"),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _part(text: str, refusal: str, is_refusal: bool = False) -> Event:
    if refusal or is_refusal:
        return {"type": "refusal", "refusal": refusal}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _function_call(call: Call, answer: Answer, arguments: str, status: str) -> Event:
    assert answer.tool is not None
    return {
        "id": call.id("fc_"),
        "type": "function_call",
        "status": status,
        "arguments": arguments,
        "call_id": call.id("call_"),
        "name": answer.tool.name,
    }


def _numbered(call: Call, events: Iterator[Event]) -> Iterator[Piece]:
    for number, event in enumerate(events):
        yield call.sse(event | {"sequence_number": number}, event["type"])


def _events(call: Call, answer: Answer) -> Iterator[Event]:
    started = _response(call, answer, "in_progress", [])
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    place = 0
    if answer.reasoning:
        yield from _reasoning_events(call, answer, place)
        place += 1
    if answer.text or answer.refusal:
        yield from _message_events(call, answer, place)
        place += 1
    if answer.tool:
        yield from _function_events(call, answer, place)
    yield {
        "type": "response.completed",
        "response": _response(call, answer, "completed", _output(call, answer)),
    }


def _reasoning_events(call: Call, answer: Answer, place: int) -> Iterator[Event]:
    item = _reasoning(call, answer.reasoning)
    where = {"item_id": item["id"], "output_index": place, "summary_index": 0}
    yield {"type": "response.output_item.added", "output_index": place, "item": _reasoning(call, "")}
    yield {
        "type": "response.reasoning_summary_part.added",
        **where,
        "part": {"type": "summary_text", "text": ""},
    }
    for piece in answer.deltas(answer.reasoning):
        yield {"type": "response.reasoning_summary_text.delta", **where, "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", **where, "text": answer.reasoning}
    yield {"type": "response.reasoning_summary_part.done", **where, "part": item["summary"][0]}
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


def _message_events(call: Call, answer: Answer, place: int) -> Iterator[Event]:
    refused = bool(answer.refusal)
    part = _part(answer.text, answer.refusal)
    item = _message(call, [part], "completed")
    where = {"item_id": item["id"], "output_index": place, "content_index": 0}
    kind, field = ("refusal", "refusal") if refused else ("output_text", "text")
    extra: Event = {} if refused else {"logprobs": []}
    added = _message(call, [], "in_progress")
    yield {"type": "response.output_item.added", "output_index": place, "item": added}
    yield {"type": "response.content_part.added", **where, "part": _part("", "", refused)}
    for piece in answer.deltas(answer.text or answer.refusal):
        yield {"type": f"response.{kind}.delta", **where, "delta": piece, **extra}
    yield {"type": f"response.{kind}.done", **where, field: answer.text or answer.refusal, **extra}
    yield {"type": "response.content_part.done", **where, "part": part}
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


def _function_events(call: Call, answer: Answer, place: int) -> Iterator[Event]:
    assert answer.tool is not None
    arguments = answer.tool.json
    item = _function_call(call, answer, arguments, "completed")
    where = {"item_id": item["id"], "output_index": place}
    added = _function_call(call, answer, "", "in_progress")
    yield {"type": "response.output_item.added", "output_index": place, "item": added}
    for piece in answer.deltas(arguments):
        yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
    yield {
        "type": "response.function_call_arguments.done",
        **where,
        "arguments": arguments,
        "name": answer.tool.name,
    }
    yield {"type": "response.output_item.done", "output_index": place, "item": item}
