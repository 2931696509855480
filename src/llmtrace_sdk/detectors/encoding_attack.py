"""Attacks that are written in an encoding: the text is decoded and read again (OWASP LLM01)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmtrace_sdk.core import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.model import Finding, Phase, Segment
    from llmtrace_sdk.core.text import View


class EncodingAttack:
    """Gives an `Engine` the decoded readings of a text, which all other detectors then judge."""

    name = "encoding_attack"
    phases: frozenset[Phase] = frozenset({"input", "output"})

    def decodings(self, view: View, /) -> Sequence[View]:
        """Decoded readings of parts of a folded text."""
        return text.decodings(view)

    def joined(self, views: Sequence[View], /) -> View | None:
        """The decoded reading of what was split over several texts."""
        return text.joined(views)

    def detect(self, segment: Segment, phase: Phase, /) -> tuple[Finding, ...]:
        """Nothing by itself: that a text is encoded is no attack."""
        del segment, phase
        return ()


def build() -> EncodingAttack:
    """The detector."""
    return EncodingAttack()
