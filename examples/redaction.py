"""Personal data stays here: the model is told placeholders, and the application sees the answer put right again."""

import openai

import llmtrace_sdk as llmtrace
from llmtrace_sdk.fake_provider import FakeProvider

REDACT = {"mode": "redact", "min_severity": "low", "min_confidence": 0.5}
TEXT = "Write to jane.doe@example.org that the ferry leaves at nine."

llmtrace.configure(enforcement=REDACT)
llmtrace.on_record(lambda record: print(f"record: {record.decision.action} because of {record.decision.reason}"))

with FakeProvider() as provider:  # stands in for api.openai.com; the model `echo` says again what it was told
    client = llmtrace.instrument(openai.OpenAI(base_url=f"{provider.url}/v1", api_key="none"))

    stream = client.chat.completions.create(
        model="gpt-4o-mini+echo,chunks=20", messages=[{"role": "user", "content": TEXT}], stream=True
    )
    said = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    print(f"stream: {said}")
    llmtrace.flush()

    llmtrace.configure(enforcement={**REDACT, "pseudonyms": "off"})  # for good: nothing is put back
    answer = client.chat.completions.create(model="gpt-4o-mini+echo", messages=[{"role": "user", "content": TEXT}])
    print(f"told:   {answer.choices[0].message.content}")

llmtrace.flush()
