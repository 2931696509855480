"""Many async streams at once; a record for each, also for the one that is dropped half-way."""

import asyncio

from openai import AsyncOpenAI

import llmtrace_sdk as llmtrace
from llmtrace_sdk.fake_provider import FakeProvider

llmtrace.on_record(lambda record: print(f"record: {record.labels.session} {record.outcome}, {record.chunks} chunks"))


async def talk(client: AsyncOpenAI, session: str, *, patience: int) -> None:
    async with llmtrace.context(session=session):
        stream = await client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "When does the ferry leave?"}], stream=True
        )
        async with stream:
            async for _ in stream:
                patience -= 1
                if not patience:
                    break


async def main(url: str) -> None:
    async with llmtrace.instrument(AsyncOpenAI(base_url=url, api_key="none")) as client:
        await asyncio.gather(*(talk(client, f"reader-{n}", patience=1000) for n in range(3)))
        await talk(client, "impatient", patience=2)


with FakeProvider() as provider:  # stands in for api.openai.com
    asyncio.run(main(f"{provider.url}/v1"))
llmtrace.flush()
