"""What can be set about telemetry. Plain data: `config.py` fills it from files, environment and keywords."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

SpanMode = Literal["auto", "guard_only", "off"]
CaptureMode = Literal["NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"]
ContentForm = Literal["redacted", "hash", "full"]
GuardrailNames = Literal["off", "result", "427"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryOptions:
    """Spans, metrics, content capture.

    `spans`: `auto` makes an inference span unless another library already made one; `guard_only` makes guard spans
    only; `off` makes none. `capture` is the OpenTelemetry GenAI switch and `content` the form of what is captured.
    `otlp`: true, or the base URL of an OTLP/HTTP endpoint, sets up an SDK provider if the application has none.
    `propagate_hosts`: hosts that may receive a `traceparent` header; none by default.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    spans: SpanMode = "auto"
    capture: CaptureMode = "NO_CONTENT"
    content: ContentForm = "redacted"
    emit_events: bool = True
    semconv_guardrail: GuardrailNames = "off"
    semconv_metrics: Literal["operation", "inference"] = "operation"
    otlp: bool | str = False
    service_name: str | None = None
    propagate_hosts: tuple[str, ...] = ()
