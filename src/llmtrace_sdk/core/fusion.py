"""Rules and classifier -> one calibrated injection score per text.

Evidence is added up as log odds: a rule of confidence c brings -log(1 - c) times the head's `rule_weight`, no matter
how often it matches, and the classifier brings its own. A monotone curve, made from benign development texts alone,
turns the sum into a score between 0 and 1 that says how rare such a text is among benign ones:

    0.50: 5 % of them score as much (operating point high_recall)
    0.75: 1 % (balanced)
    0.90: 0.1 % (high_precision)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from math import exp, inf, log, nextafter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from msgspec import Struct

from llmtrace_sdk.core.classify import Model
from llmtrace_sdk.core.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.classify import Passage
    from llmtrace_sdk.core.model import Channel, Finding

OperatingPoint = Literal["high_recall", "balanced", "high_precision"]

THRESHOLDS: Final[dict[OperatingPoint, float]] = {"high_recall": 0.5, "balanced": 0.75, "high_precision": 0.9}
"""The score from which a text counts as an attack (spec of the Rust project, security_analysis.operating_point)."""

INJECTION_CATEGORIES: Final = frozenset({"prompt_injection", "jailbreak", "system_prompt_leakage"})
"""Categories of findings in a request that are evidence of an injection."""

HEADS: Final[dict[Channel, str]] = {"user": "user", "tool": "data", "data": "data"}
"""Which head judges which channel; what the developer and the model wrote is not judged."""

RULES_AT_MOST: Final = 6.0
"""What all rules together can bring, so that a long text with many weak signs is not condemned by their number."""

FEWEST_WORDS: Final = 4
"""Of how many different words a text must be for the classifier alone to condemn it."""

SAID_OFTEN: Final = 2
FEW_WORDS: Final = 12
"""A text that says its words `SAID_OFTEN` times on average, and has no more than `FEW_WORDS` different ones, is judged
by each of them said once: a word that is all over a text counts in every passage, with nothing around it."""

CERTAIN: Final = 0.999
REASONS: Final = 5
_NEARLY_0: Final = nextafter(0.0, 1.0)
_NEARLY_1: Final = nextafter(1.0, 0.0)


class Curve(Struct, frozen=True):
    """A strictly rising map of log odds to (0, 1): straight between the `points`, exponential outside.

    A point is log odds and score. There are at least two points, in rising order.
    """

    points: tuple[tuple[float, float], ...]

    def __call__(self, logit: float) -> float:
        """The score: never 0 nor 1, however far out the log odds are."""
        return min(max(self._score(logit), _NEARLY_0), _NEARLY_1)

    def _score(self, logit: float) -> float:
        at = bisect_right(self.points, (logit, 2.0))
        if at == 0:
            first, score = self.points[0]
            return score * exp(_slope(self.points[:2]) / score * (logit - first))
        if at == len(self.points):
            last, score = self.points[-1]
            return 1 - (1 - score) * exp(-_slope(self.points[-2:]) / (1 - score) * (logit - last))
        (x0, y0), (x1, y1) = self.points[at - 1 : at + 1]
        return y0 + (y1 - y0) * (logit - x0) / (x1 - x0)


class HeadFusion(Struct, frozen=True):
    """How one head's evidence is put together."""

    rule_weight: float
    curve: Curve


class Assessment(NamedTuple):
    """The injection score of one text, with what is needed to explain it."""

    score: float
    logit: float
    head: str
    passage: Passage


class Fusion(Struct, frozen=True):
    """The classifier and, for each of its heads, how rules join in."""

    model: Model
    heads: Mapping[str, HeadFusion]

    def weigh(self, words: Sequence[str], channel: Channel, found: Iterable[Finding]) -> Assessment | None:
        """Assess a text, given by its words and the injection findings of the rules; None where none is looked for."""
        head = HEADS.get(channel)
        if head is None or head not in self.heads:
            return None
        passage = self.model.score(words, head)
        chosen = self.heads[head]
        rules = rule_evidence(found)
        logit = passage.logit + chosen.rule_weight * rules
        score = chosen.curve(logit)
        if score >= THRESHOLDS["high_recall"] and not rules:
            logit = min(logit, self._of_few_words(words, head))
            score = chosen.curve(logit)
        return Assessment(score, logit, head, passage)

    def _of_few_words(self, words: Sequence[str], head: str) -> float:
        """The most that the classifier alone may say of a text, as log odds; no bound for one of many words."""
        different = dict.fromkeys(words)
        if len(different) < FEWEST_WORDS:
            # Learned from sentences: of a word or two, however often they are said, it knows nothing.
            return self.heads[head].curve.points[0][0]
        if len(different) <= FEW_WORDS and len(different) * SAID_OFTEN <= len(words):
            return self.model.score([*different], head).logit
        return inf

    def explain(self, text: str, assessment: Assessment, found: Sequence[Finding]) -> tuple[Evidence, ...]:
        """The strongest reasons, rules first; offsets are those of the folded text."""
        weight = self.heads[assessment.head].rule_weight
        fired = {f.rule: Evidence(f.rule, f.start, f.end, weight * _log_odds(f.confidence)) for f in found}
        source = f"classifier.{assessment.head}"
        words = self.model.reasons(text, assessment.head, assessment.passage, REASONS)
        return (
            *sorted(fired.values(), key=lambda e: -e.weight)[:REASONS],
            *(Evidence(source, reason.start, reason.end, reason.weight) for reason in words),
        )


def rule_evidence(found: Iterable[Finding]) -> float:
    """What the rules bring, each once."""
    confidences = {f.rule: f.confidence for f in found}
    return min(sum(map(_log_odds, confidences.values())), RULES_AT_MOST)


def _log_odds(confidence: float) -> float:
    return -log(1 - min(confidence, CERTAIN))


def _slope(points: Sequence[tuple[float, float]]) -> float:
    (x0, y0), (x1, y1) = points
    return (y1 - y0) / (x1 - x0)
