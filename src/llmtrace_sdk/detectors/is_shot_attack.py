"""A conversation that is made up inside one text, so that its answers serve as examples (OWASP LLM01)."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_sdk.core.model import Channel, Phase, Segment

PAIRS: Final = 3
"""How many questions with an answer make it an attack. Two are what people paste to ask about a dialogue."""

# Each party's names, in classes that answer one another; a label begins a line or follows the end of a sentence.
_LABEL: Final = re.compile(
    r"(?:^|(?<=[.!?\n]))[ \t>*#\[<(\"'-]{0,8}"
    r"(?:(?P<user>user|human|customer|me)|(?P<bot>assistant|ai|bot|chatbot|chatgpt|gpt|claude|model|llm)"
    r"|(?P<q>q|question)|(?P<a>a|answer))"
    r"(?:[ ]?\d{1,3})?[\])>*\"']{0,4}[ \t]{0,2}:",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWERS: Final = {"user": "bot", "q": "a"}
_PROMISES: Final = re.compile(
    r"[ \t*\"']{0,4}\n?[ \t\"']{0,4}(?:sure|of course|certainly|absolutely|ok|okay|yes|understood|no problem|gladly"
    r"|happy to|here(?:'s| is| are)|as you wish|access granted)\b",
    re.IGNORECASE,
)


class ShotAttack:
    """Counts turns of two parties that answer each other."""

    name = "is_shot_attack"
    phases: frozenset[Phase] = frozenset({"input"})
    channels: frozenset[Channel] = frozenset({"user", "tool", "data"})

    def detect(self, segment: Segment, phase: Phase, /) -> tuple[Finding, ...]:
        """At most one finding, from the first made-up question to the last made-up answer."""
        if phase not in self.phases or segment.text.count(":") < 2 * PAIRS:
            return ()
        pairs = list(_pairs(segment.text))
        if len(pairs) < PAIRS:
            return ()
        consents = sum(bool(_PROMISES.match(segment.text, end)) for _, _, end in pairs)
        strong = consents >= PAIRS and all(kind == "user" for kind, _, _ in pairs)
        return (
            Finding(
                self.name,
                "shot.made_up_turns",
                Severity.HIGH if strong else Severity.MEDIUM,
                0.82 if strong else _CONFIDENCE[pairs[0][0]],
                pairs[0][1],
                pairs[-1][2],
                segment.pointer,
                segment.channel,
                segment.kind,
                phase,
                self.name,
                "prompt_injection",
            ),
        )


# Questions and answers are what exercises and interviews are made of.
_CONFIDENCE: Final = {"user": 0.55, "q": 0.3}


def _pairs(text: str) -> Iterable[tuple[str, int, int]]:
    """Kind, start of the question's label and end of the answer's label, of each question that is answered at once."""
    for asked, answered in pairwise(_LABEL.finditer(text)):
        kind = asked.lastgroup or ""
        if _ANSWERS.get(kind) == answered.lastgroup:
            yield kind, asked.start(), answered.end()


def build() -> ShotAttack:
    """The detector."""
    return ShotAttack()
