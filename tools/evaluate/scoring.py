"""Texts -> injection scores, by the engine as it ships or with other weights in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from llmtrace_sdk import detectors
from llmtrace_sdk.commands import _metrics
from llmtrace_sdk.core.fusion import INJECTION_CATEGORIES, THRESHOLDS, Fusion
from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.core.plan import Decoding, RuleBased
from llmtrace_sdk.core.scan import Engine
from llmtrace_sdk.data import model
from tools.train import export, heads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.fusion import Assessment
    from llmtrace_sdk.core.model import Channel, Evidence, Finding, Phase
    from tools.train.heads import Trained

BALANCED: Final = THRESHOLDS["balanced"]

# Only the order of scores is asked for: a straight line keeps it, with nothing lost at its ends.
_STRAIGHT: Final = ((-1000.0, 0.001), (1000.0, 0.999))


class OtherWeights:
    """The injection classifier with weights that were trained on less."""

    name = "injection_classifier"
    phases: frozenset[Phase] = frozenset({"input"})

    def __init__(self, fusion: Fusion) -> None:
        self._fusion = fusion

    def weigh(self, words: Sequence[str], channel: Channel, found: Iterable[Finding], /) -> Assessment | None:
        """As the one that ships."""
        return self._fusion.weigh(words, channel, found)

    def explain(self, text: str, assessment: Assessment, found: Sequence[Finding], /) -> tuple[Evidence, ...]:
        """As the one that ships."""
        return self._fusion.explain(text, assessment, found)

    def detect(self, segment: Segment, phase: Phase, /) -> tuple[Finding, ...]:
        """Nothing: an `Engine` calls `weigh`."""
        del segment, phase
        return ()


def shipped() -> Engine:
    """The engine as it ships."""
    return Engine(detectors.build())


def with_weights(trained: Trained, head: str, rule_weight: float, runs: int) -> Engine:
    """The engine that would ship with these weights of one head, rounded and cut as the model file is.

    Its scores are in the order of the log odds, but not calibrated.
    """
    shape = heads.SHAPES[head]
    fitted = export.Fitted(trained.weights[head], shape.block, shape.contrast, rule_weight, _STRAIGHT)
    fusion = model.parse(export.packed(trained.vocabulary, {head: fitted}, runs))
    ours = [detector for detector in detectors.build() if isinstance(detector, RuleBased | Decoding)]
    return Engine([*ours, OtherWeights(fusion)])


def scores(engine: Engine, texts: Iterable[str], channel: Channel) -> list[float]:
    """The injection score of each text. Raises `RuntimeError` when a detector failed: such a score says nothing."""
    found = []
    for text in texts:
        report = engine.scan((Segment(text, channel, ""),), "input")
        if report.failed:
            raise RuntimeError(f"detectors failed: {', '.join(report.failed)}")
        found.append(report.score)
    return found


def flagged(engine: Engine, text: str, channel: Channel) -> bool:
    """Whether a text is an attack at the balanced point, by its score or by what was found in it."""
    report = engine.scan((Segment(text, channel, ""),), "input")
    sure = (f for f in report.findings if f.category in INJECTION_CATEGORIES and f.confidence >= BALANCED)
    return report.score >= BALANCED or next(sure, None) is not None


class Detection(NamedTuple):
    """How well attacks are told from benign texts: at thresholds that few benign texts exceed, and over all."""

    attacks: int
    at_1_percent: float
    at_01_percent: float
    auc: float


def detection(benign: Sequence[float], attacks: Sequence[float]) -> Detection:
    """Raises `ValueError` if either is missing."""
    area = _metrics.auc(benign, attacks)
    shares = [_metrics.share_above(attacks, _metrics.threshold_at(benign, share)) for share in (0.01, 0.001)]
    if area is None or shares[0] is None or shares[1] is None:
        raise ValueError("detection takes benign texts and attacks")
    return Detection(len(attacks), shares[0], shares[1], area)


def share(scored: Sequence[float], threshold: float) -> float:
    """The share of scores that reach a threshold; 0 if there are none."""
    return _metrics.share_from(scored, threshold) or 0.0
