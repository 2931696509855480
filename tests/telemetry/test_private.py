"""Private by default: a secret seeded in every place that could hold one appears in nothing that is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from llmtrace_sdk.core.model import Answer, CallRecord, Content, Prompt, Segment
from llmtrace_sdk.telemetry.options import TelemetryOptions

from .rig import Rig, blocked, finding, record

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = "zq-seed-7731"
TEXTS = (
    Segment(f"my password is {SEED}", "user", "/messages/0/content"),
    Segment(f"result {SEED}", "tool", "/messages/1/content", "tool_result", "lookup"),
)
FOUND = finding(type="secret_leakage", category="sensitive_info_disclosure", start=15, end=15 + len(SEED))
OTHER = structs.replace(FOUND, pointer="/messages/1/content", start=7, end=7 + len(SEED))


def seeded(make: Callable[..., CallRecord], **changes: Any) -> CallRecord:
    return make(
        prompt=Prompt(model="gpt-4o", segments=TEXTS, tools=("lookup",)),
        answer=Answer(segments=TEXTS, model="gpt-4o", finish_reasons=("stop",)),
        findings=(FOUND, OTHER),
        path=f"/v1/chat/completions?key={SEED}",
        **changes,
    )


@pytest.mark.parametrize("make", [record, blocked])
@pytest.mark.parametrize("names", ["off", "result", "427"])
def test_by_default_no_text_is_told(make: Callable[..., CallRecord], names: Any) -> None:
    rig = Rig(TelemetryOptions(semconv_guardrail=names))
    told = seeded(make, content=Content(TEXTS, TEXTS))  # kept for a sink, say; that is no reason to export it
    rig.tell(told)
    assert rig.spans()
    assert SEED not in rig.everything()


@pytest.mark.parametrize("form", ["redacted", "hash"])
@pytest.mark.parametrize("make", [record, blocked])
def test_captured_content_is_told_without_its_secrets(make: Callable[..., CallRecord], form: Any) -> None:
    rig = Rig(TelemetryOptions(capture="SPAN_AND_EVENT", content=form))
    rig.tell(seeded(make, content=Content(TEXTS, ())))
    assert "gen_ai.input.messages" in rig.everything()
    assert SEED not in rig.everything()


def test_the_seed_would_be_seen_in_full() -> None:
    rig = Rig(TelemetryOptions(capture="SPAN_ONLY", content="full"))
    rig.tell(seeded(record, content=Content(TEXTS, ())))
    assert SEED in rig.everything()
