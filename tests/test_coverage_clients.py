"""What docs/coverage.md calls enforced, seen from an application: through real clients, a secret does not arrive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import coverage, families
from llmtrace_sdk.fake_provider.answer import TOKEN
from llmtrace_sdk.resolvers import resolve
from llmtrace_sdk.testing import recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmtrace_sdk.fake_provider import FakeProvider

ROWS = {row.id: row for row in coverage.rows()}
# The fake provider calls the tool with the first value that is allowed.
SCHEMA = {"type": "object", "properties": {"key": {"type": "string", "enum": [TOKEN]}}}
FUNCTION = {"name": "f", "description": "Takes a key", "parameters": SCHEMA}
TOOLS = [{"type": "function", "function": FUNCTION}]
MESSAGES: Any = [{"role": "user", "content": "hello"}]


def _openai(url: str) -> Any:
    import openai

    return openai.OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0)


def _ask_openai(client: Any, model: str, tools: bool, streamed: bool) -> Iterator[str]:
    more: Any = {"tools": TOOLS} if tools else {}
    answer = client.chat.completions.create(model=model, messages=MESSAGES, stream=streamed, **more)
    for part in answer if streamed else [answer]:
        said = part.choices[0].delta if streamed and part.choices else part.choices and part.choices[0].message
        yield (said and said.content) or ""
        yield from (call.function.arguments or "" for call in (said and said.tool_calls) or ())


def _anthropic(url: str) -> Any:
    import anthropic

    return anthropic.Anthropic(api_key="k", base_url=url, max_retries=0)


def _ask_anthropic(client: Any, model: str, tools: bool, streamed: bool) -> Iterator[str]:
    more: Any = {"tools": [{"name": "f", "input_schema": SCHEMA}]} if tools else {}
    answer = client.messages.create(model=model, max_tokens=99, messages=MESSAGES, stream=streamed, **more)
    parts = [event.delta for event in answer if event.type == "content_block_delta"] if streamed else answer.content
    for part in parts:
        yield (
            getattr(part, "text", None) or getattr(part, "partial_json", None) or json.dumps(getattr(part, "input", ""))
        )


def _gemini(url: str) -> Any:
    from google import genai

    return genai.Client(api_key="k", http_options={"base_url": url})


def _ask_gemini(client: Any, model: str, tools: bool, streamed: bool) -> Iterator[str]:
    config = {"tools": [{"function_declarations": [{**FUNCTION, "parameters": SCHEMA}]}]} if tools else None
    ask = client.models.generate_content_stream if streamed else client.models.generate_content
    answer = ask(model=model, contents="hello", config=config)
    for part in answer if streamed else [answer]:
        content = part.candidates[0].content
        for piece in (content and content.parts) or ():
            yield piece.text or json.dumps(piece.function_call.args if piece.function_call else "")


def _ollama(url: str) -> Any:
    import ollama

    return ollama.Client(host=url)


def _ask_ollama(client: Any, model: str, tools: bool, streamed: bool) -> Iterator[str]:
    answer = client.chat(model=model, messages=MESSAGES, tools=TOOLS if tools else None, stream=streamed)
    for part in answer if streamed else [answer]:
        yield part.message.content or ""
        yield from (json.dumps(dict(call.function.arguments)) for call in part.message.tool_calls or ())


def _cohere(url: str) -> Any:
    return pytest.importorskip("cohere").ClientV2(api_key="k", base_url=url)


def _ask_cohere(client: Any, model: str, tools: bool, streamed: bool) -> Iterator[str]:
    more: Any = {"tools": TOOLS} if tools else {}
    ask = client.chat_stream if streamed else client.chat
    answer = ask(model=model, messages=MESSAGES, **more)
    if not streamed:
        yield from (part.text for part in answer.message.content or ())
        yield from (call.function.arguments for call in answer.message.tool_calls or ())
        return
    for event in answer:
        if event.type == "content-delta":
            yield event.delta.message.content.text or ""
        elif event.type == "tool-call-delta":
            yield event.delta.message.tool_calls.function.arguments or ""


CLIENTS: dict[str, tuple[Callable[[str], Any], Callable[..., Iterator[str]], str]] = {
    "openai": (_openai, _ask_openai, "openai_chat.chat_completions"),
    "anthropic": (_anthropic, _ask_anthropic, "anthropic.messages"),
    "gemini": (_gemini, _ask_gemini, "gemini.{}"),
    "ollama": (_ollama, _ask_ollama, "ollama.chat"),
    "cohere": (_cohere, _ask_cohere, "cohere.chat_v2"),
}


def _close(client: Any) -> None:
    for http in resolve(client, unhook=True).clients:
        if families.client_colour(http) == "sync":
            http.close()


def _row(name: str, streamed: bool) -> str:
    method = "streamGenerateContent" if streamed else "generateContent"
    return f"{CLIENTS[name][2].format(method)}.{'stream' if streamed else 'whole'}"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", ["text", "tool_call"])
@pytest.mark.parametrize("name", CLIENTS)
def test_a_secret_in_an_answer_does_not_arrive(provider: FakeProvider, name: str, kind: str, streamed: bool) -> None:
    make, ask, _ = CLIENTS[name]
    tools, row = kind == "tool_call", _row(name, streamed)
    (words,) = {cell.enforcement for cell in ROWS[row].answers if cell.kind == kind}
    assert words == ("held: block, redact" if streamed else "whole: block, redact")
    model = f"m+{'tool' if tools else 'secret'}"
    for mode, arrives in (("log", True), ("block", False)):
        llmtrace.configure(enforcement={"mode": mode, "monitoring_scope": "output_only"})
        got: list[str] = []
        error: BaseException | None = None
        with recorded() as records:
            client = llmtrace.instrument(make(provider.url))
            try:
                got.extend(ask(client, model, tools, streamed))
            except Exception as raised:
                error = raised
            _close(client)
            record = records.settled()[-1]
        assert (TOKEN in "".join(got), TOKEN[:8] in "".join(got)) == (arrives, arrives)
        assert (error is None, record.coverage.row) == (arrives, row)
        assert arrives or llmtrace.blocked(error) is not None  # type: ignore[arg-type]
