"""`python -m benchmarks [--quick]`: prints the tables, keeps the raw figures in benchmarks/results/."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import llmtrace_sdk as llmtrace
from llmtrace_sdk.fake_provider import FakeProvider

from . import calls, chunks, detection, enforcement, limits
from .stats import Pair, table

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).parent / "results"


MODES = {
    "flag": "nothing can be stopped, so the inspection itself waits for the worker",
    "block": "requests are inspected before they are sent, answers before they are given out, streams on their way",
}
MEASURES = {
    "SSE, in memory": lambda _url, scale: chunks.per_chunk(scale),
    "sync": calls.sync_calls,
    "back to back": calls.back_to_back,
    "stream": calls.streams,
    "async": calls.async_calls,
}


class Nowhere(SpanExporter):
    def export(self, spans: Sequence[Any]) -> SpanExportResult:  # noqa: ARG002
        return SpanExportResult.SUCCESS


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds")
    parser.add_argument("--no-spans", action="store_true", help="without an OpenTelemetry SDK")
    options = parser.parse_args()
    scale = 0.1 if options.quick else 1.0
    if not options.no_spans:
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(Nowhere()))
        trace.set_tracer_provider(provider)
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, openai {openai.__version__}"
    )
    print(f"{machine}; all detectors on, spans {'off' if options.no_spans else 'on'}; microseconds")
    results: list[Pair] = []
    with FakeProvider() as fake:
        url = f"{fake.url}/v1"
        for mode, meaning in MODES.items():
            llmtrace.configure(enforcement={"mode": mode})
            print(f"\nmode {mode}: {meaning}\n")
            for title, measure in MEASURES.items():
                pairs = measure(url, scale)
                print(table(title, pairs) + "\n", flush=True)
                results += [Pair(f"{mode}: {pair.name}", pair.bare, pair.ours) for pair in pairs]
    print("enforcement by itself: without it, and with it\n")
    pairs = enforcement.costs(scale)
    print(table("in memory", pairs) + "\n", flush=True)
    results += pairs
    print("limits: admission alone, and with the settlement that the worker does\n")
    pairs = limits.costs(scale)
    print(table("per call", pairs) + "\n", flush=True)
    results += pairs
    print("the detection engine by itself")
    keep(machine, results, detection.run(scale))


def keep(machine: str, results: list[Pair], engine: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{time.strftime('%Y-%m-%d')}.json"
    rows = [{"name": p.name, "bare_us": rounded(p.bare), "ours_us": rounded(p.ours)} for p in results]
    file.write_text(
        json.dumps({"machine": machine, "llmtrace": llmtrace.__version__, "rows": rows, "engine": engine}) + "\n"
    )
    print(f"raw figures: {file.relative_to(RESULTS.parents[1])}")


def rounded(values: list[float]) -> list[float]:
    return [round(value, 1) for value in values]


if __name__ == "__main__":
    main()
