"""A stream that is stopped at any of its events ends as its vendor's SDK expects, and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anthropic
import groq
import ollama
import openai
import pytest
from google import genai
from tests import endings_shapes as shapes
from tests.endings_rig import Shape, reasons, serving, stopped
from tests.endings_shapes import CHAT, COMPLETIONS, GEMINI, GENERATE, HELLO, MESSAGES, OLLAMA, RESPONSES, TWO

import llmtrace_sdk as llmtrace

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.fake_provider import FakeProvider

FILTERED: Final = "content_filter"


class Read(NamedTuple):
    """What an SDK made of a stream: its text, and the reasons for which it ended."""

    text: str
    reasons: set[str | None]


def _of_chunks(chunks: Any) -> Read:
    text, reasons = "", {}
    for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason
    return Read(text, set(reasons.values()))


def chat(client: Any) -> Read:
    return _of_chunks(client.chat.completions.create(model="m", messages=HELLO, stream=True))


def chat_accumulated(client: openai.OpenAI) -> Read:
    with client.chat.completions.stream(model="m", messages=HELLO) as stream:
        list(stream)
        choices = stream.current_completion_snapshot.choices
        reasons: Any = {choice.finish_reason for choice in choices}
        if FILTERED in reasons:
            with pytest.raises(openai.ContentFilterFinishReasonError):  # what it says of the vendor's own filter
                stream.get_final_completion()
    return Read(choices[0].message.content or "", reasons)


def completions(client: openai.OpenAI) -> Read:
    chunks = client.completions.create(model="m", prompt="hello", stream=True)
    choices = [choice for chunk in chunks for choice in chunk.choices]
    return Read("".join(choice.text for choice in choices), {choices[-1].finish_reason})


def responses(client: openai.OpenAI) -> Read:
    return _of_responses(list(client.responses.create(model="m", input="hello", stream=True)))


def responses_accumulated(client: openai.OpenAI) -> Read:
    with client.responses.stream(model="m", input="hello") as stream:
        return _of_responses(list(stream))


def _of_responses(events: list[Any]) -> Read:
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last = events[-1].response
    if last.status == "completed":
        return Read(text, {last.status})
    assert events[-1].type == "response.incomplete"
    assert last.output_text == text
    begun = [event.output_index for event in events if event.type == "response.content_part.added"]
    for sort in ("output_text", "content_part"):
        assert begun == [event.output_index for event in events if event.type == f"response.{sort}.done"]
    assert [event.text for event in events if event.type == "response.output_text.done"] == [text] * len(begun)
    assert not [item for item in last.output if item.type == "function_call" and item.status != "completed"]
    return Read(text, {last.incomplete_details.reason})


def messages(client: anthropic.Anthropic) -> Read:
    asked: Any = {"model": "m", "max_tokens": 99, "messages": HELLO}
    events = list(client.messages.create(**asked, stream=True))
    with client.messages.stream(**asked) as stream:
        message = stream.get_final_message()
    assert events[-1].type == "message_stop"
    opened = [event.index for event in events if event.type == "content_block_start"]
    assert opened == [event.index for event in events if event.type == "content_block_stop"]
    if message.stop_reason == "refusal":
        assert message.stop_details is not None
        assert "llmtrace" in (message.stop_details.explanation or "")
    return Read("".join(block.text for block in message.content if block.type == "text"), {message.stop_reason})


def gemini(client: genai.Client) -> Read:
    chunks = list(client.models.generate_content_stream(model="m", contents="hello"))
    text = "".join(
        part.text or ""
        for chunk in chunks
        for candidate in chunk.candidates or ()
        for part in (candidate.content.parts if candidate.content else None) or ()
        if not part.thought
    )
    last = (chunks[-1].candidates or [])[0]
    assert last.finish_reason is not None
    return Read(text, {last.finish_reason.value})


def ollama_chat(client: ollama.Client) -> Read:
    parts = list(client.chat(model="m", messages=HELLO, stream=True))
    assert parts[-1].done
    return Read("".join(part.message.content or "" for part in parts), {parts[-1].done_reason})


def ollama_generate(client: ollama.Client) -> Read:
    parts = list(client.generate(model="m", prompt="hello", stream=True))
    assert parts[-1].done
    return Read("".join(part.response for part in parts), {parts[-1].done_reason})


class Client(NamedTuple):
    """An SDK that reads streams of a shape, the reason that it should give, and those of the vendor."""

    shape: Shape
    make: Callable[[str], Any]
    read: Callable[[Any], Read]
    reason: str
    own: set[str]


def _openai(url: str) -> openai.OpenAI:
    return openai.OpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)


def _groq(url: str) -> groq.Groq:
    return groq.Groq(api_key="none", base_url=url, max_retries=0)


def _anthropic(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="none", base_url=url, max_retries=0)


def _genai(url: str) -> genai.Client:
    return genai.Client(api_key="none", http_options={"base_url": url})


def _ollama(url: str) -> ollama.Client:
    return ollama.Client(host=url)


CLIENTS: Final = [
    Client(CHAT, _openai, chat, FILTERED, {"tool_calls"}),
    Client(CHAT, _openai, chat_accumulated, FILTERED, {"tool_calls"}),
    Client(CHAT, _groq, chat, FILTERED, {"tool_calls"}),
    Client(TWO, _openai, chat, FILTERED, {"tool_calls"}),
    Client(TWO, _openai, chat_accumulated, FILTERED, {"tool_calls"}),
    Client(COMPLETIONS, _openai, completions, FILTERED, {"stop"}),
    Client(RESPONSES, _openai, responses, FILTERED, {"completed"}),
    Client(RESPONSES, _openai, responses_accumulated, FILTERED, {"completed"}),
    Client(MESSAGES, _anthropic, messages, "refusal", {"tool_use"}),
    Client(GEMINI, _genai, gemini, "SAFETY", {"STOP"}),
    Client(OLLAMA, _ollama, ollama_chat, FILTERED, {"stop"}),
    Client(GENERATE, _ollama, ollama_generate, FILTERED, {"stop"}),
]
IDS: Final = [f"{each.shape.name}-{each.make.__name__.strip('_')}-{each.read.__name__}" for each in CLIENTS]


# What our own readers say of the reason, for those whose SDKs are in the matrix.
OTHERS: Final = [
    (shapes.COHERE, "ERROR", "TOOL_CALL"),
    (shapes.COHERE_V1, "ERROR_TOXIC", "COMPLETE"),
    (shapes.CONVERSE, "guardrail_intervened", "tool_use"),
    (shapes.INVOKE, "refusal", "tool_use"),
    (shapes.INVOKE_NOVA, "guardrail_intervened", "tool_use"),
    (shapes.MCP, "-32001", ""),
    (shapes.REPLICATE, "error", "succeeded"),
]


@pytest.fixture(autouse=True)
def _strict() -> None:
    llmtrace.configure(enforcement={"mode": "block", "unscanned": "block"})


@pytest.mark.parametrize("size", [None, 61])
@pytest.mark.parametrize("client", CLIENTS, ids=IDS)
def test_a_client_reads_it_to_its_end(client: Client, size: int | None, provider: FakeProvider) -> None:
    """Whatever the event at which it stops; the text is what went on, and the reason says that it was filtered."""
    events = client.shape.events(provider)
    sent = [b"".join(events)]
    with serving(lambda _: (client.shape.media, sent[0])) as url, client.make(url) as sdk:
        whole = client.read(sdk)
        assert whole.reasons == client.own
        for at in range(len(events)):
            cut = stopped(client.shape, events, at, size=size)
            assert cut.exchange.stopped
            assert cut.ending
            sent[0] = cut.whole
            read = client.read(sdk)
            assert whole.text.startswith(read.text)
            assert read.reasons <= {client.reason, *client.own}
            told = client.reason in read.reasons
            assert told == (client.reason.encode() in cut.ending)
            assert cut.exchange.id.encode() in cut.ending or not told


@pytest.mark.parametrize("size", [None, 61])
@pytest.mark.parametrize(("shape", "reason", "own"), OTHERS, ids=[shape.name for shape, *_ in OTHERS])
def test_our_reader_reads_it_to_its_end(
    shape: Shape, reason: str, own: str, size: int | None, provider: FakeProvider
) -> None:
    events = shape.events(provider)
    for at in range(len(events)):
        cut = stopped(shape, events, at, size=size)
        assert b"".join(events).startswith(cut.out)
        assert cut.ending is not None
        ended = reasons(shape, cut.whole)
        assert ended & {reason, own}
        assert reason in ended or cut.exchange.id.encode() not in cut.ending
