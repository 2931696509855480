"""The contract of coverage: for each endpoint, whole and streamed, what is looked at and what can be stopped.

It is made from what the wire formats declare (`typing.Covers`) and from the rules of the detectors. A record's
`coverage.row` names the row that its call has; docs/coverage.md has the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from msgspec import Struct

from llmtrace_sdk import detectors, providers
from llmtrace_sdk.core import framing
from llmtrace_sdk.core.model import Channel, Kind
from llmtrace_sdk.core.plan import Decoding, Fusing, RuleBased
from llmtrace_sdk.core.scan import Engine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.model import Phase
    from llmtrace_sdk.typing import Covers, Detector, Provider

Enforcement = Literal[
    "block, redact",
    "block; redact save where AWS signs",
    "block",
    "held: block, redact",
    "held: block",
    "whole: block, redact",
    "whole: block",
    "scanned at the end",
    "not scanned",
]
"""What can be done about a finding in a text.

Of requests: `block, redact`, or `block` alone where the request is signed. Of answers: `whole`, nobody sees any of it
before it is judged; `held`, it is let through as far as no match can begin in it any more. Where it cannot be changed
(`block` alone), a finding that should be redacted blocks it, or ends the stream. `scanned at the end`: flagged at most.
"""

_BY_TOOLS: Final[frozenset[Kind]] = frozenset({"tool_result", "tool_definition"})
_REQUESTS: Final[dict[str, Enforcement]] = {
    "never": "block, redact",
    "always": "block",
    "at_aws": "block; redact save where AWS signs",
}


class Cell(Struct, frozen=True):
    """One sort of text of a row, and what can be done about it."""

    channel: Channel
    kind: Kind
    enforcement: Enforcement


class Row(Struct, frozen=True):
    """One endpoint, whole or streamed. `answers` is empty where they have no text (embeddings, errors)."""

    id: str
    framing: str
    requests: tuple[Cell, ...]
    answers: tuple[Cell, ...]
    notes: str = ""


class Judge(Struct, frozen=True):
    """A detector of answers: the kinds for which its rules hold a stream, and those that it judges when it is over."""

    name: str
    holds: tuple[Kind, ...]
    ends: tuple[Kind, ...]


def rows(formats: Iterable[Provider] | None = None, judges: Iterable[Detector] | None = None) -> tuple[Row, ...]:
    """The rows of wire formats (all that are known) under detectors (all of ours), in the order of their ids."""
    bench = _bench(judges)
    known = providers.available() if formats is None else formats
    found = {
        row.id: row
        for provider in known
        for covers in getattr(provider, "covers", ())
        for row in _rows_of(provider.name, covers, bench)
    }
    return tuple(found[label] for label in sorted(found))


def judges_of_answers(judges: Iterable[Detector] | None = None) -> tuple[Judge, ...]:
    """The detectors that judge answers, and what they do about streams."""
    return tuple(judge for judge in map(_judge, _bench(judges)) if judge.holds or judge.ends)


def channel_of(kind: Kind) -> Channel:
    """Whose words a piece of an answer is taken for."""
    return "tool" if kind in _BY_TOOLS else "assistant"


class _Place(NamedTuple):
    """A detector with an engine of its own, which knows which of its rules judge what."""

    detector: Detector
    engine: Engine

    def by_rules(self, phase: Phase, channel: Channel, kind: Kind) -> bool:
        """Whether it has rules for such a text: they say how long a match can be, so a stream can be held for it."""
        return bool(self.engine.rules(phase, channel, kind))

    def otherwise(self, phase: Phase, channel: Channel, kind: Kind) -> bool:
        """Whether it judges such a text as a whole, or what is encoded in it."""
        detector = self.detector
        if phase not in detector.phases:
            return False
        if isinstance(detector, Decoding):
            return True
        if isinstance(detector, RuleBased | Fusing):
            return isinstance(detector, Fusing) and kind != "tool_definition"
        return channel in getattr(detector, "channels", (channel,))


def _bench(judges: Iterable[Detector] | None) -> list[_Place]:
    return [_Place(each, Engine((each,))) for each in (detectors.build() if judges is None else judges)]


def _judge(place: _Place) -> Judge:
    kinds = get_args(Kind)
    holds = tuple(kind for kind in kinds if place.by_rules("output", channel_of(kind), kind))
    ends = tuple(kind for kind in kinds if place.otherwise("output", channel_of(kind), kind))
    return Judge(place.detector.name, holds, ends)


def _rows_of(name: str, covers: Covers, bench: Sequence[_Place]) -> Iterable[Row]:
    requests = tuple(
        Cell(channel, kind, _of_request(covers, bench, channel, kind))
        for channel, kinds in covers.request.items()
        for kind in kinds
    )
    for streamed in (False, True) if covers.stream else (False,):
        kinds = covers.stream if streamed else covers.answer
        answers = tuple(Cell(channel_of(k), k, _of_answer(covers, bench, k, streamed=streamed)) for k in kinds)
        how = covers.framing if streamed else "json"
        yield Row(covers.row(name, streamed=streamed), how, requests, answers, covers.notes)


def _of_request(covers: Covers, bench: Sequence[_Place], channel: Channel, kind: Kind) -> Enforcement:
    held, judged = _judged(bench, "input", channel, kind)
    return _REQUESTS[covers.signed] if held or judged else "not scanned"


def _of_answer(covers: Covers, bench: Sequence[_Place], kind: Kind, *, streamed: bool) -> Enforcement:
    held, judged = _judged(bench, "output", channel_of(kind), kind)
    if not (held or judged):
        return "not scanned"
    if not streamed:
        return "whole: block" if "answer" in covers.fixed else "whole: block, redact"
    if not held:
        return "scanned at the end"
    return "held: block, redact" if _changeable(covers) else "held: block"


def _judged(bench: Sequence[_Place], phase: Phase, channel: Channel, kind: Kind) -> tuple[bool, bool]:
    """Whether rules judge such a text, and whether anything else does."""
    return (
        any(place.by_rules(phase, channel, kind) for place in bench),
        any(place.otherwise(phase, channel, kind) for place in bench),
    )


def _changeable(covers: Covers) -> bool:
    """Whether an event of a stream can be changed: not in a binary framing, which has lengths and sums."""
    return framing.make(covers.framing).by_lines and "stream" not in covers.fixed
