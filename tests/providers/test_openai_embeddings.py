from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_answers import (
    ANY,
    JSON,
    OBJECTS,
    assert_pointers,
    facts,
    head,
    read_stream,
    read_whole,
    real_request,
    repeatable,
    texts,
)
from wire_formats import assert_parses_or_refuses, assert_reads_or_refuses

from llmtrace_sdk.core.model import Decision, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers.openai_embeddings import PROVIDER

ANSWER = {
    "object": "list",
    "model": "text-embedding-x",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}


def parse(body: Any) -> Any:
    return PROVIDER.parse_request(ANY, body)


@pytest.mark.parametrize(
    ("path", "host", "provider", "model"),
    [
        ("/v1/embeddings", "api.openai.com", "openai", None),
        ("/v1/embeddings", "api.voyageai.com", "voyage", None),
        ("/openai/deployments/e/embeddings", "r.openai.azure.com", "azure.ai.openai", "e"),
    ],
)
def test_match(path: str, host: str, provider: str, model: str | None) -> None:
    endpoint = PROVIDER.match(head(path, host=host))
    assert endpoint is not None
    assert (endpoint.provider, endpoint.operation, endpoint.api, endpoint.model) == (
        provider,
        "embeddings",
        "embeddings",
        model,
    )


@pytest.mark.parametrize(
    ("path", "method"), [("/v1/embeddings", "GET"), ("/v1/embeddings/1", "POST"), ("/v1/embed", "POST")]
)
def test_no_match(path: str, method: str) -> None:
    assert PROVIDER.match(head(path, method)) is None


@pytest.mark.parametrize(
    ("given_input", "found", "blobs"),
    [
        ("hi", {"/input": "hi"}, 0),
        (["a", "b"], {"/input/0": "a", "/input/1": "b"}, 0),
        ([1, 2], {}, 1),
        ([[1], [2]], {}, 2),
        (
            [{"text": "a"}, {"image": "https://x"}, {"text": "b", "image": "AAAA"}],
            {"/input/0/text": "a", "/input/2/text": "b"},
            2,
        ),
        (
            [{"content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": "x"}]}],
            {"/input/0/content/0/text": "a"},
            1,
        ),
        ([{"type": "text", "text": "a"}], {"/input/0/text": "a"}, 0),
    ],
)
def test_input(given_input: Any, found: dict[str, str], blobs: int) -> None:
    body = {"model": "m", "input": given_input}
    prompt = parse(body)
    assert texts(prompt) == found
    assert {s.channel for s in prompt.segments} <= {"user"}
    assert prompt.blobs == blobs
    assert_pointers(body, prompt.segments)


def test_messages_in_place_of_input() -> None:
    assert texts(parse({"messages": [{"role": "user", "content": "hi"}]})) == {"/messages/0/content": "hi"}


@pytest.mark.parametrize(
    ("member", "field", "value"),
    [
        ({"encoding_format": "base64"}, "encoding_formats", ("base64",)),
        ({"encoding_format": ["float", "base64"]}, "encoding_formats", ("float", "base64")),
        ({"dimensions": 256}, "dimensions", 256),
        ({"output_dimension": 512}, "dimensions", 512),
    ],
)
def test_settings(member: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(parse({"input": "x", **member}).settings, field) == value


@pytest.mark.parametrize("body", [None, [], "x", {}, {"prompt": "x"}])
def test_unknown_shape(body: Any) -> None:
    with pytest.raises(Unreadable) as caught:
        parse(body)
    assert caught.value.reason == "unknown_shape"


def test_answer() -> None:
    reader, segments = read_whole(PROVIDER, ANSWER)
    assert segments == ()
    assert facts(reader) == ("text-embedding-x", None, [], Usage(8), None, None)
    streamed, _ = read_stream(PROVIDER, [ANSWER])
    assert facts(streamed) == facts(reader)


def test_error() -> None:
    reader, _ = read_whole(
        PROVIDER, {"error": {"message": "m", "type": "insufficient_quota", "code": "insufficient_quota"}}
    )
    assert reader.error_type == "insufficient_quota"
    assert read_whole(PROVIDER, {"detail": "secret"})[0].error_type == "_OTHER"


@pytest.mark.parametrize("body", [None, [], {}, {"data": 1}, "x"])
def test_unknown_answer(body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        read_whole(PROVIDER, body)


@repeatable
@given(JSON | OBJECTS | st.fixed_dictionaries({"input": JSON}))
def test_any_request_is_read_or_unreadable(body: Any) -> None:
    assert_parses_or_refuses(PROVIDER, ANY, body)


@repeatable
@given(JSON | OBJECTS, st.binary(max_size=32))
def test_any_answer_is_read_or_unreadable(body: Any, data: bytes) -> None:
    for read in (lambda reader: reader.body(body), lambda reader: reader.event("", data)):
        reader = PROVIDER.reader(ANY)
        assert_reads_or_refuses(lambda read=read, reader=reader: nothing(read(reader)), reader)  # type: ignore[misc]


def nothing(said: Any) -> tuple[()]:
    assert tuple(said) == ()
    return ()


def test_what_the_real_client_sends() -> None:
    sent, body = real_request(
        lambda client: client.embeddings.create(model="m", input=["a", "b"], dimensions=3, encoding_format="float"),
        ANSWER,
    )
    assert PROVIDER.match(sent) is not None
    prompt = parse(body)
    assert texts(prompt) == {"/input/0": "a", "/input/1": "b"}
    assert (prompt.model, prompt.settings.dimensions, prompt.settings.encoding_formats) == ("m", 3, ("float",))
    _, body = real_request(lambda client: client.embeddings.create(model="m", input=[[1, 2], [3]]), ANSWER)
    assert parse(body).notes == ("token_ids",)


def test_refusal() -> None:
    body = json.loads(PROVIDER.refusal(ANY, Decision(id="d-1", action="block", reason="pii.high"), 400))
    assert body["error"]["code"] == "llmtrace_blocked"
