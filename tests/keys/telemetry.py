"""What each key of `telemetry` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import llmtrace_sdk as llmtrace
from llmtrace_sdk.core.model import Content, Segment
from tests.telemetry.rig import Rig, blocked, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench

SAID = "a sentence of the user"
WITH_CONTENT = record(content=Content((Segment(SAID, "user", "/messages/0/content"),), ()))


def spans(bench: Bench) -> None:
    names = {mode: [span.name for span in bench.rig(spans=mode).tell(blocked())] for mode in ("auto", "guard_only")}
    assert "chat gpt-4o" in names["auto"]
    assert names["guard_only"]
    assert "chat gpt-4o" not in names["guard_only"]
    assert bench.rig(spans="off").tell(blocked()) == []


def _told(rig: Rig) -> tuple[bool, bool]:
    rig.tell(WITH_CONTENT)
    on_spans = any(SAID in span.to_json() for span in rig.spans())
    return on_spans, any(SAID in repr((log.attributes, log.body)) for log in rig.logs())


def capture(bench: Bench) -> None:
    expected = {
        "NO_CONTENT": (False, False),
        "SPAN_ONLY": (True, False),
        "EVENT_ONLY": (False, True),
        "SPAN_AND_EVENT": (True, True),
    }
    assert {mode: _told(bench.rig(capture=mode, content="full")) for mode in expected} == expected


def content(bench: Bench) -> None:
    assert _told(bench.rig(capture="SPAN_ONLY", content="full")) == (True, False)
    rig = bench.rig(capture="SPAN_ONLY", content="hash")
    assert _told(rig) == (False, False)
    assert "hmac-sha256:" in rig.everything()


def emit_events(bench: Bench) -> None:
    for given in (True, False):
        rig = bench.rig(emit_events=given)
        rig.tell(blocked())
        assert bool(rig.logs()) == given


def semconv_guardrail(bench: Bench) -> None:
    told = {}
    for names in ("off", "result", "427"):
        rig = bench.rig(semconv_guardrail=names)
        rig.tell(blocked())
        told[names] = {key for span in rig.spans() for key in span.attributes or {}} | {
            event.name for span in rig.spans() for event in span.events
        }
    assert told["off"] != told["result"] != told["427"] != told["off"]


def semconv_metrics(bench: Bench) -> None:
    for names, metric in (
        ("operation", "gen_ai.client.operation.duration"),
        ("inference", "gen_ai.client.inference.duration"),
    ):
        rig = bench.rig(semconv_metrics=names)
        rig.tell(record())
        assert metric in rig.metrics()


def _exporters(bench: Bench, **telemetry: Any) -> list[tuple[Any, Any]]:
    """What the exporters were set up with; that they export is shown in tests/integration."""
    from llmtrace_sdk.telemetry import setup

    made: list[tuple[Any, Any]] = []
    bench.monkeypatch.setattr(setup, "configure_otlp", lambda o, name, **_: made.append((o.otlp, name)))
    llmtrace.configure(telemetry=telemetry)
    return made


def otlp(bench: Bench) -> None:
    assert _exporters(bench) == []
    assert _exporters(bench, otlp="http://127.0.0.1:9") == [("http://127.0.0.1:9", None)]


def service_name(bench: Bench) -> None:
    assert _exporters(bench, otlp=True, service_name="shop") == [(True, "shop")]


def propagate_hosts(bench: Bench) -> None:
    for hosts, expected in (((), set()), (("relay.example",), {"traceparent"})):
        rig = bench.rig(propagate_hosts=hosts)
        names = {name for name, _ in rig.telemetry.headers_for(rig.start(), "relay.example")}
        assert names == expected


EFFECTS: dict[str, Callable[[Bench], None]] = {
    "telemetry.spans": spans,
    "telemetry.capture": capture,
    "telemetry.content": content,
    "telemetry.emit_events": emit_events,
    "telemetry.semconv_guardrail": semconv_guardrail,
    "telemetry.semconv_metrics": semconv_metrics,
    "telemetry.otlp": otlp,
    "telemetry.service_name": service_name,
    "telemetry.propagate_hosts": propagate_hosts,
}
