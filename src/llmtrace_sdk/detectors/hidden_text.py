"""Signs that a text holds what a person cannot see: smuggled characters, turned directions, look-alikes (LLM01)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.model import Finding, Severity
from llmtrace_sdk.core.text import fold
from llmtrace_sdk.core.text.confusables import LOOKALIKES
from llmtrace_sdk.core.text.invisible import SIGNIFICANT

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Channel, Phase, Segment
    from llmtrace_sdk.core.text import Sign

# By sign: from how many on (highest first), how severe, how sure. Below the last number it is a stray character.
_BANDS: Final[dict[str, tuple[tuple[int, Severity, float], ...]]] = {
    # letters of their own, which no font shows (Unicode, block Tags)
    "tags": ((4, Severity.HIGH, 0.95), (1, Severity.MEDIUM, 0.7)),
    # 256 selectors make an alphabet of bytes; an emoji needs one
    "variation_selectors": ((8, Severity.HIGH, 0.9), (3, Severity.MEDIUM, 0.7)),
    "bidi": ((1, Severity.MEDIUM, 0.7),),
    "invisible": ((16, Severity.HIGH, 0.8), (4, Severity.MEDIUM, 0.65), (1, Severity.LOW, 0.4)),
    "homoglyphs": ((5, Severity.HIGH, 0.8), (2, Severity.MEDIUM, 0.65), (1, Severity.LOW, 0.5)),
}

_SUSPECT: Final = SIGNIFICANT | LOOKALIKES
_ODD: Final = re.compile(r"[^\x00-\x7f]+")


class HiddenText:
    """Judges the signs of a fold. Text of ASCII alone is done with at once."""

    name = "hidden_text"
    phases: frozenset[Phase] = frozenset({"input", "output"})
    channels: frozenset[Channel] = frozenset({"user", "assistant", "tool", "data"})

    def detect(self, segment: Segment, phase: Phase, /) -> tuple[Finding, ...]:
        """At most one finding for each kind of sign, from the first place to the last."""
        if segment.text.isascii() or _SUSPECT.isdisjoint("".join(_ODD.findall(segment.text))):
            return ()
        judged = (self._finding(sign, segment, phase) for sign in fold(segment.text).signs)
        return tuple(finding for finding in judged if finding is not None)

    def _finding(self, sign: Sign, segment: Segment, phase: Phase) -> Finding | None:
        for least, severity, confidence in _BANDS.get(sign.name, ()):
            if sign.count >= least:
                return Finding(
                    self.name,
                    f"{self.name}.{sign.name}",
                    severity,
                    confidence,
                    sign.start,
                    sign.end,
                    segment.pointer,
                    segment.channel,
                    segment.kind,
                    phase,
                    self.name,
                    "obfuscation",
                )
        return None


def build() -> HiddenText:
    """The detector."""
    return HiddenText()
