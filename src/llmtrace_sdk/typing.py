"""The contracts a third party implements. All are structural: no base class to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.model import (
        CallRecord,
        Decision,
        Delta,
        Finding,
        Phase,
        Prompt,
        Segment,
        Usage,
    )

Framing = Literal["sse", "ndjson", "aws"]
"""How a streamed answer of an endpoint is cut into events."""


class Headers(Protocol):
    """Header fields of one message; names are given in lower case."""

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, default: str, /) -> str: ...


class RequestHead(Struct, frozen=True):
    """A request without its body. `path` has no query; header names are lower case."""

    method: str
    scheme: str
    host: str
    port: int | None
    path: str
    headers: Headers


class ResponseHead(Struct, frozen=True):
    """A response without its body."""

    status: int
    headers: Headers


class Endpoint(Struct, frozen=True):
    """A recognised operation of a wire format.

    `provider` is the value of gen_ai.provider.name, `operation` that of gen_ai.operation.name, `api` a short name of
    the wire format's operation (`chat_completions`, `messages`, ...). `model` and `stream` are given when the path,
    not the body, says so. `framing` is how streamed answers are cut. `signed` bodies must never be rewritten.
    `end_mark` is the line with which streams end, if there is one behind which nothing more is said.
    """

    provider: str
    operation: str
    api: str
    model: str | None = None
    stream: bool | None = None
    framing: Framing = "sse"
    signed: bool = False
    end_mark: bytes = b""


class Refusal(Struct, frozen=True):
    """A synthetic answer in the vendor's own error shape."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class ResponseReader(Protocol):
    """Reads one response, either whole (`body`) or event by event (`event`). Made per call, never shared.

    Both return the deltas they decoded and never raise on hostile data except `Unreadable`.
    """

    model: str | None
    response_id: str | None
    finish_reasons: Sequence[str]
    usage: Usage
    done: bool
    error_type: str | None
    service_tier: str | None

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a whole decoded JSON body."""

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:
        """Read one streamed event; `name` is the SSE event name, or empty."""


class Provider(Protocol):
    """One vendor's wire format <-> the model. Judges nothing."""

    name: str

    def match(self, head: RequestHead, /) -> Endpoint | None:
        """Recognise a request by method, host and path; None when it is not of this wire format."""

    def parse_request(self, endpoint: Endpoint, payload: Any, /) -> Prompt:
        """Read a decoded JSON request body; raises `Unreadable` when its shape is unknown."""

    def reader(self, endpoint: Endpoint, /) -> ResponseReader:
        """A fresh reader for the answer."""

    def refusal(self, endpoint: Endpoint, decision: Decision, status: int, /) -> bytes:
        """The body of a refusal in the vendor's own error shape (JSON)."""


class Detector(Protocol):
    """Finds facts in a text. Pure, thread-safe, linear time, never raises on data."""

    name: str
    phases: frozenset[Phase]

    def detect(self, segment: Segment, phase: Phase, /) -> Iterable[Finding]:
        """Findings of one segment."""


class Sink(Protocol):
    """Receives finished records, on the worker thread."""

    def emit(self, record: CallRecord, /) -> None:
        """Take one record."""

    def close(self) -> None:
        """Release what it holds."""
