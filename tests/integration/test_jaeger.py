"""Real SDK calls, exported to a real Jaeger, read back through its query API."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .jaeger_server import JaegerServer, flat, require_jaeger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.fake_provider import FakeProvider

PROGRAM = Path(__file__).with_name("program.py")
SERVICE = "jaeger-test"


@pytest.fixture(scope="module")
def spans(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    """Every span that Jaeger gives back for one run of the program."""
    with JaegerServer(require_jaeger(), tmp_path_factory.mktemp("jaeger")) as jaeger:
        command = [sys.executable, str(PROGRAM), provider.url, jaeger.otlp_endpoint, SERVICE]
        environment = {"PATH": "/usr/bin:/bin", "no_proxy": "127.0.0.1"}
        subprocess.run(command, capture_output=True, timeout=60, check=True, env=environment)
        yield [span for trace in jaeger.traces(SERVICE) for span in trace["spans"]]


def tags(span: dict[str, Any]) -> dict[str, Any]:
    return flat(span["tags"])


def test_a_plain_call_is_found_by_its_name_and_has_its_attributes(spans: list[dict[str, Any]]) -> None:
    (span,) = [s for s in spans if s["operationName"] == "chat gpt-4o-mini+secret"]
    found = tags(span)
    assert found["gen_ai.provider.name"] == "openai"
    assert found["gen_ai.response.model"] == "gpt-4o-mini"
    assert found["gen_ai.usage.output_tokens"] > 0
    assert found["span.kind"] == "client"
    assert found["llmtrace.decision"] == "warn"


def test_the_blocked_call_is_found_by_its_decision_with_its_finding_events(spans: list[dict[str, Any]]) -> None:
    (span,) = [s for s in spans if tags(s).get("llmtrace.decision") == "block"]
    guards = [s for s in spans if any(r["spanID"] == span["spanID"] for r in s["references"])]
    (guard,) = guards
    assert guard["operationName"] == "llmtrace.guard input"
    events = [flat(log["fields"]) for log in guard["logs"]]
    assert {e["event"] for e in events} == {"llmtrace.finding"}
    assert "prompt_injection" in {e["llmtrace.finding.category"] for e in events}
    assert {e["llmtrace.finding.severity"] for e in events} >= {"high"}


def test_a_failed_call_is_marked_as_an_error(spans: list[dict[str, Any]]) -> None:
    (span,) = [s for s in spans if s["operationName"] == "chat gpt-4o-mini+status=429"]
    assert tags(span)["error"] is True
