"""The real google-genai SDK reads Gemini's formats."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

genai = pytest.importorskip("google.genai")

from google.genai import errors, types  # noqa: E402

from llmtrace_sdk.fake_provider.answer import REASONING, TEXTS  # noqa: E402

if TYPE_CHECKING:
    from llmtrace_sdk.fake_provider import FakeProvider

MODEL = "gemini-2.5-flash"


@pytest.fixture
def client(fake: FakeProvider) -> Any:
    made = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=fake.url))
    yield made
    made.close()


def parts_of(chunks: Any) -> list[Any]:
    return [part for chunk in chunks for part in chunk.candidates[0].content.parts or ()]


def test_generate(client: Any) -> None:
    reply = client.models.generate_content(model=MODEL, contents="When does the ferry leave?")
    usage = reply.usage_metadata
    assert reply.text == TEXTS["plain"]
    assert reply.model_version == MODEL
    assert reply.candidates[0].finish_reason == types.FinishReason.STOP
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count
    assert usage.cached_content_token_count == usage.prompt_token_count // 4


def test_thoughts_text_and_function_call(client: Any) -> None:
    reply = client.models.generate_content(model=MODEL + "+reasoning,plain,tool", contents="When?")
    thought, text, called = reply.candidates[0].content.parts
    assert (thought.text, thought.thought) == (REASONING, True)
    assert text.text == TEXTS["plain"]
    assert called.function_call.name == "get_weather"
    assert reply.usage_metadata.thoughts_token_count == len(REASONING) // 4


@pytest.mark.parametrize("scenario", ["plain", "gzip", "crlf", "split=5", "no-done,chunks=3"])
def test_stream(client: Any, scenario: str) -> None:
    chunks = list(client.models.generate_content_stream(model=f"{MODEL}+{scenario}", contents="When?"))
    text = "".join(part.text for part in parts_of(chunks))
    if "no-done" in scenario:
        assert TEXTS["plain"].startswith(text)
        assert len(chunks) == 2
    else:
        assert text == TEXTS["plain"]
        assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP


def test_refusal_has_no_content(client: Any) -> None:
    reply = client.models.generate_content(model=MODEL + "+refusal", contents="When?")
    assert reply.candidates[0].finish_reason == types.FinishReason.SAFETY
    assert reply.text is None


def test_errors(client: Any) -> None:
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=MODEL + "+status=429", contents="When?")
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")


def test_tokens_and_embeddings(client: Any) -> None:
    assert client.models.count_tokens(model=MODEL, contents="When does it leave?").total_tokens > 0
    assert len(client.models.embed_content(model="e", contents=["one", "two"]).embeddings) >= 1


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # google-genai subclasses aiohttp's session
def test_async_client(fake: FakeProvider) -> None:
    async def text() -> str:
        client = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=fake.url))
        stream = await client.aio.models.generate_content_stream(model=MODEL, contents="When?")
        said = "".join([chunk.text async for chunk in stream])
        await client.aio.aclose()
        client.close()
        return said

    assert asyncio.run(text()) == TEXTS["plain"]
