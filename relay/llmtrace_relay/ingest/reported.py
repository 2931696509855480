"""What is reported to the relay, in the one form that protobuf and JSON are read into, and its bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

Value = Any
"""None, text, truth value, integer of 64 bits, finite number, or lists and dicts of these."""

Attributes = dict[str, Value]

SPANS_LIMIT: Final = 50_000
"""Spans in one request; exporters send 512 at a time and collectors 8,192, unless told otherwise."""

SPAN_BYTES_LIMIT: Final = 4 << 20
"""A span in memory may take forty times its size on the wire, so that is bounded too."""

ATTRIBUTES_LIMIT: Final = 512
EVENTS_LIMIT: Final = 512
VALUES_LIMIT: Final = 20_000
"""Values in all attributes of a span together, those within others counted."""

DEPTH_LIMIT: Final = 32
NAME_LIMIT: Final = 256
_INT64: Final = range(-(1 << 63), 1 << 63)


class Unreadable(ValueError):
    """A span that cannot be taken. The message is one of few, and quotes nothing."""


class Event(Struct, frozen=True):
    """Something that happened within a span, at a time in nanoseconds since the Unix epoch."""

    time_ns: int
    name: str
    attributes: Attributes


class Reported(Struct, frozen=True, kw_only=True):
    """A span as it was reported.

    Ids are lower case hexadecimal digits, 32 and 16 of them; `parent_id` is empty where there is none. Times are
    nanoseconds since the Unix epoch, 0 where they were not told. `failed`: its status is error, `message` says why.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    events: tuple[Event, ...] = ()
    failed: bool = False
    message: str = ""
    resource: Attributes = field(default_factory=dict)
    scope: str = ""


class Group(Struct, frozen=True):
    """Spans of one instrumentation (`scope`) of one program (`resource`), each still encoded."""

    resource: Any
    scope: str
    spans: list[Any]


class Request(Struct, frozen=True):
    """A request of which only the outline was read. The functions read a resource, and a span of it."""

    groups: list[Group]
    read_resource: Callable[[Any], Attributes]
    read_span: Callable[[Any, Attributes, str], Reported]

    def spans(self, refused: Counter[str]) -> Iterator[Reported]:
        """Its spans one by one; `refused` counts those that cannot be read by why that is."""
        for group in self.groups:
            try:
                resource = self.read_resource(group.resource)
            except Unreadable as error:
                refused[str(error)] += len(group.spans)
                continue
            for encoded in group.spans:
                try:
                    yield self.read_span(encoded, resource, group.scope)
                except Unreadable as error:
                    refused[str(error)] += 1


class Values:
    """Counts the values of a span, and brings those that stand alone into their form."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = VALUES_LIMIT

    def count(self, depth: int) -> None:
        """One more value, at a depth."""
        self._left -= 1
        if self._left < 0:
            raise Unreadable(f"it has more than {VALUES_LIMIT:,} values")
        if depth > DEPTH_LIMIT:
            raise Unreadable(f"its values are nested deeper than {DEPTH_LIMIT}")


def text(value: str) -> str:
    """A text that databases take: they know no NUL."""
    return value.replace("\0", "\ufffd") if "\0" in value else value


def whole(value: int) -> int:
    """An integer of 64 bits."""
    if value not in _INT64:
        raise Unreadable("an integer has more than 64 bits")
    return value


def number(value: float) -> float | None:
    """A number; None for those that are none."""
    return value if value - value == 0 else None


def collected(pairs: Iterable[tuple[str, Value]]) -> Attributes:
    """Attributes by name; of two with one name the later counts."""
    return {text(name[:NAME_LIMIT]): value for name, value in pairs if name}


def check_ids(trace_id: str, span_id: str, parent_id: str) -> None:
    """Raises for ids that are none. They are hexadecimal digits already."""
    if len(trace_id) != 32 or not trace_id.strip("0"):
        raise Unreadable("its trace id is not one of 16 bytes")
    if len(span_id) != 16 or not span_id.strip("0"):
        raise Unreadable("its span id is not one of 8 bytes")
    if len(parent_id) not in (0, 16):
        raise Unreadable("its parent's span id is not one of 8 bytes")


def check_size(encoded: memoryview | bytes) -> None:
    """Raises for spans that are too large to be read."""
    if len(encoded) > SPAN_BYTES_LIMIT:
        raise Unreadable(f"it is larger than {SPAN_BYTES_LIMIT >> 20} MiB")
