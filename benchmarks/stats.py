"""Percentiles and paired comparisons. All times are in microseconds."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass
class Pair:
    """Interleaved measurements of the same thing without (`bare`) and with (`ours`) llmtrace."""

    name: str
    bare: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)

    @property
    def added_p50(self) -> float:
        """Median of the differences of neighbouring runs: drift of the machine cancels out."""
        return statistics.median(b - a for a, b in zip(self.bare, self.ours, strict=True))

    @property
    def added_p99(self) -> float:
        return percentile(self.ours, 99) - percentile(self.bare, 99)

    @property
    def ratio(self) -> float:
        """Median time with us over median time without."""
        bare = statistics.median(self.bare)
        return (bare + self.added_p50) / bare


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def table(title: str, pairs: list[Pair]) -> str:
    head = f"{title:<34}{'bare p50':>10}{'p99':>9}{'ours p50':>10}{'p99':>9}{'added p50':>11}{'p99':>9}{'ratio':>8}"
    lines = [head, "-" * len(head)]
    for pair in pairs:
        numbers = [
            statistics.median(pair.bare),
            percentile(pair.bare, 99),
            statistics.median(pair.ours),
            percentile(pair.ours, 99),
        ]
        bare50, bare99, ours50, ours99 = numbers
        digits = 0 if bare50 >= 10 else 2
        lines.append(
            f"{pair.name:<34}{bare50:>10.{digits}f}{bare99:>9.{digits}f}{ours50:>10.{digits}f}{ours99:>9.{digits}f}"
            f"{pair.added_p50:>11.{digits or 1}f}{pair.added_p99:>9.{digits}f}{pair.ratio:>8.3f}"
        )
    return "\n".join(lines)
