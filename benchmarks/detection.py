"""The detection engine by itself: a whole scan of one text, its stages, its rules, and what it holds in memory.

`python -m benchmarks.detection [--quick]`. Every text is new to the process. Times are processor time of the thread
(`time.thread_time_ns`), in microseconds: what other programs of the machine do is not in them.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
from functools import partial
from statistics import median
from time import thread_time_ns
from typing import TYPE_CHECKING, Any

from llmtrace_sdk import detectors
from llmtrace_sdk.core.fusion import INJECTION_CATEGORIES
from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.core.patterns import PatternSet
from llmtrace_sdk.core.reading import MATCHES_PER_RULE
from llmtrace_sdk.core.scan import Engine
from llmtrace_sdk.core.text import decodings, fold
from llmtrace_sdk.core.words import tokens
from llmtrace_sdk.data import model

from .prose import Prose
from .stats import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = {"100 B": 100, "1 KB": 1_000, "10 KB": 10_000, "100 KB": 100_000, "1 MB": 1_000_000}
ROUNDS = {"100 B": 1500, "1 KB": 800, "10 KB": 250, "100 KB": 40, "1 MB": 6}
TARGETS = {"100 B": 30.0, "1 KB": 150.0, "10 KB": 1000.0}
COMPILE_MS = 150.0
GROWTH_MB = 40.0
WARM_UP = 2000
STARTS = 5
STAGES = ("fold", "words", "rules", "confirm", "decode", "classifier", "others")

# Run by a fresh interpreter: the texts come in before the first reading, so that they are not counted.
CHILD = """
import json, sys, resource
texts = json.load(sys.stdin)
from time import perf_counter
def resident():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
import llmtrace_sdk
bare, times, before = resident(), {}, perf_counter()
def lap(name):
    global before
    now = perf_counter()
    times[name] = (now - before) * 1e3
    before = perf_counter()
from llmtrace_sdk import detectors
from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.core.scan import Engine
lap("import")
made = detectors.build()
lap("build detectors")
engine = Engine(made)
lap("make the engine")
engine.scan((Segment("When does the ferry leave?", "user", ""),), "input")
lap("first scan")
first = resident()
engine.warm()
lap("compile for all phases and channels")
warm = resident()
for text in texts:
    engine.scan((Segment(text, "user", ""),), "input")
print(json.dumps({"times": times, "first": first - bare, "warm": warm - bare, "used": resident() - bare}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.detection", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds")
    run(0.1 if parser.parse_args().quick else 1.0)


def run(scale: float) -> dict[str, Any]:
    """Measure and print everything; returns the figures."""
    prose, engine = Prose(), Engine(detectors.build())
    # The automata of the rules grow with what they have seen; this is a process that has been running for a while.
    for _ in range(max(int(WARM_UP * scale), 100)):
        took(engine, prose.everyday(1_000))
    scans = whole_scans(prose, engine, scale)
    stages = shares(prose, engine, scale)
    rules = against_re(prose, engine, scale)
    starts = fresh_processes(prose, scale)
    return {"scan_us": scans, "stages_us": stages, "rules_us": rules, "start": starts}


def took(engine: Engine, text: str) -> float:
    segments = (Segment(text, "user", ""),)
    began = thread_time_ns()
    report = engine.scan(segments, "input")
    spent = (thread_time_ns() - began) / 1000
    assert not report.failed, report.failed
    return spent


def whole_scans(prose: Prose, engine: Engine, scale: float) -> dict[str, dict[str, float]]:
    print("\nwhole scan of one fresh text; processor time, microseconds\n")
    print(f"{'text':<34}{'p50':>10}{'p99':>10}{'p50/KB':>10}{'target p50':>14}")
    figures = {}
    for name, size in SIZES.items():
        times = sampled(engine, partial(prose.everyday, size), max(int(ROUNDS[name] * scale), 3))
        figures[name] = line(name, size, times, TARGETS.get(name))
    for name in ("1 KB", "10 KB"):
        size, rounds = SIZES[name], max(int(ROUNDS[name] * scale / 2), 3)
        title = f"{name}, words that attacks use"
        figures[title] = line(title, size, sampled(engine, partial(prose.pointed, size), rounds), None)
    growth = figures["1 MB"]["p50"] / figures["10 KB"]["p50"] / 100
    verdict = "pass" if growth <= 1.5 else "MISS"
    print(f"1 MB against 100 times 10 KB: {growth:.2f} (linear: <= 1.5) {verdict}")
    return figures


def sampled(engine: Engine, make: Callable[[], str], rounds: int) -> list[float]:
    gc.collect()
    return [took(engine, make()) for _ in range(rounds)]


def line(name: str, size: int, times: list[float], target: float | None) -> dict[str, float]:
    p50, p99 = median(times), percentile(times, 99)
    beside = f"{'<= ' + format(target, '.0f'):>9} {'pass' if p50 <= target else 'MISS'}" if target else ""
    print(f"{name:<34}{p50:>10.0f}{p99:>10.0f}{p50 / size * 1000:>10.0f}{beside:>14}", flush=True)
    return {"p50": round(p50, 1), "p99": round(p99, 1)}


def shares(prose: Prose, engine: Engine, scale: float) -> dict[str, dict[str, float]]:
    """The stages one by one, each text new to all of them."""
    print("\nstages of a scan (the text as it stands; what is decoded goes through rules and classifier again)\n")
    print(f"{'text':<10}" + "".join(f"{name:>12}" for name in STAGES))
    figures = {}
    for name in ("100 B", "1 KB", "10 KB", "100 KB"):
        times: dict[str, list[float]] = {stage: [] for stage in STAGES}
        for _ in range(max(int(ROUNDS[name] * scale / 2), 5)):
            marks = list(staged(engine, prose.everyday(SIZES[name])))
            for stage, began, ended in zip(STAGES, marks, marks[1:], strict=False):
                times[stage].append((ended - began) / 1000)
        figures[name] = {stage: round(median(spent), 1) for stage, spent in times.items()}
        print(f"{name:<10}" + "".join(f"{spent:>12.1f}" for spent in figures[name].values()), flush=True)
    return figures


def staged(engine: Engine, text: str) -> Iterator[int]:
    """The time before the first stage, and after each one."""
    plan, head, segment = engine._plan("input", "user", "text"), model.injection().model, Segment(text, "user", "")
    yield thread_time_ns()
    view = fold(text)
    yield thread_time_ns()
    words = tokens(view.text)
    yield thread_time_ns()
    matched = plan.patterns.match(view.text, words)
    yield thread_time_ns()
    for index in matched:
        for start, end in plan.patterns.spans(index, view.text, MATCHES_PER_RULE):
            plan.owners[index].confirm(plan.patterns.rules[index], view.text, start, end)
    yield thread_time_ns()
    decodings(view)
    yield thread_time_ns()
    head.score(words, "user")
    yield thread_time_ns()
    for detector in plan.others:
        detector.detect(segment, "input")
    yield thread_time_ns()


def against_re(prose: Prose, engine: Engine, scale: float) -> dict[str, float]:
    """The same rules, one after the other, by Python's `re` with its own filter of literals."""
    patterns = engine._plan("input", "user", "text").patterns
    slow = PatternSet(patterns.rules, backend="re")
    slow.warm()
    # One after the other, so that neither finds its memory taken by the other.
    times: list[float] = []
    for _ in range(max(int(400 * scale), 40)):
        text = prose.everyday(1_000)
        words = tokens(text)
        began = thread_time_ns()
        patterns.match(text, words)
        times.append((thread_time_ns() - began) / 1000)
    slower: list[float] = []
    for _ in range(max(int(30 * scale), 5)):
        text = prose.everyday(1_000)
        began = thread_time_ns()
        slow.match(text)
        slower.append((thread_time_ns() - began) / 1000)
    ours, theirs = median(times), median(slower)
    injection = sum(rule.category in INJECTION_CATEGORIES for rule in patterns.rules)
    print(f"\n{len(patterns.rules):,} rules ({injection:,} for injections), 1 KB of a user's text, microseconds")
    print(f"ours {ours:.0f}, Python re {theirs:.0f}: {theirs / ours:.0f} times as long")
    return {"rules": len(patterns.rules), "ours": round(ours, 1), "re": round(theirs, 1)}


def fresh_processes(prose: Prose, scale: float) -> dict[str, float]:
    """Start, compile and memory, each time in a new interpreter; wall time, median of the starts."""
    runs = []
    for _ in range(max(int(STARTS * scale), 2)):
        texts = json.dumps([prose.everyday(1_000) for _ in range(1_000)] + [prose.everyday(100_000)])
        child = subprocess.run(
            [sys.executable, "-c", CHILD], input=texts, stdout=subprocess.PIPE, text=True, check=True
        )
        runs.append(json.loads(child.stdout))
    print("\na new process; wall time, milliseconds\n")
    times = {name: median(run["times"][name] for run in runs) for name in runs[0]["times"]}
    for name, spent in times.items():
        print(f"{name:<40}{spent:>8.0f}")
    compiling = times["first scan"] + times["compile for all phases and channels"]
    verdict = "pass" if compiling <= COMPILE_MS else "MISS"
    print(f"{'compile of all rules, with the first scan':<40}{compiling:>8.0f}   <= {COMPILE_MS:.0f} {verdict}")
    grown = {name: median(run[name] for run in runs) for name in ("first", "warm", "used")}
    print(f"\nresident growth over `import llmtrace_sdk`, MB: {grown['first']:.0f} after the first scan,", end=" ")
    verdict = "pass" if grown["used"] <= GROWTH_MB else "MISS"
    print(
        f"{grown['warm']:.0f} with all compiled, {grown['used']:.0f} after 1 MB of texts <= {GROWTH_MB:.0f} {verdict}"
    )
    return {
        **{f"{name} ms": round(v, 1) for name, v in times.items()},
        **{f"{n} MB": round(v, 1) for n, v in grown.items()},
    }


if __name__ == "__main__":
    main()
