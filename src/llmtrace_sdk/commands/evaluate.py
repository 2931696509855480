"""`llmtrace eval`: how well the injection score tells attacks from benign texts, on labelled rows of one's own."""

from __future__ import annotations

import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from llmtrace_sdk import runtime
from llmtrace_sdk.commands import _metrics, _tables
from llmtrace_sdk.commands._labelled import BadRows, Labelled, read
from llmtrace_sdk.core.fusion import HEADS, THRESHOLDS
from llmtrace_sdk.core.model import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from llmtrace_sdk.core.model import Channel
    from llmtrace_sdk.core.scan import Engine, ScanReport

FALSE_ALARMS: Final = {"1%": 0.01, "0.1%": 0.001}
"""The shares of false alarms at which detection is told."""

# Read before the clock starts: the rules are compiled and the model is loaded by the first text.
_FIRST: Final = "What time does the library open on Saturdays?"

_Key = TypeVar("_Key")


class Scored(msgspec.Struct, frozen=True):
    """What the engine made of one row; `us` are microseconds."""

    row: Labelled
    score: float
    us: float
    truncated: bool
    failed: tuple[str, ...]


def run(paths: Sequence[str], *, as_json: bool) -> int:
    """Scan all rows of the files and print the figures; returns 1, with the reasons, when a file cannot be read."""
    try:
        rows = read(paths)
    except BadRows as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 1
    if not rows:
        print("there are no rows in " + ", ".join(paths), file=sys.stderr)
        return 1
    facts = figures(scored(rows, runtime.current().pipeline.engine))
    print(msgspec.json.encode(facts).decode() if as_json else _tables.report(facts))
    return 1 if facts["failed"] else 0


def scored(rows: Sequence[Labelled], engine: Engine) -> list[Scored]:
    """Scan each row as if it came over its channel."""
    for channel in dict.fromkeys(row.channel for row in rows):
        _scan(engine, _FIRST, channel)
    return [_scored(engine, row) for row in rows]


def _scored(engine: Engine, row: Labelled) -> Scored:
    began = perf_counter_ns()
    report = _scan(engine, row.text, row.channel)
    us = (perf_counter_ns() - began) / 1000
    return Scored(row, report.score, us, report.truncated, report.failed)


def _scan(engine: Engine, text: str, channel: Channel) -> ScanReport:
    return engine.scan((Segment(text, channel, ""),), "output" if channel == "assistant" else "input")


def figures(rows: Sequence[Scored]) -> dict[str, Any]:
    """All figures, as `--json` prints them. What cannot be told (no benign rows, say) is None."""
    channels = _grouped(rows, lambda scored: scored.row.channel)
    return {
        "rows": len(rows),
        "operating_points": dict(THRESHOLDS),
        "truncated": sum(scored.truncated for scored in rows),
        "failed": sorted({name for scored in rows for name in scored.failed}),
        "channels": [_of_channel(channel, group) for channel, group in channels.items()],
    }


def _of_channel(channel: Channel, rows: Sequence[Scored]) -> dict[str, Any]:
    benign = [scored.score for scored in rows if not scored.row.attack]
    thresholds = {name: _metrics.threshold_at(benign, share) for name, share in FALSE_ALARMS.items()}
    judged = channel in HEADS
    sources = _grouped(rows, lambda scored: scored.row.source)
    return {
        "channel": channel,
        "judged": judged,
        "thresholds": thresholds if judged else dict.fromkeys(FALSE_ALARMS),
        "all": _of_rows(rows, benign, thresholds, judged=judged),
        "sources": [
            {"source": source, **_of_rows(group, benign, thresholds, judged=judged)}
            for source, group in sorted(sources.items())
        ],
    }


def _of_rows(
    rows: Sequence[Scored], benign: Sequence[float], thresholds: dict[str, float | None], *, judged: bool
) -> dict[str, Any]:
    attacks = [scored.score for scored in rows if scored.row.attack]
    own_benign = [scored.score for scored in rows if not scored.row.attack]
    times = [scored.us for scored in rows]
    told: dict[str, Any] = dict.fromkeys(("auc", "tpr_at_fpr", "at"))
    if judged:
        told = {
            "auc": _metrics.auc(benign, attacks),
            "tpr_at_fpr": {name: _metrics.share_above(attacks, at) for name, at in thresholds.items()},
            "at": {name: _at(own_benign, attacks, at) for name, at in THRESHOLDS.items()},
        }
    return {
        "n": len(rows),
        "attacks": len(attacks),
        "benign": len(own_benign),
        **told,
        "us": {"p50": _metrics.percentile(times, 50), "p99": _metrics.percentile(times, 99)},
    }


def _at(benign: Sequence[float], attacks: Sequence[float], threshold: float) -> dict[str, float | None]:
    """Accuracy, true and false positives of a group by itself, at one operating point."""
    right = sum(score >= threshold for score in attacks) + sum(score < threshold for score in benign)
    return {
        "accuracy": right / (len(attacks) + len(benign)),
        "tpr": _metrics.share_from(attacks, threshold),
        "fpr": _metrics.share_from(benign, threshold),
    }


def _grouped(rows: Iterable[Scored], key: Callable[[Scored], _Key]) -> dict[_Key, list[Scored]]:
    groups: dict[_Key, list[Scored]] = {}
    for scored in rows:
        groups.setdefault(key(scored), []).append(scored)
    return groups
