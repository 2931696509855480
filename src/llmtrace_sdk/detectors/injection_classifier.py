"""The injection score: a linear classifier joined with the rules (OWASP LLM01)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmtrace_sdk.core.fusion import THRESHOLDS
from llmtrace_sdk.core.model import Finding, Severity
from llmtrace_sdk.core.text import fold
from llmtrace_sdk.core.words import tokens
from llmtrace_sdk.data import model

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.fusion import Assessment
    from llmtrace_sdk.core.model import Channel, Evidence, Phase, Segment


class InjectionClassifier:
    """Weighs a text and the rules that fired in it. The model is read when it is first needed."""

    name = "injection_classifier"
    phases: frozenset[Phase] = frozenset({"input"})
    channels: frozenset[Channel] = frozenset({"user", "tool", "data"})

    def weigh(self, words: Sequence[str], channel: Channel, found: Iterable[Finding], /) -> Assessment | None:
        """The assessment of a text, given by its words and the injection findings of the rules."""
        return model.injection().weigh(words, channel, found)

    def explain(self, text: str, assessment: Assessment, found: Sequence[Finding], /) -> tuple[Evidence, ...]:
        """The strongest reasons, in offsets of the folded text."""
        return model.injection().explain(text, assessment, found)

    def detect(self, segment: Segment, phase: Phase, /) -> tuple[Finding, ...]:
        """What the classifier says alone, without rules; an `Engine` calls `weigh` instead."""
        view = fold(segment.text)
        assessment = self.weigh(tokens(view.text), segment.channel, ())
        if assessment is None or phase not in self.phases or assessment.score < THRESHOLDS["balanced"]:
            return ()
        return (
            Finding(
                "prompt_injection",
                f"classifier.{assessment.head}",
                Severity.MEDIUM,
                assessment.score,
                0,
                len(segment.text),
                segment.pointer,
                segment.channel,
                segment.kind,
                phase,
                self.name,
                "prompt_injection",
            ),
        )


def build() -> InjectionClassifier:
    """The detector."""
    return InjectionClassifier()
