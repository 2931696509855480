from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_answers import (
    ANY,
    JSON,
    OBJECTS,
    Recorder,
    assert_pointers,
    cut,
    facts,
    head,
    read_stream,
    read_whole,
    real_request,
    repeatable,
    sse,
    texts,
)
from wire_formats import assert_parses_or_refuses

from llmtrace_sdk.core.model import Decision, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers.openai_completions import PROVIDER

ANSWER = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "text": "Hello", "logprobs": None, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def parse(body: Any) -> Any:
    return PROVIDER.parse_request(ANY, body)


def chunk(text: str, index: int = 0, finish: str | None = None) -> dict[str, Any]:
    choice = {"text": text, "index": index, "logprobs": None, "finish_reason": finish}
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}


@pytest.mark.parametrize(
    ("path", "host", "provider"),
    [
        ("/v1/completions", "api.openai.com", "openai"),
        ("/completions", "localhost", "openai"),
        ("/v1/fim/completions", "codestral.mistral.ai", "mistral_ai"),
        ("/beta/completions", "api.deepseek.com", "deepseek"),
    ],
)
def test_match(path: str, host: str, provider: str) -> None:
    endpoint = PROVIDER.match(head(path, host=host))
    assert endpoint is not None
    assert (endpoint.provider, endpoint.operation, endpoint.api) == (provider, "text_completion", "completions")


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v1/completions", "GET"),
        ("/v1/chat/completions", "POST"),
        ("/v1/chat/completions/", "POST"),
        ("/v1/agents/completions", "POST"),
        ("/v1/completions/1", "POST"),
        ("/completion", "POST"),
        ("/autocompletions", "POST"),
    ],
)
def test_no_match(path: str, method: str) -> None:
    assert PROVIDER.match(head(path, method)) is None


@pytest.mark.parametrize(
    ("prompt", "found", "blobs"),
    [
        ("hi", {"/prompt": "hi"}, 0),
        (["a", "", "b"], {"/prompt/0": "a", "/prompt/2": "b"}, 0),
        ([1, 2, 3], {}, 1),
        ([[1, 2], [3]], {}, 2),
        (["a", [1, 2]], {"/prompt/0": "a"}, 1),
        (None, {}, 0),
        ([], {}, 0),
    ],
)
def test_prompts(prompt: Any, found: dict[str, str], blobs: int) -> None:
    body = {"model": "m", "prompt": prompt}
    read = parse(body)
    assert texts(read) == found
    assert {s.channel for s in read.segments} <= {"user"}
    assert (read.blobs, read.notes) == (blobs, ("token_ids",) if blobs else ())
    assert_pointers(body, read.segments)


@pytest.mark.parametrize("prompt", [7, {"odd": "x"}, [7.5], [True], [None, {"type": "odd"}]])
def test_odd_prompts_are_noted(prompt: Any) -> None:
    assert parse({"prompt": prompt}).notes == ("unknown_part",)


def test_fill_in_the_middle() -> None:
    prompt = parse({"model": "codestral", "prompt": "def f(", "suffix": "return x", "stream": True, "max_tokens": 3})
    assert texts(prompt) == {"/prompt": "def f(", "/suffix": "return x"}
    assert (prompt.stream, prompt.settings.max_tokens) == (True, 3)


@pytest.mark.parametrize("body", [None, [], "x", {}, {"messages": []}])
def test_unknown_shape(body: Any) -> None:
    with pytest.raises(Unreadable) as caught:
        parse(body)
    assert caught.value.reason == "unknown_shape"


def test_whole_answer() -> None:
    reader, (segment,) = read_whole(PROVIDER, ANSWER)
    assert (segment.text, segment.pointer, segment.kind) == ("Hello", "/choices/0/text", "text")
    assert facts(reader) == ("m", "cmpl-1", ["length"], Usage(1, 2), None, None)


def test_answer_in_the_shape_of_a_chat() -> None:
    """Mistral's fill-in-the-middle answers like a chat."""
    payload = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}}]}
    _, (segment,) = read_whole(PROVIDER, payload)
    assert (segment.text, segment.pointer) == ("x", "/choices/0/message/content")


def test_an_empty_text_leaves_nothing() -> None:
    reader, segments = read_stream(PROVIDER, [chunk(""), chunk("", finish="stop"), b"[DONE]"])
    assert (segments, reader.finish_reasons, reader.done) == ((), ["stop"], True)


@repeatable
@given(
    st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), min_size=1, max_size=3),
    st.lists(st.integers(1, 5)),
)
def test_streamed_equals_whole(said: list[str], sizes: list[int]) -> None:
    whole = [{"index": n, "text": text, "finish_reason": "stop"} for n, text in enumerate(said)]
    events = [chunk(piece, n) for n, text in enumerate(said) for piece in cut(text, sizes)]
    ends = [chunk("", n, "stop") for n in reversed(range(len(said)))]
    expected, expected_segments = read_whole(PROVIDER, {"id": "cmpl-1", "model": "m", "choices": whole})
    reader, segments = read_stream(PROVIDER, [*events, *ends])
    assert segments == expected_segments
    assert facts(reader) == facts(expected)


@repeatable
@given(JSON | OBJECTS | st.fixed_dictionaries({"prompt": JSON}))
def test_any_request_is_read_or_unreadable(body: Any) -> None:
    assert_parses_or_refuses(PROVIDER, ANY, body)


def test_what_the_real_client_sends() -> None:
    sent, body = real_request(
        lambda client: client.completions.create(model="m", prompt=["a", "b"], suffix="z", max_tokens=4, echo=False),
        ANSWER,
    )
    assert PROVIDER.match(sent) is not None
    prompt = parse(body)
    assert texts(prompt) == {"/prompt/0": "a", "/prompt/1": "b", "/suffix": "z"}
    assert (prompt.model, prompt.settings.max_tokens) == ("m", 4)


def test_the_client_and_we_read_one_stream_alike() -> None:
    events = [chunk("Hel"), chunk("lo"), chunk("", finish="stop")]
    recorder = Recorder(sse(events), "text/event-stream")
    with httpx2.Client(transport=httpx2.MockTransport(recorder)) as http:
        client = openai.OpenAI(api_key="test", http_client=http)
        read = "".join(part.choices[0].text for part in client.completions.create(model="m", prompt="p", stream=True))
    _, (segment,) = read_stream(PROVIDER, events)
    assert segment.text == read == "Hello"


def test_refusal() -> None:
    body = json.loads(PROVIDER.refusal(ANY, Decision(id="d-1", action="block", reason="pii.high"), 400))
    assert body["error"]["code"] == "llmtrace_blocked"
    assert "pii.high" in body["error"]["message"]
