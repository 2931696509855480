"""Shared by the tests of the OpenAI-shaped formats: heads, readers driven to their end, hostile JSON, a real client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx2
import openai
from hypothesis import settings
from hypothesis import strategies as st

from llmtrace_sdk.core.assembly import Assembly
from llmtrace_sdk.typing import Endpoint, RequestHead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmtrace_sdk.core.model import Prompt, Segment
    from llmtrace_sdk.typing import Provider, ResponseReader

repeatable = settings(derandomize=True, deadline=None, database=None)
ANY = Endpoint("openai", "chat", "chat_completions")


def head(path: str, method: str = "POST", host: str = "api.openai.com", **more: Any) -> RequestHead:
    return RequestHead(method, "https", host, more.get("port"), path, more.get("headers", {}))


def read_whole(provider: Provider, payload: Any) -> tuple[ResponseReader, tuple[Segment, ...]]:
    reader = provider.reader(ANY)
    assembly = Assembly(1_000_000)
    assembly.add(reader.body(payload))
    return reader, assembly.segments()


def read_stream(provider: Provider, events: Iterable[Any]) -> tuple[ResponseReader, tuple[Segment, ...]]:
    """Drive a reader through events: JSON values, bytes, or (name, JSON value)."""
    reader = provider.reader(ANY)
    assembly = Assembly(1_000_000)
    for event in events:
        name, value = event if isinstance(event, tuple) else ("", event)
        data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
        assembly.add(reader.event(name, data))
    return reader, assembly.segments()


def facts(reader: ResponseReader) -> tuple[Any, ...]:
    return (
        reader.model,
        reader.response_id,
        list(reader.finish_reasons),
        reader.usage,
        reader.error_type,
        reader.service_tier,
    )


def texts(prompt: Prompt) -> dict[str, str]:
    """Pointer -> text; a pointer that comes twice is an error."""
    found = {segment.pointer: segment.text for segment in prompt.segments}
    assert len(found) == len(prompt.segments), "two segments at one pointer"
    return found


def resolve(payload: Any, pointer: str) -> Any:
    """The value at an RFC 6901 pointer."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        payload = payload[int(key)] if isinstance(payload, list) else payload[key]
    return payload


def assert_pointers(payload: Any, segments: Iterable[Segment]) -> None:
    """A segment's pointer leads to its text, or, for definitions and structured calls, to an object or list."""
    for segment in segments:
        value = resolve(payload, segment.pointer)
        assert value == segment.text or isinstance(value, dict | list), segment.pointer


def cut(text: str, sizes: Iterable[int]) -> list[str]:
    """A text in pieces of the given sizes, the rest at the end."""
    pieces = []
    for size in sizes:
        pieces.append(text[:size])
        text = text[size:]
    return [piece for piece in (*pieces, text) if piece]


class Recorder:
    """A transport that remembers the requests and answers with what it was given."""

    def __init__(self, answer: bytes, content_type: str = "application/json", status: int = 200) -> None:
        self.requests: list[httpx2.Request] = []
        self._answer = (status, {"content-type": content_type}, answer)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        status, headers, content = self._answer
        return httpx2.Response(status, headers=headers, content=content)


def real_request(call: Callable[[openai.OpenAI], Any], answer: Any, **options: Any) -> tuple[RequestHead, Any]:
    """What the real client sends for a call: the head and the decoded body."""
    recorder = Recorder(json.dumps(answer).encode())
    client = options.pop("client", openai.OpenAI)
    with httpx2.Client(transport=httpx2.MockTransport(recorder)) as http:
        call(client(api_key="test", http_client=http, max_retries=0, **options))
    (request,) = recorder.requests
    url = request.url
    sent = RequestHead(request.method, url.scheme, url.host, url.port, url.path, request.headers)
    return sent, json.loads(request.content) if request.content else None


def sse(events: Iterable[Any], *, named: bool = False, done: bool = True) -> bytes:
    lines = []
    for event in events:
        if named:
            lines.append(f"event: {event['type']}\n")
        lines.append(f"data: {json.dumps(event)}\n\n")
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


_KEYS = """
action actions arguments audio choices code commands command_index content content_index conversation data delta
description detail documents encoding_format error finish_reason format function function_call functions id image
incomplete_details index input instructions item logs message messages model modalities n name object operation
output output_index outputs parameters part prediction prompt prompt_tokens prompt_tokens_details properties queries
reasoning reasoning_content reasoning_details refusal response response_format results role schema service_tier
status stop stream suffix summary summary_index text thinking tool_call_id tool_calls tools transcript type usage
variables
"""
_WORDS = """
assistant user system tool function developer text input_text image_url refusal thinking message function_call
function_call_output reasoning shell_call shell_call_output mcp mcp_call mcp_list_tools namespace custom error stop
response.created response.completed response.output_text.delta response.output_text.done response.output_item.added
response.output_item.done response.function_call_arguments.delta response.failed json_schema computer_call
compaction code_interpreter_call file_search_call web_search_call additional_tools item_reference unheard_of_call
"""

KEYS = st.sampled_from(_KEYS.split())
WORDS = st.sampled_from(_WORDS.split())
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | WORDS
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=6),
    max_leaves=40,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=8)
