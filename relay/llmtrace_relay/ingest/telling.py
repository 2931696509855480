"""The texts of a call -> its prompt and its answer, as the relay keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_relay.ingest.capturing import Capture
    from llmtrace_relay.ingest.hiding import Hidden
    from llmtrace_relay.ingest.shapes import Reading
    from llmtrace_sdk.core.model import Segment

_PLAIN: Final = "/prompt"
_SAID: Final = frozenset({"text", "refusal"})


def prompt_of(reading: Reading, capture: Capture, hidden: Hidden) -> str:
    """The conversation, a line `role: text` for each text; a prompt that was one text is told as it is."""
    return capture.joined(_lines(reading), "input", hidden)


def response_of(reading: Reading, capture: Capture, hidden: Hidden) -> str | None:
    """What the model said, without its reasoning and the tools it asked for; None where nothing of it came along."""
    said = [("", segment) for segment in reading.segments if segment.kind in _SAID]
    return capture.joined(said, "output", hidden) or None


def _lines(reading: Reading) -> Iterator[tuple[str, Segment]]:
    told = [segment for segment in reading.segments if segment.kind != "tool_definition"]
    alone = len(told) == 1 and told[0].pointer == _PLAIN
    for segment in told:
        called = f"{segment.name} " if segment.kind == "tool_call" and segment.name else ""
        yield "" if alone else f"{segment.channel}: {called}", segment
