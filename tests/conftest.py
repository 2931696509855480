from __future__ import annotations

import gc
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import llmtrace_sdk as llmtrace
from llmtrace_sdk import runtime
from llmtrace_sdk.fake_provider import FakeProvider

with suppress(ImportError):
    import hypothesis  # noqa: F401 - it looks for who holds what, and would not find what is frozen below

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.model import CallRecord


@pytest.fixture(scope="session")
def provider() -> Iterator[FakeProvider]:
    """The fake provider in a process of its own."""
    with FakeProvider() as running:
        yield running


@pytest.fixture
def records() -> Iterator[list[CallRecord]]:
    """The records of calls, as they are made."""
    found: list[CallRecord] = []
    remove = llmtrace.on_record(found.append)
    yield found
    remove()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Finished spans, through a provider that only the runtime of this test knows."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    runtime.current().telemetry._tracer_provider = provider
    yield exporter
    provider.shutdown()


@pytest.fixture(scope="module", autouse=True)
def _little_to_collect() -> None:
    """What earlier modules left alive is not looked at again: thousands of tests make each full collection slow."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the machine's settings, or a runtime that another test configured."""
    for name in list(os.environ):
        if name.startswith(("LLMTRACE_", "OTEL_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_")):
            monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    runtime.shutdown()
    runtime.faults.clear()
    yield
    runtime.shutdown()
