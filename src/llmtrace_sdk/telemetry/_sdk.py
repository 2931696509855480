"""The only module that imports the OpenTelemetry SDK and its exporters; imported by `setup` when they are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

if TYPE_CHECKING:
    from collections.abc import Mapping

# The providers' own exit hooks are off: the one of `setup` lets the worker hand over its last records first.


def resource(service_name: str | None) -> Resource:
    """The process's resource; the environment names the service unless it is given here."""
    return Resource.create({SERVICE_NAME: service_name} if service_name else {})


def tracer_provider(
    resource: Resource, endpoint: str | None, headers: Mapping[str, str], batch: int | None
) -> TracerProvider:
    """Traces to `endpoint`, `batch` spans at most per request."""
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=endpoint, headers=dict(headers), compression=Compression.Gzip)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=batch))
    return provider


def meter_provider(resource: Resource, endpoint: str | None, headers: Mapping[str, str]) -> MeterProvider:
    """Metrics to `endpoint`, at the interval that the environment asks for."""
    exporter = OTLPMetricExporter(endpoint=endpoint, headers=dict(headers), compression=Compression.Gzip)
    return MeterProvider([PeriodicExportingMetricReader(exporter)], resource=resource, shutdown_on_exit=False)


def logger_provider(resource: Resource, endpoint: str | None, headers: Mapping[str, str]) -> LoggerProvider:
    """Log records to `endpoint`."""
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPLogExporter(endpoint=endpoint, headers=dict(headers), compression=Compression.Gzip)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    return provider
