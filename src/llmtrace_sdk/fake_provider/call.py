"""One request on its way to an endpoint: its JSON, its scenario, and encoders that the scenario disturbs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .answer import BROKEN, Answer, compose
from .reply import SSE, Piece, Reply, encode, sse_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .http1 import Request
    from .scenario import Scenario
    from .state import State

CREATED: Final = 1_700_000_000
"""Creation time of everything, in seconds since 1970: answers must not differ from run to run."""
CREATED_TEXT: Final = "2023-11-14T22:13:20.000000Z"


@dataclass(slots=True)
class Call:
    """`data` is the body's decoded JSON object ({} when there is none); `model` has no scenario in it."""

    request: Request
    data: dict[str, Any]
    scenario: Scenario
    state: State
    model: str
    _encoded: int = field(default=0)
    _streaming: bool = field(default=False)

    def id(self, prefix: str) -> str:
        """An identifier that is unique within this server."""
        return f"{prefix}fake{self.state.serial:08d}"

    @property
    def streams(self) -> bool:
        """Whether the body asks for a stream, in the way that most vendors ask."""
        return self.data.get("stream") is True

    @property
    def choices(self) -> int:
        """How many choices to give: the scenario's number, else the request's, at most 128."""
        asked = self.scenario.n or self.data.get("n")
        return min(asked, 128) if isinstance(asked, int) and asked > 0 else 1

    def answer(self) -> Answer:
        """The answer to this call."""
        return compose(self.data, self.scenario)

    def answer_to(self, data: dict[str, Any]) -> Answer:
        """The answer to another prompt under the same scenario."""
        return compose(data, self.scenario)

    def whole(self, value: dict[str, Any], *, headers: str = "") -> Reply:
        """`value` as the whole answer."""
        return Reply(self.json(value), headers=headers)

    def stream(self, events: Iterator[Piece], *, media: str = SSE, headers: str = "") -> Reply:
        """`events` as the answer; they are made while they are sent."""
        self._streaming = True
        return Reply(events=events, media=media, headers=headers)

    def json(self, value: dict[str, Any]) -> bytes:
        """`value` as JSON. The scenario's damage goes into a whole body or into a stream's second event."""
        self._encoded += 1
        scenario = self.scenario
        data = encode(value)
        if scenario.bad_utf8:
            data = data.replace(BROKEN.encode(), b"\xff\xfe\x80")
        if (scenario.deep or scenario.bad_json) and self._encoded == (2 if self._streaming else 1):
            data = _damage(data, scenario)
        return data

    def sse(self, value: dict[str, Any], event: str = "") -> bytes:
        """`value` as one server-sent event."""
        return self.sse_text(self.json(value), event)

    def sse_text(self, data: bytes, event: str = "") -> bytes:
        """`data` as one server-sent event."""
        return sse_event(data, event=event, crlf=self.scenario.crlf, comments=self.scenario.comments)


def _damage(data: bytes, scenario: Scenario) -> bytes:
    if scenario.deep:
        data = data[:-1] + b',"nested":' + b"[" * scenario.deep + b"]" * scenario.deep + b"}"
    if scenario.bad_json:
        data = data[:-1] + b',"broken": '
    return data
