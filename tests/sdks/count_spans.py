"""Prints, as JSON, how many inference spans one call of each named row makes in a process with a tracer provider.

A program of its own: the provider can be set once in a process, and some SDKs make spans of their own with it.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import llmtrace_sdk as llmtrace
from llmtrace_sdk.fake_provider import FakeProvider
from tests.sdks.rig import TARGETS, Rig

INFERENCE = {"chat", "generate_content", "text_completion", "embeddings"}


def main(names: set[str]) -> dict[str, int]:
    exporter, tracing = InMemorySpanExporter(), TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(tracing)
    counts = {}
    with FakeProvider() as provider:
        for target in TARGETS:
            if target.name in names and all(find_spec(module.partition(".")[0]) for module in target.needs):
                with Rig(target, provider) as rig:
                    ask = rig.ask()
                    client = rig.client(ask)
                    llmtrace.instrument(target.given(client))
                    rig.do(target.calls[0], client, ask)
                llmtrace.flush()
                spans = exporter.get_finished_spans()
                counts[target.name] = sum((s.attributes or {}).get("gen_ai.operation.name") in INFERENCE for s in spans)
                exporter.clear()
    llmtrace.shutdown()
    return counts


if __name__ == "__main__":
    print(json.dumps(main(set(sys.argv[1:]))))
