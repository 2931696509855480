"""What the tests of the wire formats share: heads, readers driven to their end, hostile variations, real clients."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import httpx2
from hypothesis import strategies as st

from llmtrace_sdk.core.assembly import Assembly
from llmtrace_sdk.core.model import Decision, Delta, Prompt, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.typing import RequestHead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmtrace_sdk.core.model import Segment
    from llmtrace_sdk.typing import Endpoint, Provider, ResponseReader

BLOCKED = Decision(id="0190-abcd", action="block", verdict="block", reason="prompt_injection.high")

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.just("\ud800"),
    st.floats(),
    st.text(max_size=8),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


def head(
    path: str, method: str = "POST", host: str = "127.0.0.1", headers: dict[str, str] | None = None
) -> RequestHead:
    return RequestHead(method, "https", host, None, path, httpx2.Headers(headers or {}))


def matched(provider: Provider, path: str, host: str = "127.0.0.1", headers: dict[str, str] | None = None) -> Endpoint:
    endpoint = provider.match(head(path, host=host, headers=headers))
    assert endpoint is not None
    return endpoint


def encoded(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def assembled(deltas: Iterable[Delta]) -> tuple[Segment, ...]:
    """The pieces that increments make up; the answers they belong to are counted from 0."""
    assembly, choices = Assembly(1_000_000), set()
    for delta in deltas:
        assembly.add((delta,))
        choices.add(delta.choice)
    assert choices == set(range(len(choices)))
    return assembly.segments()


def read_whole(provider: Provider, endpoint: Endpoint, payload: Any) -> tuple[ResponseReader, tuple[Segment, ...]]:
    reader = provider.reader(endpoint)
    return reader, assembled(reader.body(payload))


def read_stream(
    provider: Provider, endpoint: Endpoint, events: Iterable[tuple[str, Any]]
) -> tuple[ResponseReader, tuple[Segment, ...]]:
    """Drive a reader through (event name, JSON value or bytes)."""
    reader = provider.reader(endpoint)
    return reader, assembled([delta for name, value in events for delta in reader.event(name, encoded(value))])


def told(reader: ResponseReader) -> dict[str, Any]:
    """The facts of an answer that do not depend on how it was sent."""
    return {
        "model": reader.model,
        "response_id": reader.response_id,
        "finish_reasons": list(reader.finish_reasons),
        "usage": reader.usage,
        "error_type": reader.error_type,
        "service_tier": reader.service_tier,
        "done": reader.done,
    }


def rows(prompt: Prompt) -> list[tuple[str, str, str, str, str | None]]:
    """The segments of a prompt: pointer, text, channel, kind, tool."""
    return [(s.pointer, s.text, s.channel, s.kind, s.name) for s in prompt.segments]


def resolve(payload: Any, pointer: str) -> Any:
    """The value at an RFC 6901 pointer."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        payload = payload[int(key)] if isinstance(payload, list) else payload[key]
    return payload


def assert_pointers(payload: Any, segments: Iterable[Segment]) -> None:
    """A pointer leads to the text itself, to the number it is written as, or to what was put together for it."""
    for segment in segments:
        value = resolve(payload, segment.pointer)
        assert isinstance(value, dict | list) or segment.text in (str(value), json.dumps(value)), segment.pointer


def pieces(text: str, size: int = 3) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def mutated(*examples: Any) -> st.SearchStrategy[Any]:
    """Well-formed examples with some of their values replaced by anything."""

    @st.composite
    def draw_one(draw: st.DrawFn) -> Any:
        value = {"": copy.deepcopy(draw(st.sampled_from(examples)))}
        for _ in range(draw(st.integers(1, 3))):
            parent, key = draw(st.sampled_from(list(_places(value))))
            parent[key] = draw(JSON)
        return value[""]

    return draw_one()


def _places(value: Any) -> Iterable[tuple[Any, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield value, key
        yield from _places(item)


def assert_parses_or_refuses(provider: Provider, endpoint: Endpoint, payload: Any) -> None:
    """The contract of `parse_request` on hostile data."""
    prompt, reason = None, ""
    try:
        prompt = provider.parse_request(endpoint, payload)
    except Unreadable as fault:
        reason = fault.reason
    if prompt is None:
        assert reason in ("unknown_shape", "too_deep")
        return
    assert isinstance(prompt, Prompt)
    assert all(isinstance(segment.text, str) and segment.text for segment in prompt.segments)
    assert_pointers(payload, prompt.segments)
    for name in prompt.tools:
        assert isinstance(name, str)


def assert_reads_or_refuses(read: Callable[[], Iterable[Delta]], reader: ResponseReader) -> None:
    """The contract of `body` and `event` on hostile data."""
    deltas, reason = None, ""
    try:
        deltas = read()
    except Unreadable as fault:
        reason = fault.reason
    assert deltas is not None or reason in ("unknown_shape", "unknown_part", "too_deep", "invalid_json", "empty_body")
    for delta in deltas or ():
        assert isinstance(delta, Delta)
        assert isinstance(delta.text, str)
        assert isinstance(delta.part, int)
        assert isinstance(delta.choice, int)
    assert isinstance(reader.usage, Usage)
    assert all(isinstance(reason, str) for reason in reader.finish_reasons)
    for fact in (reader.model, reader.response_id, reader.error_type, reader.service_tier):
        assert fact is None or (isinstance(fact, str) and len(fact) <= 256)


def as_event(value: Any) -> bytes:
    """A JSON value as the other end might write it, lone surrogates, NaN and all."""
    return json.dumps(value).encode()


class Recorder:
    """A transport that remembers the requests and answers with what it was given."""

    def __init__(self, answer: Any, content_type: str = "application/json", status: int = 200) -> None:
        self.requests: list[httpx2.Request] = []
        self._status, self._type = status, content_type
        self._content = encoded(answer)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(self._status, headers={"content-type": self._type}, content=self._content)

    def client(self) -> httpx2.Client:
        return httpx2.Client(transport=httpx2.MockTransport(self))

    def only(self) -> tuple[RequestHead, Any]:
        """The one request that was made: its head and its decoded body."""
        (request,) = self.requests
        url = request.url
        path = url.raw_path.partition(b"?")[0].decode()
        sent = RequestHead(request.method, url.scheme, url.host, url.port, path, request.headers)
        return sent, json.loads(request.content) if request.content else None


def sse(events: Iterable[tuple[str, Any]]) -> bytes:
    return b"".join(b"event: " + name.encode() + b"\ndata: " + encoded(value) + b"\n\n" for name, value in events)
