"""What the inference span says for each way in which a call can end (own mode)."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from llmtrace_sdk import __version__
from llmtrace_sdk.core.model import Answer, CallRecord, Coverage, Labels, Prompt, Settings, Usage
from llmtrace_sdk.telemetry.bounds import ATTRIBUTES_LIMIT
from llmtrace_sdk.typing import Endpoint

from .rig import MS, STARTED, Rig, asked, blocked, decided, finding, record

ALWAYS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "server.address": "api.openai.com",
    "server.port": 443,
    "openai.api.type": "chat_completions",
    "llmtrace.version": __version__,
    "llmtrace.mode": "in_process",
    "llmtrace.span.role": "own",
    "llmtrace.enforcement.mode": "monitor",
    "llmtrace.record.id": "rec-1",
    "llmtrace.guard.duration": 0.0004,
}
ANSWERED = {
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 34,
    "gen_ai.usage.cache_read.input_tokens": 5,
    "gen_ai.usage.cache_write.input_tokens": 6,
    "gen_ai.usage.reasoning.output_tokens": 7,
    "http.response.status_code": 200,
}
FOUND = {
    "llmtrace.findings.count": 1,
    "llmtrace.findings.max_severity": "high",
    "llmtrace.findings.categories": ("prompt_injection",),
}
REFUSED = {
    **ALWAYS,
    **FOUND,
    "llmtrace.decision": "block",
    "llmtrace.verdict": "deny",
    "llmtrace.decision.phase": "input",
    "llmtrace.decision.reason": "prompt_injection.high",
    "llmtrace.upstream.called": False,
}
del REFUSED["llmtrace.verdict"]  # said only where it differs from what was enforced


@pytest.mark.parametrize(
    ("told", "expected", "status"),
    [
        (record(), {**ALWAYS, **ANSWERED, "llmtrace.decision": "allow"}, StatusCode.UNSET),
        (blocked(), {**REFUSED, "gen_ai.response.finish_reasons": ("content_filter",)}, StatusCode.UNSET),
        (blocked(error_type="llmtrace.blocked"), {**REFUSED, "error.type": "llmtrace.blocked"}, StatusCode.ERROR),
        (
            record(status=429, outcome="client_error", error_type="rate_limit_exceeded", answer=Answer()),
            {
                **ALWAYS,
                "llmtrace.decision": "allow",
                "http.response.status_code": 429,
                "error.type": "rate_limit_exceeded",
            },
            StatusCode.ERROR,
        ),
        (
            record(
                status=None,
                outcome="upstream_error",
                stream_end="error",
                error_type="httpx2.ConnectError",
                first_chunk_ns=None,
                answer=Answer(),
                attempt=2,
            ),
            {
                **ALWAYS,
                "llmtrace.decision": "allow",
                "error.type": "httpx2.ConnectError",
                "http.request.resend_count": 2,
            },
            StatusCode.ERROR,
        ),
        (
            record(streamed=True, chunks=3),
            {
                **ALWAYS,
                **ANSWERED,
                "llmtrace.decision": "allow",
                "gen_ai.request.stream": True,
                "gen_ai.response.time_to_first_chunk": 0.3,
                "llmtrace.stream.end": "complete",
                "llmtrace.stream.chunks": 3,
            },
            StatusCode.UNSET,
        ),
    ],
    ids=["complete", "blocked", "blocked-raised", "client-error", "connect-error", "stream"],
)
def test_attributes_and_status(told: CallRecord, expected: dict[str, Any], status: StatusCode) -> None:
    rig = Rig()
    rig.tell(told)
    span = rig.span("chat gpt-4o")
    assert dict(span.attributes or {}) == expected
    assert span.status.status_code is status
    assert span.kind is SpanKind.CLIENT
    assert (span.start_time, span.end_time) == (STARTED, STARTED + 500 * MS)
    assert span.events == ()


def test_a_raised_block_says_why_in_its_status() -> None:
    rig = Rig()
    rig.tell(blocked(error_type="llmtrace.blocked"))
    assert rig.span("chat gpt-4o").status.description == "prompt_injection.high"


@pytest.mark.parametrize("end", ["closed", "abandoned", "cancelled", "error"])
def test_choices_that_never_ended_are_errors(end: str) -> None:
    rig = Rig()
    answer = Answer(finish_reasons=("stop",))
    rig.tell(record(outcome="abandoned", stream_end=end, streamed=True, prompt=asked(choice_count=3), answer=answer))
    attributes = rig.span("chat gpt-4o").attributes or {}
    assert attributes["gen_ai.response.finish_reasons"] == ("stop", "error", "error")
    assert attributes["llmtrace.stream.end"] == end


@pytest.mark.parametrize("end", ["closed", "abandoned"])
def test_a_consumer_that_stops_reading_is_no_error(end: str) -> None:
    rig = Rig()
    rig.tell(record(outcome="abandoned", stream_end=end, streamed=True))
    assert rig.span("chat gpt-4o").status.status_code is StatusCode.UNSET


def test_a_cancelled_call_is_an_error() -> None:
    rig = Rig()
    error = "asyncio.exceptions.CancelledError"
    rig.tell(record(outcome="abandoned", stream_end="cancelled", streamed=True, error_type=error))
    assert rig.span("chat gpt-4o").status.status_code is StatusCode.ERROR


def test_a_failure_of_unknown_kind_is_called_other() -> None:
    rig = Rig()
    rig.tell(record(outcome="upstream_error", status=503, error_type=None))
    assert (rig.span("chat gpt-4o").attributes or {})["error.type"] == "_OTHER"


@pytest.mark.parametrize(
    ("action", "verdict", "decision", "said"),
    [
        ("allow", "allow", "allow", None),
        ("log", "log", "audit", None),
        ("flag", "flag", "warn", None),
        ("redact", "redact", "modify", None),
        ("flag", "block", "warn", "deny"),
        ("flag", "redact", "warn", "modify"),
    ],
)
def test_decision_and_verdict(action: str, verdict: str, decision: str, said: str | None) -> None:
    rig = Rig()
    rig.tell(record(decision=decided(action, verdict), findings=(finding(),)))
    attributes = rig.span("chat gpt-4o").attributes or {}
    assert (attributes["llmtrace.decision"], attributes.get("llmtrace.verdict")) == (decision, said)
    assert attributes.get("llmtrace.content.modified") is (True if action == "redact" else None)


def test_every_setting_has_its_attribute() -> None:
    settings = Settings(
        max_tokens=5,
        temperature=0.5,
        top_p=0.25,
        top_k=40,
        frequency_penalty=1.5,
        presence_penalty=-1.5,
        seed=7,
        stop_sequences=("END",),
        choice_count=2,
        reasoning_level="low",
        output_type="json",
        service_tier="flex",
        previous_response_id="resp-0",
        conversation_id="conv-1",
    )
    rig = Rig()
    rig.tell(record(prompt=Prompt(model="gpt-4o", settings=settings), answer=Answer(service_tier="default")))
    expected = {
        "gen_ai.request.max_tokens": 5,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.25,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.frequency_penalty": 1.5,
        "gen_ai.request.presence_penalty": -1.5,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.output.type": "json",
        "gen_ai.request.previous_response.id": "resp-0",
        "gen_ai.conversation.id": "conv-1",
        "openai.request.service_tier": "flex",
        "openai.response.service_tier": "default",
    }
    attributes = dict(rig.span("chat gpt-4o").attributes or {})
    assert {name: attributes.get(name) for name in expected} == expected


def test_labels_cost_and_blobs() -> None:
    labels = Labels(session="s", user="u", agent="a", tenant="t", tags=(("team", "red"),))
    rig = Rig()
    rig.tell(record(prompt=Prompt(model="gpt-4o", blobs=2), labels=labels, cost_usd=0.25))
    expected = {
        "gen_ai.agent.name": "a",
        "llmtrace.prompt.blobs": 2,
        "llmtrace.cost.usd": 0.25,
        "llmtrace.tenant.id": "t",
        "enduser.id": "u",
        "session.id": "s",
        "llmtrace.tag.team": "red",
    }
    attributes = dict(rig.span("chat gpt-4o").attributes or {})
    assert {name: attributes.get(name) for name in expected} == expected


def test_embeddings() -> None:
    rig = Rig()
    span = rig.start(Endpoint("openai", "embeddings", "embeddings"), "text-embedding-3-small")
    settings = Settings(dimensions=256, encoding_formats=("base64",))
    prompt = Prompt(model="text-embedding-3-small", settings=settings)
    told = record(operation="embeddings", api="embeddings", prompt=prompt, answer=Answer(usage=Usage(9)))
    rig.telemetry.deliver(told, span)
    attributes = rig.span("embeddings text-embedding-3-small").attributes or {}
    assert attributes["gen_ai.embeddings.dimension.count"] == 256
    assert attributes["gen_ai.request.encoding_formats"] == ("base64",)
    assert "gen_ai.response.finish_reasons" not in attributes
    assert "openai.api.type" not in attributes


def test_other_providers_get_no_openai_attributes() -> None:
    rig = Rig()
    rig.tell(record(provider="groq", prompt=asked(service_tier="flex"), answer=Answer(service_tier="flex")))
    assert not [name for name in rig.span("chat gpt-4o").attributes or {} if name.startswith("openai.")]


def test_what_was_not_inspected_is_said() -> None:
    rig = Rig()
    rig.tell(record(coverage=Coverage("partial", ("text_limit", "unknown_part"))))
    attributes = rig.span("chat gpt-4o").attributes or {}
    assert attributes["llmtrace.scan.skipped_reason"] == "text_limit"
    assert attributes["llmtrace.scan.truncated"] is True


def test_the_row_of_the_table_of_coverage_is_said() -> None:
    rig = Rig()
    rig.tell(record(coverage=Coverage("scanned", row="openai_chat.chat_completions.whole")))
    rig.tell(record())
    first, second = (dict(span.attributes or {}) for span in rig.spans() if span.name == "chat gpt-4o")
    assert first["llmtrace.coverage.row"] == "openai_chat.chat_completions.whole"
    assert "llmtrace.coverage.row" not in second


def test_a_degraded_call_says_how_it_failed() -> None:
    rig = Rig(fail_mode="closed")
    decision = decided("allow", degraded=True)
    rig.tell(record(decision=decision, coverage=Coverage("partial", ("detector_failed",))))
    span, guard = rig.span("chat gpt-4o"), rig.span("llmtrace.guard input")
    assert (span.attributes or {})["llmtrace.fail_mode"] == "closed"
    assert (span.attributes or {})["llmtrace.guard.degraded"] is True
    assert span.status.status_code is StatusCode.UNSET
    assert guard.status.status_code is StatusCode.ERROR
    assert (guard.attributes or {})["error.type"] == "_OTHER"


def test_policy_and_mode_are_said() -> None:
    rig = Rig(mode="relay", policy_id="default", policy_version="3", enforcement_mode="block")
    rig.tell(record())
    attributes = rig.span("chat gpt-4o").attributes or {}
    assert attributes["llmtrace.mode"] == "relay"
    assert attributes["llmtrace.policy.id"] == "default"
    assert attributes["llmtrace.policy.version"] == "3"
    assert attributes["llmtrace.enforcement.mode"] == "enforce"


def test_attributes_are_bounded() -> None:
    rig = Rig()
    tags = tuple((f"tag-{n}", "x" * 5000) for n in range(100))
    settings = Settings(stop_sequences=("y" * 1000,) * 100, choice_count=10**9, seed=1 << 70, max_tokens=5)
    told = record(
        prompt=Prompt(model="m" * 1000, settings=settings),
        labels=Labels(tags=tags, user="\ud800lone"),
        streamed=True,
        stream_end="closed",
    )
    rig.tell(told)
    (span,) = [s for s in rig.spans() if s.name.startswith("chat")]
    attributes: dict[str, Any] = dict(span.attributes or {})
    assert len(attributes) <= ATTRIBUTES_LIMIT + 5
    texts = [v for v in attributes.values() if isinstance(v, str)]
    assert max(map(len, texts)) == 256
    assert attributes["enduser.id"] == "?lone"
    assert len(attributes["gen_ai.request.stop_sequences"]) == 32
    assert len(attributes["gen_ai.response.finish_reasons"]) == 32
    assert "gen_ai.request.seed" not in attributes  # not encodable: it would cost the exporter its batch
    assert attributes["gen_ai.request.max_tokens"] == 5


def test_a_hostile_model_name_is_bounded_at_start() -> None:
    rig = Rig()
    rig.telemetry.deliver(record(), rig.start(model="\udfff" + "m" * 1000))
    (span,) = rig.spans()
    assert span.name == "chat ?" + "m" * 255
    assert (span.attributes or {})["gen_ai.request.model"] == "?" + "m" * 255


def test_sampled_out_calls_have_no_spans_but_are_counted_and_logged() -> None:
    rig = Rig(sampler=ALWAYS_OFF)
    rig.tell(blocked())
    assert rig.spans() == []
    assert [value for _, value in rig.points("llmtrace.decisions")] == [1]
    assert [log.event_name for log in rig.logs()] == ["llmtrace.finding"]


def test_a_clock_that_went_back_makes_no_negative_span() -> None:
    rig = Rig()
    rig.tell(record(ended_ns=STARTED - 5, first_chunk_ns=STARTED - 9, streamed=True))
    span = rig.span("chat gpt-4o")
    assert span.end_time == span.start_time == STARTED
    assert (span.attributes or {})["gen_ai.response.time_to_first_chunk"] == 0.0
