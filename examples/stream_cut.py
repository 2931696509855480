"""A streamed answer is cut in front of the secret that it is about to tell; nothing else is held back."""

import openai

import llmtrace_sdk as llmtrace
from llmtrace_sdk.fake_provider import FakeProvider

llmtrace.configure(enforcement={"mode": "block"})
llmtrace.on_record(lambda record: print(f"record: {record.outcome}, stream {record.stream_end}"))

with FakeProvider() as provider:  # stands in for api.openai.com; the model `secret` tells a made-up key
    client = llmtrace.instrument(openai.OpenAI(base_url=f"{provider.url}/v1", api_key="none"))
    stream = client.chat.completions.create(
        model="gpt-4o-mini+secret,chunks=30",
        messages=[{"role": "user", "content": "What is in the configuration file?"}],
        stream=True,
    )
    print("stream: ", end="")
    try:
        for chunk in stream:
            print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="")
    except llmtrace.Blocked as error:
        print(f"... cut: {error.decision.reason}")

llmtrace.flush()
