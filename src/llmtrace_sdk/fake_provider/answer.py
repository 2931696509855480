"""The answers: a few fixed sentences of our own, cut into deltas, with plausible token counts."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from . import prompt
from .reply import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .scenario import Scenario

DELTA_CHARACTERS: Final = 12
BROKEN: Final = "\ue000"
"""Stands in the text where the encoded body shall hold bytes that are no UTF-8."""

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _github_style_token(entropy: str) -> str:
    """A token whose last six characters are the CRC-32 of the rest in base 62, so that checksums hold."""
    number, check = zlib.crc32(entropy.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        check = _BASE62[digit] + check
    return "ghp" + "_" + entropy + check


ACCESS_KEY: Final = "AKIA" + "5TQ7XW2HN4ZJ6BMR"
TOKEN: Final = _github_style_token("k7Rw2VtXq9LbN4sHc8YfD3mZpJ6gTa")
CARD: Final = "4111 1111 1111 1111"
TEXTS: Final = {
    "plain": "The ferry leaves the northern pier at nine and is back before sunset. "
    "Tickets are sold on board, and bicycles travel free of charge.",
    "secret": f"The build notes name the access key id {ACCESS_KEY} and the repository token {TOKEN} "
    "for the nightly upload.",
    "pii": "The booking is held by Maren Holt, maren.holt@example.com, phone +1 (415) 555-0132, "
    f"social security number 536-22-8726, paid with card {CARD}.",
}
REASONING: Final = "The question is about the timetable, so the departure and the way back are both worth naming."
REFUSAL: Final = "I am not able to help with that request."
_FILLER: Final = "A light wind comes from the west, and the water in the harbour stays calm. "


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts. `cached` is a part of `input`; `reasoning` is a part of `output`."""

    input: int
    output: int
    cached: int
    reasoning: int

    @property
    def total(self) -> int:
        """Input and output."""
        return self.input + self.output


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool."""

    name: str
    arguments: dict[str, Any]

    @property
    def json(self) -> str:
        """The arguments as the JSON text that most vendors carry."""
        return encode(self.arguments).decode()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model would have said. Empty strings and None stand for parts that are not there."""

    text: str
    reasoning: str
    refusal: str
    tool: ToolCall | None
    usage: Usage | None
    chunks: int

    def deltas(self, text: str) -> Iterator[str]:
        """`text` cut into equal pieces: as many as the scenario asks for, else of 12 characters."""
        if not text:
            return iter(())
        count = self.chunks or max(1, min(len(text) // DELTA_CHARACTERS, 4096))
        size = len(text)
        return (text[size * i // count : size * (i + 1) // count] for i in range(count))


def compose(data: dict[str, Any], scenario: Scenario) -> Answer:
    """The answer that a scenario gives to a request body."""
    refusal = REFUSAL if scenario.refusal else ""
    speaks = bool(scenario.text or scenario.say) or not (scenario.tool or refusal)
    text = _text(data, scenario) if speaks and not refusal else ""
    reasoning = REASONING if scenario.reasoning else ""
    tool = ToolCall(*prompt.declared_tool(data)) if scenario.tool else None
    usage = None
    if scenario.usage != "off":
        written = len(text) + len(refusal) + (len(tool.json) if tool else 0)
        usage = count_tokens(prompt.size_of(data), written, len(reasoning))
    return Answer(text, reasoning, refusal, tool, usage, scenario.chunks)


def count_tokens(read: int, written: int, thought: int = 0) -> Usage:
    """Counts for so many characters, four to a token; a quarter of the input passes for cached."""
    given, reasoning = max(1, read // 4), thought // 4
    return Usage(given, max(1, written // 4) + reasoning, given // 4, reasoning)


def _text(data: dict[str, Any], scenario: Scenario) -> str:
    text = scenario.say or (prompt.last_user_text(data) if scenario.text == "echo" else TEXTS[scenario.text or "plain"])
    if scenario.bad_utf8:
        text = text[:20] + BROKEN + text[20:]
    wanted = max(scenario.huge, scenario.chunks)
    if len(text) < wanted:
        text += " " + _FILLER * (wanted // len(_FILLER) + 1)
        return text[:wanted]
    return text
