"""Several SDKs, both HTTP families and both colours in one process at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk.testing import recorded
from tests.sdks.target import ADDRESS, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.model import CallRecord
    from llmtrace_sdk.fake_provider import FakeProvider

openai: Any = pytest.importorskip("openai", exc_type=ImportError)
anthropic: Any = pytest.importorskip("anthropic", exc_type=ImportError)
groq: Any = pytest.importorskip("groq", exc_type=ImportError)

ROUNDS = 10
ASK: Any = [{"role": "user", "content": f"Write to {ADDRESS}."}]


@pytest.fixture
def clients(provider: FakeProvider) -> Iterator[list[Any]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(openai.OpenAI(api_key=KEY, base_url=f"{provider.url}/v1")),
            stack.enter_context(groq.Groq(api_key=KEY, base_url=provider.url)),
            stack.enter_context(anthropic.Anthropic(api_key=KEY, base_url=provider.url)),
        ]


def _call(client: Any) -> str:
    if isinstance(client, anthropic.Anthropic):
        return client.messages.create(model="claude-test", max_tokens=9, messages=ASK).content[0].text
    return client.chat.completions.create(model="m", messages=ASK).choices[0].message.content


def _check(records: list[CallRecord], each: int) -> None:
    # on a local address the wire format is all there is to tell groq from openai
    assert Counter(record.provider for record in records) == {"openai": 2 * each, "anthropic": each}
    assert all(record.outcome == "complete" and record.findings for record in records)
    assert len({record.decision.id for record in records}) == len(records)


def test_threads(clients: list[Any]) -> None:
    llmtrace.instrument(clients)
    with recorded() as records, ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(_call, clients * ROUNDS))
    assert len(set(answers)) == 1
    _check(records, ROUNDS)


def test_the_whole_process(clients: list[Any]) -> None:
    llmtrace.install()
    try:
        llmtrace.instrument(clients[0])  # both at once: still one record for each call
        with recorded() as records, ThreadPoolExecutor(6) as pool:
            list(pool.map(_call, clients * ROUNDS))
    finally:
        llmtrace.uninstall()
    _check(records, ROUNDS)
    records.clear()
    _call(clients[1])
    assert not records.settled()


def test_one_event_loop(provider: FakeProvider) -> None:
    async def main() -> None:
        async with (
            openai.AsyncOpenAI(api_key=KEY, base_url=f"{provider.url}/v1") as one,
            groq.AsyncGroq(api_key=KEY, base_url=provider.url) as other,
            anthropic.AsyncAnthropic(api_key=KEY, base_url=provider.url) as third,
        ):
            llmtrace.instrument([one, other, third])
            calls = [client.chat.completions.create(model="m", messages=ASK) for client in (one, other)]
            messages = third.messages.create(model="claude-test", max_tokens=9, messages=ASK)
            await asyncio.gather(*calls, messages)

    with recorded() as records:
        asyncio.run(main())
    _check(records, 1)
