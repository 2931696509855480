"""The real openai SDK reads every OpenAI format of the fake provider."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest

openai = pytest.importorskip("openai")

from llmtrace_sdk.fake_provider.answer import ACCESS_KEY, REASONING, REFUSAL, TEXTS, TOKEN  # noqa: E402

if TYPE_CHECKING:
    from llmtrace_sdk.fake_provider import FakeProvider

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "When does the ferry leave?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "forecast",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}, "days": {"type": "integer"}}},
    },
}


@pytest.fixture
def client(fake: FakeProvider) -> Any:
    with openai.OpenAI(base_url=fake.url + "/v1", api_key="none", max_retries=0) as made:
        yield made


def stream_text(chunks: Any) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def test_chat_answers_with_plausible_usage(client: Any) -> None:
    reply = client.chat.completions.create(model="gpt-4o-mini", messages=ASK)
    assert reply.choices[0].message.content == TEXTS["plain"]
    assert reply.choices[0].finish_reason == "stop"
    assert reply.model == "gpt-4o-mini"
    assert reply.usage.completion_tokens == len(TEXTS["plain"]) // 4
    assert reply.usage.prompt_tokens_details.cached_tokens == reply.usage.prompt_tokens // 4
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_chat_stream_has_asked_chunks_and_usage_last(client: Any) -> None:
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o-mini+chunks=7", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
    )
    assert stream_text(chunks) == TEXTS["plain"]
    assert sum(bool(c.choices and c.choices[0].delta.content) for c in chunks) == 7
    assert [bool(c.usage) for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-2].choices[0].finish_reason == "stop"


def test_stream_without_asking_has_no_usage(client: Any) -> None:
    chunks = client.chat.completions.create(model="m", messages=ASK, stream=True)
    assert all(chunk.usage is None for chunk in chunks)


@pytest.mark.parametrize("name", ["secret", "pii"])
def test_text_scenarios(client: Any, name: str) -> None:
    whole = client.chat.completions.create(model=f"m+{name}", messages=ASK)
    chunks = client.chat.completions.create(model=f"m+{name}", messages=ASK, stream=True)
    assert whole.choices[0].message.content == stream_text(chunks) == TEXTS[name]


def test_secret_is_cut_by_chunk_borders(client: Any) -> None:
    pieces = [
        c.choices[0].delta.content or ""
        for c in client.chat.completions.create(model="m+secret", messages=ASK, stream=True)
    ]
    assert ACCESS_KEY in "".join(pieces)
    assert TOKEN in "".join(pieces)
    assert not any(ACCESS_KEY in piece or TOKEN in piece for piece in pieces)


def test_echo_gives_back_the_last_user_text(client: Any) -> None:
    content = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    reply = client.chat.completions.create(model="m+echo", messages=[*ASK, {"role": "user", "content": content}])
    assert reply.choices[0].message.content == "one\ntwo"


def test_tool_call_fills_the_declared_schema(client: Any) -> None:
    reply = client.chat.completions.create(model="m+tool", messages=ASK, tools=[WEATHER])
    message = reply.choices[0].message
    assert message.content is None
    assert reply.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls[0].function.name == "forecast"
    assert message.tool_calls[0].function.arguments == '{"place":"Lisbon","days":3}'


def test_tool_call_stream_accumulates(client: Any) -> None:
    with client.chat.completions.stream(model="m+tool", messages=ASK, tools=[WEATHER]) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls[0].function.arguments == '{"place":"Lisbon","days":3}'


def test_reasoning_comes_first_and_is_counted(client: Any) -> None:
    reply = client.chat.completions.create(model="m+reasoning", messages=ASK)
    assert reply.choices[0].message.reasoning_content == REASONING
    assert reply.usage.completion_tokens_details.reasoning_tokens == len(REASONING) // 4
    deltas = [
        c.choices[0].delta for c in client.chat.completions.create(model="m+reasoning", messages=ASK, stream=True)
    ]
    assert "".join(getattr(d, "reasoning_content", None) or "" for d in deltas) == REASONING


def test_refusal(client: Any) -> None:
    reply = client.chat.completions.create(model="m+refusal", messages=ASK)
    assert (reply.choices[0].message.content, reply.choices[0].message.refusal) == (None, REFUSAL)
    chunks = client.chat.completions.create(model="m+refusal", messages=ASK, stream=True)
    assert "".join(c.choices[0].delta.refusal or "" for c in chunks) == REFUSAL


def test_several_choices(client: Any) -> None:
    reply = client.chat.completions.create(model="m", messages=ASK, n=3)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    chunks = list(client.chat.completions.create(model="m+n=2", messages=ASK, stream=True))
    text = {0: "", 1: ""}
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        text[choice.index] += choice.delta.content or ""
    assert text == {0: TEXTS["plain"], 1: TEXTS["plain"]}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_sdk_decodes_every_encoding(client: Any, encoding: str) -> None:
    if encoding == "br":
        pytest.importorskip("brotli")
    chunks = client.chat.completions.create(model=f"m+{encoding}", messages=ASK, stream=True)
    assert stream_text(chunks) == TEXTS["plain"]
    reply = client.chat.completions.create(model=f"m+{encoding}", messages=ASK)
    assert reply.choices[0].message.content == TEXTS["plain"]


@pytest.mark.parametrize("scenario", ["crlf", "comments", "crlf,comments", "split=1", "split=7,gzip", "no-done"])
def test_sdk_reads_awkward_streams(client: Any, scenario: str) -> None:
    chunks = client.chat.completions.create(model=f"m+{scenario}", messages=ASK, stream=True)
    assert stream_text(chunks) == TEXTS["plain"]


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, "BadRequestError"), (401, "AuthenticationError"), (403, "PermissionDeniedError"), (404, "NotFoundError"),
     (429, "RateLimitError"), (500, "InternalServerError"), (503, "InternalServerError")],
)  # fmt: skip
def test_errors_become_typed_exceptions(client: Any, status: int, error: str) -> None:
    with pytest.raises(getattr(openai, error)) as caught:
        client.chat.completions.create(model=f"m+status={status}", messages=ASK)
    assert caught.value.body["message"] == f"the fake provider was asked for status {status}"


def test_unknown_scenario_is_an_error_that_names_it(client: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="unknown fake scenario key 'sceret'"):
        client.chat.completions.create(model="m+sceret", messages=ASK)


def test_text_completions(client: Any) -> None:
    reply = client.completions.create(model="m", prompt="Say it")
    assert reply.choices[0].text == TEXTS["plain"]
    chunks = client.completions.create(model="m", prompt="Say it", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == TEXTS["plain"]


def test_responses(client: Any) -> None:
    reply = client.responses.create(model="m+reasoning,plain,tool", input="When?", tools=[])
    assert [item.type for item in reply.output] == ["reasoning", "message", "function_call"]
    assert reply.output_text == TEXTS["plain"]
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens
    assert reply.usage.output_tokens_details.reasoning_tokens == len(REASONING) // 4


def test_responses_stream_is_whole_and_numbered(client: Any) -> None:
    with client.responses.stream(model="m+reasoning,plain,tool", input="When?") as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert [event.sequence_number for event in events] == sorted({event.sequence_number for event in events})
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    for kind in ("reasoning_summary_text.delta", "output_text.delta", "function_call_arguments.delta"):
        assert f"response.{kind}" in kinds
    assert final.output_text == TEXTS["plain"]
    assert final.usage.output_tokens_details.reasoning_tokens > 0


def test_responses_refusal_stream(client: Any) -> None:
    events = list(client.responses.create(model="m+refusal", input="When?", stream=True))
    assert "".join(event.delta for event in events if event.type == "response.refusal.delta") == REFUSAL
    assert events[-1].response.output[0].content[0].refusal == REFUSAL


def test_embeddings_as_floats_and_base64(client: Any) -> None:
    packed = client.embeddings.create(model="e", input=["one", "two"], dimensions=8)
    plain = client.embeddings.create(model="e", input=["one", "two"], dimensions=8, encoding_format="float")
    assert [row.embedding for row in packed.data] == [row.embedding for row in plain.data]
    assert len(packed.data[1].embedding) == 8


def test_models_files_and_batches(client: Any) -> None:
    assert "gpt-4o-mini" in [model.id for model in client.models.list()]
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"
    uploaded = client.files.create(file=io.BytesIO(b'{"custom_id":"1"}\n'), purpose="batch")
    batch = client.batches.create(input_file_id=uploaded.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert (batch.status, batch.input_file_id) == ("validating", uploaded.id)


def test_azure_stream_opens_without_a_choice(fake: FakeProvider) -> None:
    with openai.AzureOpenAI(azure_endpoint=fake.url, api_key="none", api_version="2025-01-01-preview") as client:
        chunks = list(client.chat.completions.create(model="gpt-4o+chunks=3", messages=ASK, stream=True))
    assert chunks[0].choices == []
    assert stream_text(chunks) == TEXTS["plain"]
    assert chunks[0].model == "gpt-4o"


async def _async_text(url: str) -> str:
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="none") as client:
        stream = await client.chat.completions.create(model="m", messages=ASK, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


def test_async_client(fake: FakeProvider) -> None:
    assert asyncio.run(_async_text(fake.url)) == TEXTS["plain"]
