"""Scores of benign development texts -> the curve that makes log odds a score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

# The share of benign texts that may score as much, and the score that stands for it: see `core.fusion`.
ANCHORS: Final = ((0.5, 0.05), (0.05, 0.5), (0.01, 0.75), (0.001, 0.9))
STEP: Final = 0.05
"""What the log odds must rise between two anchors, at least: few texts decide the last one."""


def curve(benign: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Points of the curve, in rising order."""
    ordered = np.sort(np.asarray(benign))
    points: list[tuple[float, float]] = []
    for share, score in ANCHORS:
        logit = float(ordered[max(int(np.ceil((1 - share) * len(ordered))) - 1, 0)]) + 1e-6
        if points:
            logit = max(logit, points[-1][0] + STEP)
        points.append((logit, score))
    return tuple(points)


def at(score: float, points: Sequence[tuple[float, float]]) -> float:
    """The log odds of one of the anchors' scores. Raises `KeyError` for another score."""
    return {anchor: logit for logit, anchor in points}[score]
