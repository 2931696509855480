"""Records of calls, as the pipeline makes them."""

from __future__ import annotations

from typing import Any

from llmtrace_sdk.core.model import (
    ActionStatus,
    Answer,
    CallRecord,
    Decision,
    Finding,
    Labels,
    Prompt,
    Severity,
    Timings,
    Usage,
)

BEGAN_NS = 1_700_000_000_000_000_000
MS = 1_000_000
TENANT = "b9273ad7-78eb-507a-a80b-c8527ee2c28a"
SECRET = "sk-live-0123456789abcdefghij"


def finding(kind: str = "prompt_injection", severity: Severity = Severity.HIGH) -> Finding:
    return Finding(kind, "rule", severity, 0.9, 0, 3)


def call(*, model: str | None = "gpt-4o-mini", reason: str = "", action: Any = "allow", **more: Any) -> CallRecord:
    """A call that went well, but for what is given."""
    given: dict[str, Any] = {
        "id": "call",
        "provider": "openai",
        "operation": "chat",
        "api": "chat_completions",
        "address": "api.openai.com",
        "port": 443,
        "path": "/v1/chat/completions",
        "started_ns": BEGAN_NS,
        "ended_ns": BEGAN_NS + 800 * MS,
        "first_chunk_ns": BEGAN_NS + 200 * MS,
        "outcome": "complete",
        "stream_end": "complete",
        "streamed": True,
        "status": 200,
        "prompt": Prompt(model=model),
        "answer": Answer(usage=Usage(12, 6)),
        "decision": Decision("decision", action=action, verdict=action, reason=reason),
        "cost_usd": 0.0025,
        "labels": Labels(tenant=TENANT, trace="ab" * 16),
        "timings": Timings(400_000, 10_000, 100_000, 50_000),
        "detectors": ("prompt_injection",),
        "actions": (ActionStatus("webhook", "success"),),
    }
    return CallRecord(**{**given, **more})
