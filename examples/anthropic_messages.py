"""An Anthropic client: a message, then a stream, labelled with the session they belong to."""

import anthropic

import llmtrace_sdk as llmtrace
from llmtrace_sdk.fake_provider import FakeProvider

llmtrace.on_record(lambda record: print(f"record: {record.labels.session} {record.operation} {record.answer.usage}"))

with FakeProvider() as provider:  # stands in for api.anthropic.com
    client = llmtrace.instrument(anthropic.Anthropic(base_url=provider.url, api_key="none"))
    question: anthropic.types.MessageParam = {"role": "user", "content": "When does the ferry leave?"}

    with llmtrace.context(session="ferry-1", user="u-42", tags={"feature": "timetable"}):
        message = client.messages.create(model="claude-opus-4-6", max_tokens=200, messages=[question])
        print("answer: " + "".join(block.text for block in message.content if block.type == "text"))

        with client.messages.stream(model="claude-opus-4-6", max_tokens=200, messages=[question]) as stream:
            print("stream: " + "".join(stream.text_stream))

llmtrace.flush()
