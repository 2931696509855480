"""OTLP set-up against a real receiver. Global providers can be set once per process, so each case is a program."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llmtrace_sdk.errors import ConfigError
from llmtrace_sdk.telemetry.options import TelemetryOptions
from llmtrace_sdk.telemetry.setup import configure_otlp
from tests.integration.otlp_receiver import OTLPReceiver

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PRELUDE = """
import logging, os, sys, time
logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
from opentelemetry import trace
from llmtrace_sdk.core.model import Labels
from llmtrace_sdk.errors import ConfigError
from llmtrace_sdk.telemetry.options import TelemetryOptions
from llmtrace_sdk.telemetry.setup import configure_otlp
from llmtrace_sdk.telemetry.spans import Telemetry
from tests.telemetry.rig import ENDPOINT, blocked, record
telemetry = Telemetry(TelemetryOptions())
def call(**facts):
    now = time.time_ns()
    span = telemetry.start(ENDPOINT, "gpt-4o", "api.openai.com", 443, now, False)
    telemetry.deliver(blocked(**facts), span)
"""


def run(program: str, **environment: str) -> str:
    """Run a program in a process of its own; what it wrote to stderr."""
    path = {"PATH": os.defpath, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "no_proxy": "127.0.0.1"}
    command = [sys.executable, "-W", "error", "-c", PRELUDE + program]
    process = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**path, **environment}
    )
    assert process.returncode == 0, process.stderr
    return process.stderr


@pytest.fixture
def receiver() -> Iterator[OTLPReceiver]:
    with OTLPReceiver() as running:
        yield running


def test_all_three_signals_arrive_at_exit_with_what_was_queued_last(receiver: OTLPReceiver) -> None:
    program = f"""
options = TelemetryOptions(otlp={receiver.otlp_endpoint!r})
assert configure_otlp(options, "shop", drain=call) is not None
"""
    assert run(program) == ""
    spans, logs, metrics = receiver.spans(), receiver.logs(), receiver.metrics()
    assert sorted(span.name for span in spans) == ["chat gpt-4o", "llmtrace.guard input"]
    assert [log.event_name for log in logs] == ["llmtrace.finding"]
    assert {"llmtrace.decisions", "llmtrace.findings", "llmtrace.guard.duration"} <= {m.name for m in metrics}
    assert {signal.resource["service.name"] for signal in (*spans, *logs, *metrics)} == {"shop"}
    assert {signal.scope_name for signal in (*spans, *logs)} == {"llmtrace"}
    headers = [export.headers for export in receiver.exports]
    assert {h["content-encoding"] for h in headers} == {"gzip"}
    assert {h["connection"] for h in headers} == {"close"}


def test_the_standard_variables_say_what_the_options_do_not(receiver: OTLPReceiver) -> None:
    program = """
exporters = configure_otlp(TelemetryOptions(otlp=True))
call()
assert exporters.flush(10)
assert exporters.shutdown()
"""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.otlp_endpoint, "OTEL_SERVICE_NAME": "from-env"}
    assert run(program, **environment, OTEL_EXPORTER_OTLP_HEADERS="x-api-key=k") == ""
    assert {span.resource["service.name"] for span in receiver.spans()} == {"from-env"}
    assert {export.headers["x-api-key"] for export in receiver.exports} == {"k"}


def test_calling_again_gives_the_same_exporters(receiver: OTLPReceiver) -> None:
    program = f"""
options = TelemetryOptions(otlp={receiver.otlp_endpoint!r})
first = configure_otlp(options)
assert configure_otlp(TelemetryOptions(otlp={receiver.otlp_endpoint + "/"!r})) is first
call()
assert first.shutdown() and first.shutdown() and first.flush()
assert configure_otlp(options) is None
"""
    assert run(program).splitlines() == [
        "llmtrace: llmtrace: the application has its own OpenTelemetry providers; otlp is not set up"
    ]
    assert len(receiver.spans()) == 2


def test_providers_of_the_application_are_left_alone() -> None:
    program = """
from opentelemetry import _logs, metrics
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
kept = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider())
_logs.set_logger_provider(LoggerProvider())
assert configure_otlp(TelemetryOptions(otlp="http://127.0.0.1:9")) is None
assert trace.get_tracer_provider() is provider
call()
assert len(kept.get_finished_spans()) == 2
"""
    assert len(run(program).splitlines()) == 1


def test_signals_without_a_provider_are_set_up_beside_the_applications_own(receiver: OTLPReceiver) -> None:
    program = f"""
from opentelemetry.sdk.trace import TracerProvider
provider = TracerProvider()
trace.set_tracer_provider(provider)
exporters = configure_otlp(TelemetryOptions(otlp={receiver.otlp_endpoint!r}))
call()
assert exporters.shutdown()
assert provider.get_tracer("mine").start_span("still alive").is_recording()
"""
    assert run(program) == ""
    assert receiver.spans() == []
    assert receiver.logs()
    assert receiver.metrics()


def test_without_the_extra_the_error_says_what_to_install() -> None:
    program = """
sys.modules["opentelemetry.exporter.otlp.proto.http"] = None
try:
    configure_otlp(TelemetryOptions(otlp=True))
except ConfigError as error:
    assert "pip install 'llmtrace-sdk[otlp]'" in str(error), error
else:
    raise SystemExit("no error")
"""
    assert run(program) == ""


@pytest.mark.parametrize("endpoint", ["localhost:4317", "grpc://localhost:4317", ""])
def test_an_endpoint_must_be_a_url(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="http://localhost:4318"):
        configure_otlp(TelemetryOptions(otlp=endpoint))


def test_flush_keeps_its_time_limit_when_the_collector_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        program = f"""
exporters = configure_otlp(TelemetryOptions(otlp="http://127.0.0.1:{silent.getsockname()[1]}"))
call()
began = time.monotonic()
assert exporters.flush(0.3) is False
assert time.monotonic() - began < 2
os._exit(0)
"""
        run(program)


def test_parent_and_child_each_export_their_own_calls_once(receiver: OTLPReceiver) -> None:
    program = f"""
exporters = configure_otlp(TelemetryOptions(otlp={receiver.otlp_endpoint!r}))
call(labels=Labels(user="before"))
assert exporters.flush(10)
call(labels=Labels(user="queued"))
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python >= 3.12 on forking with threads
child = os.fork()
call(labels=Labels(user="parent" if child else "child"))
assert exporters.flush(10)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert exporters.shutdown(10)
"""
    assert run(program) == ""
    users = [span.attributes["enduser.id"] for span in receiver.spans() if span.name == "chat gpt-4o"]
    assert sorted(users) == ["before", "child", "parent", "queued"]
    traces = {span.trace_id for span in receiver.spans()}
    assert len(traces) == 4  # ids are not drawn from a state that parent and child share
