"""Texts that fill the context instead of saying something (OWASP LLM10).

Long texts are judged by samples from all over them, so that the cost grows slower than the text. Thresholds are those
at which no text of the benign development sets is left: tables, code, logs and poems repeat themselves a lot.
"""

from __future__ import annotations

from collections import Counter
from math import log2
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.model import Channel, Phase, Segment

SHORTEST: Final = 2_000
"""Characters below which nothing is a flood."""

PIECE: Final = 768
PIECES: Final = 3
SPREAD: Final = 512
FIRST: Final = 8_192
MOST_REPEATED: Final = 0.8
"""Share of word 3-grams that were there before; 0.6 is common in tables."""

LEAST_ENTROPY: Final = 2.0
"""Bits per character; English has about 4.1."""

MOST_BLANK: Final = 0.7
MOST_CONTROL: Final = 0.1
MOST_LINES: Final = 20
"""How often one line may stand in a text, when it makes up more than half of it."""

BLANKS: Final = tuple(sign * 400 for sign in (" ", "\n", "\t"))
"""Runs of blanks that push what follows out of sight."""

_CONTROL: Final = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127])


class ContextFlooding:
    """`length`: characters from which a text is long in itself."""

    name = "context_flooding"
    phases: frozenset[Phase] = frozenset({"input"})
    channels: frozenset[Channel] = frozenset({"user", "tool", "data"})

    def __init__(self, length: int) -> None:
        self._length = length

    def detect(self, segment: Segment, phase: Phase, /) -> tuple[Finding, ...]:
        """At most one finding for each check; each covers the whole text."""
        if len(segment.text) < SHORTEST or phase not in self.phases:
            return ()
        return tuple(
            Finding(
                self.name,
                f"{self.name}.{check}",
                severity,
                confidence,
                0,
                len(segment.text),
                segment.pointer,
                segment.channel,
                segment.kind,
                phase,
                self.name,
                "unbounded_consumption",
            )
            for check, severity, confidence in self._checks(segment.text)
        )

    def _checks(self, text: str) -> Iterator[tuple[str, Severity, float]]:
        if len(text) >= self._length:
            excess = len(text) / self._length - 1
            severity = Severity.HIGH if excess >= 1 else Severity.MEDIUM
            yield "length", severity, min(0.99, 0.8 + excess / 10)
        repeated = _median([repetition(piece) for piece in pieces_of(text)])
        if repeated > MOST_REPEATED:
            yield "repeated_phrases", Severity.MEDIUM, min(0.95, repeated)
        if entropy(spread_of(text)) < LEAST_ENTROPY:
            bits = entropy(spread_of(_without_padding(text)))
            if bits < LEAST_ENTROPY:
                yield "low_entropy", Severity.MEDIUM, min(0.95, 0.6 + (LEAST_ENTROPY - bits) / 4)
        if _blank(text) and _blank(_without_padding(text)):
            yield "blank", Severity.MEDIUM, 0.75
        if text.count("\n") >= MOST_LINES and _same_line(text):
            yield "repeated_line", Severity.MEDIUM, 0.75


def pieces_of(text: str) -> list[str]:
    """The whole text, or pieces from its start to its end."""
    if len(text) <= PIECE * PIECES:
        return [text]
    step = (len(text) - PIECE) // (PIECES - 1)
    return [text[at * step : at * step + PIECE] for at in range(PIECES)]


def spread_of(text: str) -> str:
    """About `SPREAD` characters, evenly from all over the text."""
    return text[:: max(1, len(text) // SPREAD | 1)]


def repetition(text: str) -> float:
    """The share of word 3-grams (0..1) that were there before; 0 for less than 50 words, and where it is small."""
    words = text.split()
    # as many different words need at least that many different 3-grams
    if len(words) < 50 or len(set(words)) > (1 - MOST_REPEATED) * len(words) + 2:
        return 0.0
    return 1 - len(set(zip(words, words[1:], words[2:], strict=False))) / (len(words) - 2)


def entropy(text: str) -> float:
    """Shannon entropy in bits per character."""
    total = len(text)
    return -sum(n / total * log2(n / total) for n in Counter(text).values()) if total else 0.0


def _without_padding(text: str) -> str:
    """The same without the blanks that make the columns of a table equally wide."""
    *cells, last = text.split("|")
    return "|".join([*(cell.rstrip(" ") for cell in cells), last])


def _blank(text: str) -> bool:
    if any(blanks in text for blanks in BLANKS):
        return True
    spread = spread_of(text)
    shown = len("".join(spread.split()))
    control = len(spread) - len(spread.translate(_CONTROL))
    return shown < (1 - MOST_BLANK) * len(spread) or control > MOST_CONTROL * len(spread)


def _same_line(text: str) -> bool:
    """Whether one line, without the blanks around it, makes up most of the text, or of the start of a long one."""
    lines = [line for line in map(str.strip, text[:FIRST].splitlines()) if len(line) > 2]
    if len(lines) <= MOST_LINES:
        return False
    line, count = Counter(lines).most_common(1)[0]
    return count > MOST_LINES and count * len(line) * 2 > sum(map(len, lines)) and any(map(str.isalnum, line))


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def build(length: int = 200_000) -> ContextFlooding:
    """The detector. Raises `TypeError` when `length` is not a number of characters."""
    if not isinstance(length, int) or length < SHORTEST:
        raise TypeError(f"length must be a number of characters from {SHORTEST} on, not {length!r}")
    return ContextFlooding(length)
