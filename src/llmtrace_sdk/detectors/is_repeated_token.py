"""One word or phrase over and over: given, or asked for (OWASP LLM10).

Models that repeat a token without end were seen to fall into text that they were trained on. A word that stands three
times in a text, or twenty, is ordinary prose.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.model import Finding, Severity
from llmtrace_sdk.core.patterns import PatternSet
from llmtrace_sdk.detectors import _rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.model import Channel, Phase, Segment

REPEATS: Final = 50
"""How often in a row makes a flood."""

MANY: Final = 400
SHORTEST: Final = 200
"""Characters below which a run is not looked for."""

LONGEST_UNIT: Final = 64
"""Characters of the longest phrase, with what stands behind it."""

STRIDE: Final = 96
PROBE: Final = 24
PLACES: Final = 4
_EMOJI: Final = "\U0001f000"


class IsRepeatedToken:
    """Looks for runs by a few probes in each thousand characters, and for orders by rules."""

    name = "is_repeated_token"
    phases: frozenset[Phase] = frozenset({"input"})
    channels: frozenset[Channel] = frozenset({"user", "tool", "data"})

    def detect(self, segment: Segment, phase: Phase, /) -> tuple[Finding, ...]:
        """Runs of one word or phrase, and orders to make one."""
        if phase not in self.phases or segment.kind == "tool_definition":
            return ()
        found = [
            self._finding(segment, phase, "run", Severity.MEDIUM if count >= MANY else Severity.LOW, 0.7, place)
            for count, place in runs(segment.text)
        ]
        return (*found, *self._orders(segment, phase))

    def _orders(self, segment: Segment, phase: Phase) -> Iterator[Finding]:
        patterns = _patterns()
        for index in patterns.match(segment.text):
            rule = patterns.rules[index]
            for place in patterns.spans(index, segment.text, PLACES):
                yield self._finding(segment, phase, rule.id, rule.severity, rule.confidence, place)

    def _finding(
        self, segment: Segment, phase: Phase, rule: str, severity: Severity, confidence: float, place: tuple[int, int]
    ) -> Finding:
        return Finding(
            self.name,
            rule if "." in rule else f"{self.name}.{rule}",
            severity,
            confidence,
            *place,
            segment.pointer,
            segment.channel,
            segment.kind,
            phase,
            self.name,
            "unbounded_consumption",
        )


def runs(text: str) -> Iterator[tuple[int, tuple[int, int]]]:
    """The first `PLACES` runs of at least `REPEATS` of one unit, and how many there are. Linear in the text."""
    if len(text) < SHORTEST:
        return
    lowered = text.lower()
    if len(lowered) != len(text):  # the offsets must stay true
        lowered = text
    at, places = 0, 0
    while at + SHORTEST <= len(lowered) + STRIDE and places < PLACES:
        again = lowered.find(lowered[at : at + PROBE], at + 1, at + PROBE + LONGEST_UNIT)
        if again < 0:
            at += STRIDE
            continue
        period = again - at
        start, end = _extent(lowered, at, period)
        if (end - start) // period >= REPEATS and end - start >= SHORTEST and _says(lowered[at:again]):
            places += 1
            yield (end - start) // period, (start, end)
        at = max(at + STRIDE, end)


def _extent(text: str, at: int, period: int) -> tuple[int, int]:
    """How far a text goes on with this period, to both sides."""
    start = end = at
    while start > 0 and text[start - 1] == text[start - 1 + period]:
        start -= 1
    size = period * REPEATS
    # whole blocks first: they are compared at once
    while text[end : end + size] == text[end + period : end + period + size] and end + period + size <= len(text):
        end += size
    while end + period < len(text) and text[end] == text[end + period]:
        end += 1
    return start, end + period


def _says(unit: str) -> bool:
    """Whether there is a letter or an emoji in it: lines, dots and columns of numbers are only drawn."""
    return any(sign.isalpha() or sign >= _EMOJI for sign in unit)


@cache
def _patterns() -> PatternSet:
    return PatternSet(_rules.load("is_repeated_token"))


def build() -> IsRepeatedToken:
    """The detector."""
    return IsRepeatedToken()
