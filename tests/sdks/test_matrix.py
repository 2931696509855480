"""Every SDK, every kind of call: seen once, whole, and with the result that the program would have had without us."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk.testing import recorded
from tests.sdks.rig import Rig, each_call, each_target

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from llmtrace_sdk.core.model import CallRecord
    from llmtrace_sdk.fake_provider import FakeProvider
    from tests.sdks.target import Call, Target

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.parametrize(("target", "call"), each_call())
def test_a_call_is_seen_once_and_unchanged(
    target: Target, call: Call, provider: FakeProvider, spans: InMemorySpanExporter
) -> None:
    with Rig(target, provider) as rig, recorded() as records:
        ask = rig.ask()
        bare = rig.do(call, rig.client(ask), ask)
        assert bare
        assert not records.settled()

        ask = rig.ask()
        client = rig.client(ask)
        assert llmtrace.instrument(target.given(client)) is target.given(client)
        assert rig.do(call, client, ask) == bare
        if call.late:
            rig.close(client)
        own = [record for record in records.settled() if record.path.startswith(f"/{ask.place}/")]
        assert len(own) == rig.arrived(ask) == 1
        assert len(_inference(spans)) == 1
        _check(own[0], call)


@pytest.mark.parametrize("target", each_target())
def test_uninstrument_ends_it(target: Target, provider: FakeProvider) -> None:
    with Rig(target, provider) as rig, recorded() as records:
        ask, call = rig.ask(), target.calls[0]
        client = rig.client(ask)
        for _ in range(2):
            llmtrace.instrument(target.given(client))
        rig.do(call, client, ask)
        assert len([record for record in records.settled() if record.path.startswith(f"/{ask.place}/")]) == 1
        llmtrace.uninstrument(target.given(client))
        records.clear()
        rig.do(call, client, ask)
        assert rig.arrived(ask) == 2
        assert not records.settled()


def _check(record: CallRecord, call: Call) -> None:
    phases = {finding.phase for finding in record.findings}
    assert "input" in phases
    assert record.answer.usage.input_tokens
    assert call.silent or "output" in phases
    assert call.silent or record.answer.finish_reasons
    assert record.outcome == "complete"
    assert record.coverage.state == "scanned", record.coverage


def _inference(spans: InMemorySpanExporter) -> list[str]:
    names = [s.name for s in spans.get_finished_spans() if (s.attributes or {}).get("gen_ai.operation.name")]
    return [name for name in names if not name.startswith("apply_guardrail")]
