"""A LangChain chat model: the HTTP clients inside it are found and wrapped."""

from langchain_openai import ChatOpenAI
from pydantic import SecretStr

import llmtrace_sdk as llmtrace
from llmtrace_sdk.fake_provider import FakeProvider

llmtrace.configure(enforcement={"mode": "flag", "min_severity": "medium"})
llmtrace.on_record(lambda record: print(f"record: {record.decision.action} {[f.type for f in record.findings]}"))

with FakeProvider() as provider:  # stands in for api.openai.com
    model = llmtrace.instrument(
        ChatOpenAI(model="gpt-4o-mini", base_url=f"{provider.url}/v1", api_key=SecretStr("none"))
    )

    answer = model.invoke("Write to anna.berg@example.org when the ferry leaves.")
    print(f"answer: {answer.content}")
    print("stream: " + "".join(str(part.content) for part in model.stream("When does the ferry leave?")))

llmtrace.flush()
