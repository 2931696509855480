"""Replicate predictions: made at once, fetched again, or read as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .answer import Answer
from .call import CREATED_TEXT, Call
from .reply import Piece, Reply, json_reply, sse_event
from .vendor import Vendor, model_in_body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .http1 import Request

_VERSION: Final = "f" * 64
_Kept = tuple[dict[str, Any], Answer]


def error(status: int, message: str) -> Reply:
    """Replicate's error object."""
    return json_reply({"title": "Request failed", "detail": message, "status": status}, status=status)


def model_of(request: Request, data: dict[str, Any]) -> str:
    """owner/name from the path, else the body's model or version."""
    _, found, rest = request.path.partition("/models/")
    if found:
        return "/".join(rest.split("/")[:2])
    version = data.get("version")
    return model_in_body(request, data) or (version if isinstance(version, str) else "")


REPLICATE: Final = Vendor("replicate", error, model_of)


def create(call: Call) -> Reply:
    """POST /v1/predictions and /v1/models/{owner}/{name}/predictions. The prediction has always succeeded."""
    answer = call.answer()
    name = call.id("p")
    prediction = _prediction(call, answer, name)
    call.state.keep_prediction(name, (prediction, answer))
    reply = call.whole(prediction)
    reply.status = 201
    return reply


def _prediction(call: Call, answer: Answer, name: str) -> dict[str, Any]:
    root = f"http://{call.request.headers.get('host', '127.0.0.1')}/v1"
    prediction: dict[str, Any] = {
        "id": name,
        "model": call.model,
        "version": _VERSION,
        "status": "succeeded",
        "input": call.data.get("input") if isinstance(call.data.get("input"), dict) else {},
        "output": list(answer.deltas(answer.text or answer.refusal)),
        "logs": "",
        "error": None,
        "created_at": CREATED_TEXT,
        "started_at": CREATED_TEXT,
        "completed_at": CREATED_TEXT,
        "urls": {
            "get": f"{root}/predictions/{name}",
            "cancel": f"{root}/predictions/{name}/cancel",
            "stream": f"{root}/stream/{name}",
        },
    }
    if answer.usage:
        counts = {"input_token_count": answer.usage.input, "output_token_count": answer.usage.output}
        prediction["metrics"] = {"predict_time": 0.042, **counts}
    return prediction


def _kept(call: Call) -> _Kept | None:
    kept: _Kept | None = call.state.predictions.get(call.request.path.rpartition("/")[2])
    return kept


def fetch(call: Call) -> Reply:
    """GET /v1/predictions/{id}."""
    kept = _kept(call)
    return call.whole(kept[0]) if kept else error(404, "there is no such prediction")


def stream(call: Call) -> Reply:
    """GET /v1/stream/{id}: the prediction's output as server-sent events."""
    kept = _kept(call)
    return call.stream(_events(call, kept[1])) if kept else error(404, "there is no such prediction")


def _events(call: Call, answer: Answer) -> Iterator[Piece]:
    scenario = call.scenario
    number = 0
    for number, piece in enumerate(answer.deltas(answer.text or answer.refusal)):
        yield _event(piece.encode(), "output", number, scenario.crlf, scenario.comments)
    yield _event(b"{}", "done", number + 1, scenario.crlf, scenario.comments)


def _event(data: bytes, event: str, number: int, crlf: bool, comments: bool) -> bytes:
    return sse_event(data, event=event, number=f"{number}:0", crlf=crlf, comments=comments)


def version(call: Call) -> Reply:
    """GET /v1/models/{owner}/{name}/versions/{id}: tells clients that the output is a list to be joined."""
    output = {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"}
    return call.whole(
        {
            "id": _VERSION,
            "created_at": CREATED_TEXT,
            "cog_version": "0.9.0",
            "openapi_schema": {"components": {"schemas": {"Output": output}}},
        }
    )
