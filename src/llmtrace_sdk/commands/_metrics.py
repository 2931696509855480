"""Figures of merit of scores, in pure Python. A score is larger the more a text is like an attack."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def auc(benign: Sequence[float], attacks: Sequence[float]) -> float | None:
    """The chance that an attack scores higher than a benign text, a tie counting half; None if either is missing.

    That is the area under the curve of true against false positives (Mann and Whitney's U), in n log n steps.
    """
    if not benign or not attacks:
        return None
    ordered = sorted(benign)
    twice_won = sum(bisect_left(ordered, score) + bisect_right(ordered, score) for score in attacks)
    return twice_won / (2 * len(benign) * len(attacks))


def threshold_at(benign: Sequence[float], share: float) -> float | None:
    """The score that at most this `share` of the benign texts exceeds; None if there are none.

    What scores more than this counts as found. With fewer than 1/`share` texts it is the highest score of them all.
    """
    if not benign:
        return None
    # The product is a float: 0.01 * 700 is a little more than 7, 0.29 * 100 a little less than 29.
    return sorted(benign, reverse=True)[min(int(share * len(benign) + 1e-9), len(benign) - 1)]


def share_above(scores: Sequence[float], threshold: float | None) -> float | None:
    """The share of scores that exceed the threshold; None if either is missing."""
    if threshold is None or not scores:
        return None
    return sum(score > threshold for score in scores) / len(scores)


def share_from(scores: Sequence[float], threshold: float) -> float | None:
    """The share of scores that reach the threshold; None if there are none."""
    return sum(score >= threshold for score in scores) / len(scores) if scores else None


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed (nearest rank). Raises `ValueError` if there are none."""
    if not values:
        raise ValueError("no values")
    rank = -(-len(values) * percent // 100)
    return sorted(values)[min(max(int(rank) - 1, 0), len(values) - 1)]
