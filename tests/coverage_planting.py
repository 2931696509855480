"""Puts a text into one kind of text of a request or an answer, and sends that through an instrumented client."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx2

from llmtrace_sdk.core.assembly import Assembly
from llmtrace_sdk.errors import Blocked
from llmtrace_sdk.fake_provider.answer import TOKEN
from llmtrace_sdk.fake_provider.eventstream import MEDIA, frame
from llmtrace_sdk.instrumentation import instrument
from llmtrace_sdk.testing import recorded
from tests.transport.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmtrace_sdk.core.model import CallRecord, Segment
    from tests.coverage_shapes import Case, Events

_TYPES = {"sse": "text/event-stream", "ndjson": "application/x-ndjson", "aws": MEDIA, "json": "application/json"}
Sort = tuple[str, str]
"""Channel and kind."""


def read_request(case: Case, body: Any) -> list[Segment]:
    """The texts of a request."""
    return list(case.provider.parse_request(case.endpoint, body).segments)


def read_whole(case: Case, body: Any) -> list[Segment]:
    """The texts of a whole answer."""
    assembly = Assembly(1 << 20)
    assembly.add(case.provider.reader(case.endpoint).body(body))
    return list(assembly.segments())


def read_stream(case: Case, events: Events) -> list[Segment]:
    """The texts of a streamed answer."""
    reader, assembly = case.provider.reader(case.endpoint), Assembly(1 << 20)
    for name, value in events:
        assembly.add(reader.event(name, case.data(value)))
    return list(assembly.segments())


def sorts(segments: list[Segment]) -> set[Sort]:
    """The sorts of texts that there are."""
    return {(segment.channel, segment.kind) for segment in segments if segment.text}


def planted(shape: Any, read: Callable[[Any], list[Segment]], sort: Sort) -> Any | None:
    """The shape with the secret in one text of that sort; None when it has none."""
    said = {segment.text for segment in read(shape) if sort == (segment.channel, segment.kind)}
    for change in _places(shape):
        changed = copy.deepcopy(shape)
        if change(changed, said) and any(
            TOKEN in segment.text and sort == (segment.channel, segment.kind) for segment in read(changed)
        ):
            return changed
    return None


def _places(shape: Any) -> Iterator[Callable[[Any, set[str]], bool]]:
    """Ways to put the secret into a copy of a shape: into each of its strings, then into each of its objects."""
    strings = [path for path, value in _walk(shape, ()) if isinstance(value, str)]
    objects = [path for path, value in _walk(shape, ()) if isinstance(value, dict)]
    for path in strings:
        yield lambda changed, said, path=path: _into_string(changed, path, said)  # type: ignore[misc]
    for path in objects:
        yield lambda changed, _said, path=path: _into_object(changed, path)  # type: ignore[misc]


def _walk(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _walk(item, (*path, key))


def _parent(root: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        root = root[key]
    return root


def _into_string(root: Any, path: tuple[Any, ...], said: set[str]) -> bool:
    parent = _parent(root, path)
    text = parent[path[-1]]
    if not text or not any(text in each for each in said):
        return False
    is_json = text.startswith("{") and text.endswith("}")
    parent[path[-1]] = json.dumps({**json.loads(text), "key": TOKEN}) if is_json else f"{text} {TOKEN} "
    return True


def _into_object(root: Any, path: tuple[Any, ...]) -> bool:
    found = root if not path else _parent(root, path)[path[-1]]
    found["key"] = TOKEN
    return True


class Sent(NamedTuple):
    """What became of a call: what reached the provider, what reached the application, and the record."""

    upstream: list[bytes]
    out: bytes
    raised: bool
    status: int | None
    record: CallRecord


def send(case: Case, body: Any, answer: list[bytes], framing: str) -> Sent:
    """One call with this answer."""
    wire = Wire(answer, [("content-type", _TYPES[framing])])
    out, status, raised = b"", None, False
    with recorded() as records, instrument(httpx2.Client(transport=wire.transport(httpx2))) as http:
        try:
            with http.stream(
                case.method,
                f"http://{case.host}{case.path}",
                content=None if body is None else json.dumps(body),
                headers=case.headers,
            ) as response:
                status = response.status_code
                for chunk in response.iter_raw():
                    out += chunk
        except Blocked:
            raised = True
        record = records.settled()[-1]
    return Sent([part or b"" for part in wire.sent], out, raised, status, record)


def framed(case: Case, events: Events) -> list[bytes]:
    """A streamed answer as the endpoint sends it, a chunk for each event."""
    kind = case.covers.framing
    chunks = []
    for name, value in events:
        data = case.data(value if isinstance(value, bytes) else case.wrap(value))
        if kind == "aws":
            chunks.append(frame(data, name))
        elif kind == "ndjson":
            chunks.append(data + b"\n")
        else:
            chunks.append((b"event: " + name.encode() + b"\n" if name else b"") + b"data: " + data + b"\n\n")
    return chunks


def asking(case: Case, body: Any, *, streamed: bool) -> Any:
    """A request that asks for a stream, or for none, where its body says so."""
    tells = isinstance(body, dict) and case.endpoint.stream is None and case.provider.name != "mcp"
    return {**body, "stream": streamed} if tells else body
