"""OpenTelemetry SDK providers with OTLP/HTTP exporters, for applications that have none. Needs the `otlp` extra.

What is not said in the options comes from the standard `OTEL_*` variables, which the SDK reads itself. Fork: the SDK
starts its threads anew in a child and forgets the parent's queue; its exporters keep connections alive, which parent
and child would then share, so ours close theirs after each export.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry import _logs, metrics, trace

from llmtrace_sdk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.resources import Resource

    from llmtrace_sdk.telemetry.options import TelemetryOptions

EXIT_TIMEOUT_S: Final = 5.0
# Content makes spans of up to 256 KiB: a full batch of the default size would pass what collectors accept.
CONTENT_BATCH: Final = 64
_HEADERS: Final = {"connection": "close"}
_log = logging.getLogger("llmtrace")
_lock = threading.Lock()
_existing: Exporters | None = None


class Provider(Protocol):
    """What the three SDK providers have in common."""

    def force_flush(self, timeout_millis: int = ...) -> bool:
        """Export what is queued."""

    def shutdown(self) -> None:
        """Export what is queued, then stop."""


class Exporters:
    """The providers that `configure_otlp` made, and only those."""

    def __init__(self, endpoint: str | None, providers: Sequence[Provider]) -> None:
        self.endpoint = endpoint
        self.closed = False
        self._providers = tuple(providers)

    def flush(self, timeout_s: float = EXIT_TIMEOUT_S) -> bool:
        """Export what is queued; False when that takes longer than `timeout_s` seconds or fails."""
        if self.closed:
            return True
        return _within(timeout_s, [provider.force_flush for provider in self._providers])

    def shutdown(self, timeout_s: float = EXIT_TIMEOUT_S) -> bool:
        """Export what is queued and stop, once; False when that takes longer than `timeout_s` seconds."""
        if self.closed:
            return True
        self.closed = True
        return _within(timeout_s, [provider.shutdown for provider in self._providers])


def configure_otlp(
    options: TelemetryOptions, service_name: str | None = None, *, drain: Callable[[], object] | None = None
) -> Exporters | None:
    """Set up providers for traces, metrics and logs that export to `options.otlp`.

    A signal for which the application has a provider already is left alone; when that is all of them, one line is
    logged and None returned. Calling again gives the same exporters. At exit `drain` is called, then they are shut
    down. Raises `ConfigError` when the extra is missing or the endpoint is no HTTP URL.
    """
    global _existing
    endpoint = _endpoint(options.otlp)
    with _lock:
        if _existing is not None and not _existing.closed:
            if _existing.endpoint != endpoint:
                _log.warning("llmtrace: OTLP export is set up already; the new endpoint takes effect in a new process")
            return _existing
        providers = _install(_sdk(), options, service_name or options.service_name, endpoint)
        if not providers:
            _log.warning("llmtrace: the application has its own OpenTelemetry providers; otlp is not set up")
            return None
        _existing = exporters = Exporters(endpoint, providers)
    atexit.register(_at_exit, exporters, drain)
    return exporters


def _at_exit(exporters: Exporters, drain: Callable[[], object] | None) -> None:
    if drain is not None and not exporters.closed:
        drain()
    exporters.shutdown(EXIT_TIMEOUT_S)


def _endpoint(otlp: bool | str) -> str | None:
    """The base URL; None leaves it to the environment and the SDK's default."""
    if isinstance(otlp, bool):
        return None
    if not otlp.startswith(("http://", "https://")):
        raise ConfigError(["telemetry.otlp: must be true or an http(s) URL such as http://localhost:4318"])
    return otlp.rstrip("/").removesuffix("/v1/traces")


def _sdk() -> Any:
    try:
        from llmtrace_sdk.telemetry import _sdk as found
    except ImportError as error:
        raise ConfigError(
            ["telemetry.otlp: needs the OpenTelemetry SDK and its exporter; pip install 'llmtrace-sdk[otlp]'"]
        ) from error
    return found


def _install(sdk: Any, options: TelemetryOptions, service_name: str | None, endpoint: str | None) -> list[Provider]:
    """Make and install a provider for each signal that has none. Returns those that really took effect."""
    resource: Resource = sdk.resource(service_name)
    batch = CONTENT_BATCH if options.capture in ("SPAN_ONLY", "SPAN_AND_EVENT") else None
    made: list[Provider] = []
    if _vacant(trace.get_tracer_provider()):
        provider = sdk.tracer_provider(resource, _url(endpoint, "traces"), _HEADERS, batch)
        trace.set_tracer_provider(provider)
        _keep(provider, trace.get_tracer_provider(), made)
    if options.emit_events and _vacant(_logs.get_logger_provider()):
        provider = sdk.logger_provider(resource, _url(endpoint, "logs"), _HEADERS)
        _logs.set_logger_provider(provider)
        _keep(provider, _logs.get_logger_provider(), made)
    if _vacant(metrics.get_meter_provider()):
        provider = sdk.meter_provider(resource, _url(endpoint, "metrics"), _HEADERS)
        metrics.set_meter_provider(provider)
        _keep(provider, metrics.get_meter_provider(), made)
    return made


def _keep(provider: Provider, installed: object, made: list[Provider]) -> None:
    """Another thread may have been quicker; then ours goes again."""
    if installed is provider:
        made.append(provider)
    else:
        provider.shutdown()


def _vacant(provider: object) -> bool:
    """Whether a global provider is still the API's stand-in; the classes themselves are private."""
    kind = type(provider)
    return "Proxy" in kind.__name__ and kind.__module__.startswith("opentelemetry.")


def _url(endpoint: str | None, signal: str) -> str | None:
    return None if endpoint is None else f"{endpoint}/v1/{signal}"


def _within(timeout_s: float, steps: Sequence[Callable[[], object]]) -> bool:
    """Run the steps in a thread of their own, since the SDK's own time-outs do not hold. False when it took too long
    or a step failed.
    """
    results: list[bool] = []

    def run() -> None:
        for step in steps:
            try:
                results.append(step() is not False)
            except Exception as error:  # noqa: BLE001 - one signal's fault must not keep the others from being sent
                _log.warning("llmtrace: export failed with %s", type(error).__qualname__)
                results.append(False)

    thread = threading.Thread(target=run, name="llmtrace-export", daemon=True)
    deadline = time.monotonic() + timeout_s
    try:
        thread.start()
    except RuntimeError:  # no new threads while the interpreter shuts down
        run()
    else:
        thread.join(max(deadline - time.monotonic(), 0.0))
    return len(results) == len(steps) and all(results)
