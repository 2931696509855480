from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_formats import (
    BLOCKED,
    JSON,
    as_event,
    assert_parses_or_refuses,
    assert_pointers,
    assert_reads_or_refuses,
    head,
    matched,
    mutated,
    pieces,
    read_stream,
    read_whole,
    rows,
    told,
)

from llmtrace_sdk.core.model import Prompt, Settings, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers.replicate import PROVIDER
from llmtrace_sdk.typing import Endpoint

HOST = "api.replicate.com"
CREATE = matched(PROVIDER, "/v1/predictions", HOST)
FETCH = Endpoint("replicate", "fetch_response", "predictions")
SAID = "Grüße, 😀!"
REQUEST: dict[str, Any] = {
    "version": "0123",
    "stream": True,
    "input": {
        "prompt": "hello",
        "system_prompt": "Be brief.",
        "messages": [{"role": "assistant", "content": "before"}, {"role": "user", "content": [{"text": "more"}]}],
        "image": "data:image/png;base64,AAAA",
        "max_new_tokens": 5,
        "temperature": 0.1,
        "top_p": 0.5,
        "top_k": 3,
        "seed": 7,
        "stop_sequences": "x",
    },
}
PREDICTION: dict[str, Any] = {
    "id": "p-1",
    "model": "meta/llama-x",
    "version": "hidden",
    "status": "succeeded",
    "output": pieces(SAID),
    "metrics": {"input_token_count": 12, "output_token_count": 34},
    "error": None,
}


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/predictions", None),
        ("/relay/v1/predictions", None),
        ("/v1/models/meta/llama-x/predictions", "meta/llama-x"),
        ("/v1/deployments/acme/bot/predictions", "acme/bot"),
    ],
)
def test_match(path: str, model: str | None) -> None:
    assert matched(PROVIDER, path, HOST) == Endpoint("replicate", "text_completion", "predictions", model)


@pytest.mark.parametrize(
    ("path", "host", "stream"),
    [("/v1/predictions/p-1", HOST, None), ("/v1/files/abc", "stream.replicate.com", True)],
)
def test_match_of_fetches(path: str, host: str, stream: bool | None) -> None:
    endpoint = PROVIDER.match(head(path, "GET", host))
    assert endpoint == Endpoint("replicate", "fetch_response", "predictions", stream=stream)
    assert PROVIDER.parse_request(endpoint, None) == Prompt(stream=stream is True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/predictions"),
        ("POST", "/v1/predictions/p-1/cancel"),
        ("POST", "/v1/trainings"),
        ("GET", "/v1/models/meta/llama-x"),
        ("DELETE", "/v1/predictions/p-1"),
    ],
)
def test_no_match(method: str, path: str) -> None:
    assert PROVIDER.match(head(path, method, HOST)) is None


def test_request() -> None:
    prompt = PROVIDER.parse_request(CREATE, REQUEST)
    assert rows(prompt) == [
        ("/input/prompt", "hello", "user", "text", None),
        ("/input/system_prompt", "Be brief.", "system", "text", None),
        ("/input/messages/0/content", "before", "assistant", "text", None),
        ("/input/messages/1/content/0/text", "more", "user", "text", None),
    ]
    assert_pointers(REQUEST, prompt.segments)
    assert (prompt.model, prompt.stream, prompt.blobs, prompt.notes) == ("0123", True, 1, ())
    assert prompt.settings == Settings(max_tokens=5, temperature=0.1, top_p=0.5, top_k=3, seed=7, stop_sequences=("x",))


def test_unknown_inputs_are_noted_and_read() -> None:
    prompt = PROVIDER.parse_request(CREATE, {"input": {"lyrics": "la la"}})
    assert rows(prompt) == [("/input/lyrics", "la la", "user", "text", None)]
    assert prompt.notes == ("unknown_part",)


def test_messages_as_text_and_several_pictures() -> None:
    prompt = PROVIDER.parse_request(CREATE, {"input": {"messages": "[...]", "images": ["a", "b"]}})
    assert rows(prompt) == [("/input/messages", "[...]", "user", "text", None)]
    assert prompt.blobs == 2


@pytest.mark.parametrize("body", [None, [], {}, {"input": "x"}])
def test_unknown_shape(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.parse_request(CREATE, body)


@pytest.mark.parametrize("output", [SAID, pieces(SAID), {"text": SAID}])
def test_whole_answer(output: Any) -> None:
    reader, segments = read_whole(PROVIDER, FETCH, {**PREDICTION, "output": output})
    assert [(s.pointer, s.text, s.kind) for s in segments] == [("/output", SAID, "text")]
    assert told(reader) == {
        "model": "meta/llama-x",
        "response_id": "p-1",
        "finish_reasons": ["succeeded"],
        "usage": Usage(12, 34),
        "error_type": None,
        "service_tier": None,
        "done": True,
    }


@given(size=st.integers(1, 40))
def test_streamed_is_whole(size: int) -> None:
    _, whole = read_whole(PROVIDER, FETCH, PREDICTION)
    events = [("output", piece.encode()) for piece in pieces(SAID, size)]
    reader, segments = read_stream(PROVIDER, FETCH, [*events, ("done", b"{}")])
    assert segments == whole
    assert (reader.done, reader.finish_reasons, reader.error_type) == (True, ["succeeded"], None)


@pytest.mark.parametrize(
    ("body", "error", "reasons"),
    [
        ({**PREDICTION, "status": "starting", "output": None}, None, []),
        ({**PREDICTION, "status": "failed", "output": None, "error": "secret"}, "failed", ["failed"]),
        ({**PREDICTION, "status": "canceled", "output": None}, "canceled", ["canceled"]),
        ({"title": "T", "detail": "secret", "status": 422}, "422", []),
    ],
)
def test_predictions_that_did_not_succeed(body: Any, error: str | None, reasons: list[str]) -> None:
    reader, segments = read_whole(PROVIDER, CREATE, body)
    assert (segments, reader.error_type, reader.finish_reasons) == ((), error, reasons)


@pytest.mark.parametrize(
    ("events", "done"),
    [([("error", b"secret sentence")], False), ([("done", b'{"reason":"error"}')], True)],
)
def test_errors_in_a_stream(events: list[tuple[str, bytes]], done: bool) -> None:
    reader, segments = read_stream(PROVIDER, FETCH, [("output", b"so far"), *events])
    assert [segment.text for segment in segments] == ["so far"]
    assert (reader.error_type, reader.done) == ("failed", done)


def test_refusal() -> None:
    assert json.loads(PROVIDER.refusal(CREATE, BLOCKED, 400)) == {
        "title": "Bad Request",
        "detail": "Blocked by llmtrace policy: prompt_injection.high (decision 0190-abcd)",
        "status": 400,
    }


@pytest.mark.parametrize("body", [None, [], {}, {"choices": []}])
def test_unknown_answer(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.reader(FETCH).body(body)


@given(JSON | mutated(REQUEST))
def test_hostile_requests(payload: Any) -> None:
    assert_parses_or_refuses(PROVIDER, CREATE, payload)


@given(JSON | mutated(PREDICTION))
def test_hostile_answers(payload: Any) -> None:
    reader = PROVIDER.reader(FETCH)
    assert_reads_or_refuses(lambda: reader.body(payload), reader)


@given(st.sampled_from(["output", "done", "error", "logs", ""]), st.binary(max_size=20) | JSON.map(as_event))
def test_hostile_events(name: str, data: bytes) -> None:
    reader = PROVIDER.reader(FETCH)
    assert_reads_or_refuses(lambda: reader.event(name, data), reader)
