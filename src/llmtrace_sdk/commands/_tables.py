"""The figures of `llmtrace eval` as plain text, at most eighty columns wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.commands._labelled import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FEW: Final = 1000
"""With fewer benign rows than this, one alone decides the threshold at 0.1 %."""

_NAME: Final = 22


def report(facts: Mapping[str, Any]) -> str:
    """All of it."""
    parts = [_channel(channel, facts["operating_points"]) for channel in facts["channels"]]
    notes = []
    if facts["truncated"]:
        notes.append(f"texts longer than what is looked at, whose ends were not judged: {facts['truncated']:,}")
    if facts["failed"]:
        notes.append(f"these detectors failed, the figures are incomplete: {', '.join(facts['failed'])}")
    return "\n\n".join([*parts, *notes])


def _channel(facts: Mapping[str, Any], points: Mapping[str, float]) -> str:
    total = facts["all"]
    title = (
        f"channel {facts['channel']}: {total['n']:,} rows; attacks: {total['attacks']:,}; benign: {total['benign']:,}"
    )
    rows = [(shown(source["source"]), source) for source in facts["sources"]]
    rows += [("all", total)] if len(rows) > 1 else []
    if not facts["judged"]:
        notes = ["not judged: no injection is looked for in what the developer or the model wrote; every score is 0"]
        return "\n".join([title, *notes, "", *_times(rows)])
    return "\n".join([title, *_notes(facts), "", *_ranks(rows), "", *_points(rows, points)])


def _notes(facts: Mapping[str, Any]) -> Iterable[str]:
    benign = facts["all"]["benign"]
    if not benign:
        yield "no benign rows: AUC and detection at a share of false alarms cannot be told"
        return
    at = ", ".join(f"{name} above {score:.6g}" for name, score in facts["thresholds"].items())
    yield f"AUC and TPR@: against all benign rows of this channel, of whatever source ({benign:,})"
    yield f"false alarms: {at}"
    if benign < FEW:
        yield f"few benign rows ({benign:,}): 0.1% is the one that scores highest"


def _ranks(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    head = ["source", "attacks", "benign", "AUC", "TPR@1%", "TPR@0.1%", "us p50", "us p99"]
    lines = [
        [
            name,
            f"{facts['attacks']:,}",
            f"{facts['benign']:,}",
            "-" if facts["auc"] is None else f"{facts['auc']:.3f}",
            *map(_percent, facts["tpr_at_fpr"].values()),
            *(f"{facts['us'][name]:,.0f}" for name in ("p50", "p99")),
        ]
        for name, facts in rows
    ]
    return aligned([head, *lines], [_NAME, 8, 8, 6, 7, 9, 7, 7])


def _points(rows: Sequence[tuple[str, Mapping[str, Any]]], points: Mapping[str, float]) -> list[str]:
    over = ["each row by itself", *(f"{name} {score:g}" for name, score in points.items())]
    head = ["source", *(["acc.", "TPR", "FPR"] * len(points))]
    lines = [
        [name, *(_percent(facts["at"][point][what]) for point in points for what in ("accuracy", "tpr", "fpr"))]
        for name, facts in rows
    ]
    return [*aligned([over], [_NAME] + [19] * len(points)), *aligned([head, *lines], [_NAME, *([7, 6, 6] * 3)])]


def _times(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    lines = [
        [name, f"{facts['n']:,}", f"{facts['us']['p50']:,.0f}", f"{facts['us']['p99']:,.0f}"] for name, facts in rows
    ]
    return aligned([["source", "rows", "us p50", "us p99"], *lines], [_NAME, 8, 8, 8])


def aligned(lines: Iterable[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """Columns: the first to the left, as wide as it needs to be, the others to the right."""
    table = [list(line) for line in lines]
    first = max(widths[0], *(len(line[0]) for line in table))
    return [
        line[0].ljust(first)
        + "".join(f" {cell:>{width - 1}}" for cell, width in zip(line[1:], widths[1:], strict=True))
        for line in table
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
