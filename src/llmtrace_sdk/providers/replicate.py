"""Replicate: predictions of language models, started by POST, fetched by GET, or streamed from their own address.

Source: https://replicate.com/docs/reference/http and https://replicate.com/docs/topics/predictions/streaming
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core.model import Channel, Prompt, Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._endings import mark, sse
from llmtrace_sdk.providers._reading import mapping, require_mapping, sequence
from llmtrace_sdk.providers._replicate_reader import PredictionReader
from llmtrace_sdk.providers._shared import Draft, blocked_message, encode, pick, real, short, strings, whole
from llmtrace_sdk.typing import Covers, Endpoint

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Decision
    from llmtrace_sdk.typing import RequestHead, Told

_PREDICTIONS = "predictions"
_FETCH = Endpoint("replicate", "fetch_response", _PREDICTIONS)
_STREAM = Endpoint("replicate", "fetch_response", _PREDICTIONS, stream=True)
_STREAM_HOST = "stream.replicate.com"

# Models name their inputs as they like; these are the names in use among language models.
_INPUTS: dict[str, Channel] = {
    "prompt": "user",
    "text": "user",
    "question": "user",
    "negative_prompt": "user",
    "system_prompt": "system",
    "system_instruction": "system",
    "instructions": "system",
    "prompt_template": "system",
}
_FILES = ("image", "images", "image_input", "audio", "video", "file", "pdf")
_LIMITS = ("max_tokens", "max_new_tokens", "max_completion_tokens", "max_output_tokens", "max_length")
_CHANNELS: dict[Any, Channel] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_TITLES = {400: "Bad Request", 401: "Unauthenticated", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}


COVERS = (
    Covers(
        _PREDICTIONS,
        request={"system": ("text",), "user": ("text",), "assistant": ("text",)},
        answer=("text",),
        notes="streams come from an address of their own",
    ),
    Covers(
        _PREDICTIONS,
        "fetch_response",
        answer=("text",),
        stream=("text",),
        fixed=("stream",),
        notes="streamed events are bare text, no JSON",
    ),
)


class Replicate:
    """The wire format."""

    name = "replicate"
    covers = COVERS

    def match(self, head: RequestHead, /) -> Endpoint | None:
        """A POST to a list of predictions, a GET of one of them, or of a stream."""
        if head.method == "POST":
            return _created(head.path) if head.path.endswith("/predictions") else None
        if head.method != "GET":
            return None
        if head.host == _STREAM_HOST:
            return _STREAM
        return _FETCH if head.path.rpartition("/")[0].endswith("/predictions") else None

    def parse_request(self, endpoint: Endpoint, payload: Any, /) -> Prompt:
        """Read a body; raises `Unreadable`. A fetch has none."""
        if endpoint.operation == "fetch_response":
            return Prompt(stream=endpoint.stream is True)
        body = require_mapping(payload)
        given = body.get("input")
        if not isinstance(given, dict):
            raise Unreadable("unknown_shape")
        draft = Draft()
        _read_input(draft, given)
        model = endpoint.model or body.get("model") or body.get("version")
        return draft.prompt(model, body.get("stream") is True, _settings(given))

    def reader(self, endpoint: Endpoint, /) -> PredictionReader:  # noqa: ARG002
        """A fresh reader."""
        return PredictionReader()

    def refusal(self, endpoint: Endpoint, decision: Decision, status: int, /) -> bytes:  # noqa: ARG002
        """A problem object (RFC 9457) as Replicate writes it."""
        title = _TITLES.get(status, "Refused")
        return encode({"title": title, "detail": blocked_message(decision), "status": status})

    def ending(self, endpoint: Endpoint, decision: Decision, told: Told, /) -> bytes:  # noqa: ARG002
        """The last event of a stopped stream; clients leave out events without an id."""
        return f"id: {decision.id}\n".encode() + sse({"reason": "error", "llmtrace": mark(decision)}, "done")


def _created(path: str) -> Endpoint:
    """`/v1/models/{owner}/{name}/predictions` and `/v1/deployments/...` name the model; `/v1/predictions` does not."""
    parts = path.rsplit("/", 4)
    model = f"{parts[2]}/{parts[3]}" if len(parts) == 5 and parts[1] in ("models", "deployments") else None
    return Endpoint("replicate", "text_completion", _PREDICTIONS, model)


def _read_input(draft: Draft, given: dict[str, Any]) -> None:
    for key, channel in _INPUTS.items():
        draft.add(given.get(key), channel, f"/input/{key}")
    messages = given.get("messages")
    if isinstance(messages, str):
        draft.add(messages, "user", "/input/messages")
    for at, item in enumerate(sequence(messages)):
        _read_message(draft, mapping(item), f"/input/messages/{at}")
    for key in _FILES:
        if given.get(key):
            draft.blobs += len(given[key]) if isinstance(given[key], list) else 1
    if not draft.segments and not draft.blobs:
        draft.add_odd(given, "user", "/input")


def _read_message(draft: Draft, message: dict[str, Any], pointer: str) -> None:
    role = message.get("role")
    channel = _CHANNELS.get(role, "user") if isinstance(role, str) else "user"
    draft.add_texts(message.get("content"), channel, f"{pointer}/content")


def _settings(given: dict[str, Any]) -> Settings:
    return Settings(
        max_tokens=whole(pick(given, *_LIMITS)[1]),
        temperature=real(given.get("temperature")),
        top_p=real(given.get("top_p")),
        top_k=whole(given.get("top_k")),
        frequency_penalty=real(given.get("frequency_penalty")),
        presence_penalty=real(given.get("presence_penalty")),
        seed=whole(given.get("seed")),
        stop_sequences=strings(pick(given, "stop_sequences", "stop")[1]),
        reasoning_level=short(given.get("reasoning_effort")),
    )


PROVIDER = Replicate()
