"""The contracts a third party implements. All are structural: no base class to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, overload

from msgspec import Struct

from llmtrace_sdk.core.model import Channel, Kind, Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.claims import Admission, Budget, Claims, Offence, Settlement, Standing
    from llmtrace_sdk.core.model import (
        CallRecord,
        Decision,
        Delta,
        Finding,
        Phase,
        Prompt,
        Usage,
    )

Framing = Literal["sse", "ndjson", "aws"]
"""How a streamed answer of an endpoint is cut into events."""

Signed = Literal["never", "always", "at_aws"]
"""Whether requests are signed over their body, so that they must not be rewritten."""

UNKNOWN_ROW: Final = "unknown"
"""The row of a call whose wire format nobody knows."""

UNDECLARED_ROW: Final = "undeclared"
"""The row of a call whose wire format does not say what it reads there."""


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


class Covers(Struct, frozen=True):
    """What a wire format reads of the calls of one endpoint: the texts that it gives to the detectors.

    `api` is that of the `Endpoint`. `operation` is given where an API has several that are covered differently; empty
    stands for all others. `request` has, by channel, the kinds of text read from requests, `answer` the kinds read from
    whole answers, `stream` those read from streamed ones, empty where it does not stream. `framing` and `signed` are
    what its endpoints say. `fixed` tells in which of the two nothing can be changed, whatever the framing. `notes` are
    for people.
    """

    api: str
    operation: str = ""
    request: Mapping[Channel, tuple[Kind, ...]] = {}
    answer: tuple[Kind, ...] = ()
    stream: tuple[Kind, ...] = ()
    framing: Framing = "sse"
    signed: Signed = "never"
    fixed: tuple[Literal["answer", "stream"], ...] = ()
    notes: str = ""

    def row(self, wire_format: str, *, streamed: bool) -> str:
        """The id of its row in the table of coverage."""
        place = f"{self.api}.{self.operation}" if self.operation else self.api
        return f"{wire_format}.{place}.{'stream' if streamed else 'whole'}"


class Refusal(Struct, frozen=True):
    """A synthetic answer in the vendor's own error shape."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Told(Struct, frozen=True):
    """What a client has been sent of a streamed answer that has to end before its time.

    `events` are the payloads of events, as they were sent and in that order: the first few, the latest of those that
    say nothing (they open and close things), and the latest of each piece of the answer; others are forgotten. `said`
    has the texts of the answer, None where they are too long to be kept. `framing` is how this stream is cut into
    events. `model` is the one that was asked for, or empty; `request` the body of the request without any content
    coding, `began` when it came, in seconds since 1970.
    """

    framing: Framing = "sse"
    events: tuple[bytes, ...] = ()
    said: tuple[Segment, ...] | None = ()
    model: str = ""
    request: bytes = b""
    began: int = 0


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
    """One vendor's wire format <-> the model. Judges nothing.

    `covers` says what is read, an entry for each endpoint. One without it works as well; its calls have the row
    `undeclared`.
    """

    name: str
    covers: tuple[Covers, ...]

    def match(self, head: RequestHead, /) -> Endpoint | None:
        """Recognise a request by method, host and path; None when it is not of this wire format."""

    def parse_request(self, endpoint: Endpoint, payload: Any, /) -> Prompt:
        """Read a decoded JSON request body; raises `Unreadable` when its shape is unknown."""

    def reader(self, endpoint: Endpoint, /) -> ResponseReader:
        """A fresh reader for the answer."""

    def refusal(self, endpoint: Endpoint, decision: Decision, status: int, /) -> bytes:
        """The body of a refusal in the vendor's own error shape (JSON)."""


class EndsStreams(Protocol):
    """What a provider may do beyond `Provider`, for clients of the relay, which no exception of ours can reach."""

    def ending(self, endpoint: Endpoint, decision: Decision, told: Told, /) -> bytes | None:
        """The events with which a stopped stream ends in the vendor's own shape, as they go on the wire.

        Empty where the client has been told the end already, None where the shape has nothing that fits.
        """


def covers_of(provider: Provider, endpoint: Endpoint) -> Covers | None:
    """What a wire format says that it reads at an endpoint, None when it says nothing."""
    declared = getattr(provider, "covers", ())
    if not isinstance(declared, tuple | list):
        return None
    known = [each for each in declared if isinstance(each, Covers) and each.api == endpoint.api]
    exact = [each for each in known if each.operation == endpoint.operation]
    return next(iter(exact or [each for each in known if not each.operation]), None)


def row_of(provider: Provider | None, endpoint: Endpoint | None, *, asked: bool, came: bool | None) -> str:
    """The row of a call in the table of coverage. Never raises.

    `asked` and `came` tell whether a streamed answer was asked for and whether one came, None as long as none did.
    """
    if provider is None or endpoint is None:
        return UNKNOWN_ROW
    covers = covers_of(provider, endpoint)
    if covers is None or (came and not covers.stream):
        return UNDECLARED_ROW
    streamed = asked and bool(covers.stream) if came is None else came
    return covers.row(provider.name, streamed=streamed)


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


class Announcement(Struct, frozen=True):
    """What was last published about a topic. A later one has a greater `version`, also when a store lost its data."""

    version: int
    value: bytes


class State(Protocol):
    """What processes share to enforce limits together. Every operation is atomic, and safe from any thread or process.

    Keys are fingerprints; those of the claims of one call differ from each other and begin with the same `{tag}`, else
    ValueError. Everything that asks the store raises `StateUnavailable` when it does not answer in time; what was
    asked may have been done all the same, so that `admit` is to be asked again with the same call, and `settle` too:
    neither takes or adds anything twice.
    """

    def admit(self, claims: Claims, /) -> Admission:
        """Grant all claims of a call or none.

        A call that was granted and has not settled is told its first answer `again`, and takes nothing. One that has
        settled takes slots and reserves anew (it gave them back), but no tokens. `retry_after_s` is when all claims
        that refuse may be met, if nothing else is taken: for slots the end of the lease that ends first.
        """

    async def aadmit(self, claims: Claims, /) -> Admission:
        """`admit`, without holding up the event loop."""

    def settle(self, settlements: Sequence[Settlement], /) -> None:
        """Put what calls really took in the place of what they reserved. May be repeated: of a call the last counts.

        Amounts given as None undo the admission: tokens come back too, and the call is forgotten. A call that is
        unknown (never admitted, forgotten, or the store lost its data) adds its amounts. Raises ValueError, before
        anything is done, where there are not as many amounts as budgets.
        """

    def offend(self, offence: Offence, /) -> Standing:
        """Count an offence, up to its limit, and block from the limit on; never shortens a block."""

    def block(self, key: str, ttl_s: float, /) -> None:
        """Block for `ttl_s` seconds from now, whatever was said before."""

    def unblock(self, key: str, /) -> None:
        """End a block. The offences that led to it still count."""

    def blocked(self, keys: Sequence[str], /) -> set[str]:
        """Those of the keys that are blocked now."""

    def spent(self, budgets: Sequence[Budget], /) -> tuple[int, ...]:
        """What is spent and reserved of each budget in its period."""

    def publish(self, topic: str, value: bytes, /) -> int:
        """Announce a value to all, and return its version. Raises ValueError when it is larger than 1 MiB."""

    def latest(self, topic: str, /) -> Announcement | None:
        """What was last published, None when nothing was (or not within a year). Callers poll."""

    def close(self) -> None:
        """Release what it holds; what others share stays."""

    async def aclose(self) -> None:
        """`close`, for a program with an event loop."""
