from __future__ import annotations

import gc
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from llmtrace_sdk import runtime
from llmtrace_sdk.fake_provider import FakeProvider

with suppress(ImportError):
    import hypothesis  # noqa: F401 - it looks for who holds what, and would not find what is frozen below

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def provider() -> Iterator[FakeProvider]:
    """The fake provider in a process of its own."""
    with FakeProvider() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _little_to_collect() -> None:
    """What earlier modules left alive is not looked at again: thousands of tests make each full collection slow."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the machine's settings, or a runtime that another test configured."""
    for name in list(os.environ):
        if (
            name.startswith(("LLMTRACE_", "OTEL_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_"))
            and name != "LLMTRACE_JAEGER"
        ):
            monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    runtime.shutdown()
    runtime.faults.clear()
    yield
    runtime.shutdown()
