"""What the rounds say: a table for each workload, and the figures that have a goal."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from .contenders import BARE, BLOCK, DIRECT, LITELLM, LOG, OFF, RUST, TITLES
from .rounds import JSON, ONE, RESTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .rounds import Rounds, Row, Table

HEAD = ("calls/s", "x bare", "CPU us", "x bare", "p50 us", "added", "p99 us", "first", "errors")


def table(rounds: Rounds) -> str:
    """Medians over the rounds; ratios and what is added are medians of what each round says by itself."""
    title = rounds.workload.title
    lines = [f"{title:<50}" + "".join(f"{name:>9}" for name in HEAD)]
    lines.append("-" * len(lines[0]))
    for name, rows in rounds.table.items():
        lines.append(f"{TITLES[name]:<50}" + "".join(f"{cell:>9}" for cell in _cells(rounds.table, name, rows)))
    return "\n".join(lines)


def _cells(of: Table, name: str, rows: list[Row]) -> list[str]:
    middle = {
        key: statistics.median(getattr(row, key) for row in rows) for key in "rate cpu_us p50 p99 first_p50".split()
    }
    proxied = name != DIRECT
    return [
        f"{middle['rate']:.0f}",
        f"{statistics.median(per_round(of, name, BARE, _rates)):.2f}" if proxied else "",
        f"{middle['cpu_us']:.0f}",
        f"{statistics.median(per_round(of, name, BARE, _cpu)):.2f}" if proxied else "",
        f"{middle['p50']:.0f}",
        f"{statistics.median(per_round(of, name, DIRECT, _added)):.0f}" if proxied else "",
        f"{middle['p99']:.0f}",
        f"{middle['first_p50']:.0f}",
        f"{sum(row.errors for row in rows)}",
    ]


def per_round(of: Table, ours: str, theirs: str, compare: Callable[[Row, Row], float]) -> list[float]:
    """What each round says of two contenders."""
    return [compare(a, b) for a, b in zip(of[ours], of[theirs], strict=True)]


def _rates(ours: Row, theirs: Row) -> float:
    return ours.rate / theirs.rate


def _cpu(ours: Row, theirs: Row) -> float:
    return ours.cpu_us / theirs.cpu_us


def _added(ours: Row, theirs: Row) -> float:
    return ours.p50 - theirs.p50


def _lost(ours: Row, theirs: Row) -> float:
    return (1 - ours.rate / theirs.rate) * 100


Goal = tuple[str, list[float], str]


def goals(measured: Mapping[str, Rounds]) -> list[Goal]:
    """What has a goal and was measured: what it is, what each round says, and the goal."""
    json, one, rested = (measured[load.title].table if load.title in measured else {} for load in (JSON, ONE, RESTED))
    found: list[Goal] = []
    for mode in (LOG, BLOCK):
        title = TITLES[mode]
        if mode in json:
            ratios = per_round(json, mode, BARE, _rates)
            found.append((f"{title}: times the calls/s of the bare proxy", ratios, ">= 0.5"))
        if mode in json and OFF in json:
            found.append((f"{title}: calls/s lost to guards, %", per_round(json, mode, OFF, _lost), "<= 35"))
        if mode in one:
            found.append((f"{title}: added p50 at one connection", per_round(one, mode, DIRECT, _added), "<= 600"))
        if mode in rested:
            added = per_round(rested, mode, DIRECT, _added)
            found.append((f"{title}: the same, 5 ms between calls", added, "<= 600"))
    return found + [goal for other in (LITELLM, RUST) for goal in _beside(other, json, one)]


def _beside(other: str, json: Table, one: Table) -> Iterator[Goal]:
    """What is told of the proxies of others; only LiteLLM's has a goal."""
    mine, theirs = TITLES[LOG], TITLES[other]
    if LOG in json and other in json:
        ratios = per_round(json, LOG, other, _rates)
        yield f"{mine}: times the calls/s of {theirs}", ratios, ">= 20" if other == LITELLM else ""
    if LOG in one and other in one:
        added = (per_round(one, name, DIRECT, _added) for name in (LOG, other))
        ratios = [ours / others for ours, others in zip(*added, strict=True)]
        yield f"{mine}: times the added p50 of {theirs}", ratios, "<= 0.1" if other == LITELLM else ""


def summary(measured: Mapping[str, Rounds]) -> str:
    """The goals, with the spread over the rounds."""
    lines = [f"{'16 connections of JSON, unless told otherwise':<62}{'median':>9}{'least':>9}{'most':>9}   goal"]
    lines.append("-" * len(lines[0]))
    for name, values, goal in goals(measured):
        numbers = (statistics.median(values), min(values), max(values))
        lines.append(
            f"{name:<62}"
            + "".join(f"{number:>9.{3 if abs(numbers[0]) < 10 else 0}f}" for number in numbers)
            + f"   {goal}"
        )
    return "\n".join(lines)
