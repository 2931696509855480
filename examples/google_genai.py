"""A Gemini client, sync and async. Its async half is moved from aiohttp to httpx2, so that it can be inspected."""

import asyncio

from google import genai

import llmtrace_sdk as llmtrace
from llmtrace_sdk.fake_provider import FakeProvider

llmtrace.on_record(lambda record: print(f"record: {record.provider} {record.operation} {record.coverage.state}"))

with FakeProvider() as provider:  # stands in for generativelanguage.googleapis.com
    client = genai.Client(api_key="none", http_options={"base_url": provider.url})
    llmtrace.instrument(client)
    question = "When does the ferry leave?"

    answer = client.models.generate_content(model="gemini-2.5-flash", contents=question)
    print(f"answer: {answer.text}")

    async def ask() -> None:
        answer = await client.aio.models.generate_content(model="gemini-2.5-flash", contents=question)
        print(f"async: {answer.text}")
        await client.aio.aclose()

    asyncio.run(ask())
    client.close()

llmtrace.flush()
