"""Security and observability for the HTTP calls that a program makes to language models."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from llmtrace_sdk.blocking import blocked
    from llmtrace_sdk.config import Settings
    from llmtrace_sdk.core.model import CallRecord, Decision, Finding, Severity
    from llmtrace_sdk.errors import Blocked, ConfigError, LLMTraceError, NothingInstrumented
    from llmtrace_sdk.instrumentation import install, instrument, uninstall, uninstrument
    from llmtrace_sdk.labels import context
    from llmtrace_sdk.runtime import configure, flush, on_record, shutdown
    from llmtrace_sdk.scanning import scan

__version__ = "0.1.0"

# Imported on first use: `import llmtrace_sdk` alone must cost next to nothing.
_HOMES: Final = {
    "Blocked": "errors",
    "CallRecord": "core.model",
    "ConfigError": "errors",
    "Decision": "core.model",
    "Finding": "core.model",
    "LLMTraceError": "errors",
    "NothingInstrumented": "errors",
    "Settings": "config",
    "Severity": "core.model",
    "blocked": "blocking",
    "configure": "runtime",
    "context": "labels",
    "flush": "runtime",
    "install": "instrumentation",
    "instrument": "instrumentation",
    "on_record": "runtime",
    "scan": "scanning",
    "shutdown": "runtime",
    "uninstall": "instrumentation",
    "uninstrument": "instrumentation",
}

__all__ = [
    "Blocked",
    "CallRecord",
    "ConfigError",
    "Decision",
    "Finding",
    "LLMTraceError",
    "NothingInstrumented",
    "Settings",
    "Severity",
    "blocked",
    "configure",
    "context",
    "flush",
    "install",
    "instrument",
    "on_record",
    "scan",
    "shutdown",
    "uninstall",
    "uninstrument",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
