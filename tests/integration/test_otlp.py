"""Real SDK calls, exported over OTLP/HTTP, read back with the official protobuf classes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .otlp_receiver import OTLPReceiver, Span
from .program import SEEDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.fake_provider import FakeProvider

PROGRAM = Path(__file__).with_name("program.py")


class Run:
    """One run of the program and everything that came out of it."""

    def __init__(self, receiver: OTLPReceiver, process: subprocess.CompletedProcess[str]) -> None:
        self.receiver = receiver
        self.process = process

    def spans(self, name: str) -> list[Span]:
        return sorted((s for s in self.receiver.spans() if s.name == name), key=lambda s: s.start_unix_ns)


@pytest.fixture(scope="module")
def run(provider: FakeProvider) -> Iterator[Run]:
    with OTLPReceiver() as receiver:
        command = [sys.executable, "-W", "error", str(PROGRAM), provider.url, receiver.otlp_endpoint, "otlp-test"]
        environment = {"PATH": "/usr/bin:/bin", "no_proxy": "127.0.0.1"}
        process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
        assert process.returncode == 0, process.stderr
        yield Run(receiver, process)


def test_one_inference_span_for_each_call_and_all_are_flushed_at_exit(run: Run) -> None:
    inference = [
        s for s in run.receiver.spans() if s.scope_name == "llmtrace" and "gen_ai.operation.name" in s.attributes
    ]
    assert len(inference) == 7
    assert all(s.kind == "CLIENT" for s in inference)


def test_attributes_of_a_plain_call(run: Run) -> None:
    (span,) = run.spans("chat gpt-4o-mini+plain")[:1]
    attributes = span.attributes
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.provider.name"] == "openai"
    assert attributes["gen_ai.request.model"] == "gpt-4o-mini+plain"
    assert attributes["gen_ai.response.model"] == "gpt-4o-mini"
    assert attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert attributes["gen_ai.usage.input_tokens"] > 0
    assert attributes["gen_ai.usage.output_tokens"] > 0
    assert attributes["server.address"] == "127.0.0.1"
    assert attributes["http.response.status_code"] == 200
    assert attributes["llmtrace.mode"] == "in_process"
    assert attributes["llmtrace.tenant.id"] == "tenant-1"
    assert span.status == "UNSET"
    assert span.resource["service.name"] == "otlp-test"
    assert span.end_unix_ns > span.start_unix_ns


def test_a_blocked_call_is_a_span_with_its_decision_and_its_finding(run: Run) -> None:
    blocked = [s for s in run.receiver.spans() if s.attributes.get("llmtrace.decision") == "block"]
    (span,) = blocked
    assert span.attributes["llmtrace.upstream.called"] is False
    assert span.attributes["llmtrace.decision.reason"] == "prompt_injection.high"
    assert span.attributes["gen_ai.response.finish_reasons"] == ["content_filter"]
    (guard,) = [s for s in run.receiver.spans() if s.parent_span_id == span.span_id]
    assert guard.name == "llmtrace.guard input"
    findings = [e for e in guard.events if e.name == "llmtrace.finding"]
    assert "prompt_injection" in {e.attributes["llmtrace.finding.category"] for e in findings}
    assert all(e.attributes["llmtrace.finding.location"] == "/messages/1/content" for e in findings)


def test_a_secret_in_an_answer_is_a_finding_on_the_output_guard(run: Run) -> None:
    (span,) = run.spans("chat gpt-4o-mini+secret")
    (guard,) = [
        s for s in run.receiver.spans() if s.parent_span_id == span.span_id and s.name == "llmtrace.guard output"
    ]
    assert guard.events
    assert span.attributes["llmtrace.decision"] == "warn"


@pytest.mark.parametrize(
    ("scenario", "error_type"), [("status=429", "rate_limit_exceeded"), ("cut-head", "httpx2.RemoteProtocolError")]
)
def test_failures_are_spans_too(run: Run, scenario: str, error_type: str) -> None:
    (span,) = run.spans(f"chat gpt-4o-mini+{scenario}")
    assert (span.status, span.attributes["error.type"]) == ("ERROR", error_type)


def test_the_anthropic_sdk_keeps_its_own_span_and_gets_ours_as_attributes(run: Run) -> None:
    spans = [s for s in run.receiver.spans() if s.scope_name == "com.anthropic.sdk.python"]
    (span,) = spans
    assert span.attributes["llmtrace.span.role"] == "enrich"
    assert span.attributes["llmtrace.decision"] == "allow"
    assert not [s for s in run.receiver.spans() if s.name == "chat claude-opus-4-6" and s.scope_name == "llmtrace"]


def test_metrics(run: Run) -> None:
    metrics = {metric.name for metric in run.receiver.metrics()}
    assert {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "llmtrace.decisions",
        "llmtrace.findings",
    } <= metrics


def test_nothing_seeded_left_the_process(run: Run) -> None:
    assert run.receiver.raw
    for seed in SEEDS:
        assert all(seed.encode() not in body for body in run.receiver.raw)
        assert seed not in run.process.stdout
        assert seed not in run.process.stderr
