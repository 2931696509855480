"""The span of one call while the call is in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace

from llmtrace_sdk.core.model import Coverage
from llmtrace_sdk.telemetry import attributes, faults, names
from llmtrace_sdk.telemetry.bounds import attributes as bounded

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from llmtrace_sdk.core.model import Decision
    from llmtrace_sdk.telemetry.ownership import Role

_NO_COVERAGE = Coverage()


class CallSpan:
    """What telemetry keeps of a call between its start and its record.

    `role`: `own`, the span is ours; `enrich`, it is another library's (or unknown, then `span` is None); `off`, there
    is no telemetry for this call. Nothing here raises.
    """

    __slots__ = ("_inner", "_statics", "_stream", "context", "role", "span")

    def __init__(
        self, role: Role, span: Span | None, context: Context, statics: dict[str, Any], stream: bool = False
    ) -> None:
        self.role: Role = role
        self.span = span
        self.context = context
        self._statics = statics
        self._stream = stream
        self._inner: Context | None = None

    def inner_context(self) -> Context:
        """The context in which what belongs to this call happens: its span is current there."""
        inner = self._inner
        if inner is None:
            inner = self.context
            if self.role == "own" and self.span is not None:
                outer = trace.get_current_span(inner).get_span_context()
                # without an SDK, "our" span is only a copy of the one around it
                if self.span.get_span_context() != outer:
                    inner = trace.set_span_in_context(self.span, inner)
            self._inner = inner
        return inner

    def attach(self) -> object | None:
        """Make our own span current; the token is for `detach` in the same thread and task. None: nothing to detach."""
        if self.role != "own":
            return None
        try:
            inner = self.inner_context()
            return None if inner is self.context else context_api.attach(inner)
        except Exception as error:  # noqa: BLE001 - telemetry never hurts the host
            faults.note("telemetry", error)
            return None

    def detach(self, token: Any) -> None:
        """Undo `attach`."""
        if token is not None:
            undo: Token[Context] = token
            context_api.detach(undo)

    def enrich(self, decision: Decision, coverage: Coverage = _NO_COVERAGE) -> None:
        """Put the decision on another library's span while it still records; it may end before the worker's turn."""
        span = self.span
        if self.role != "enrich" or span is None:
            return
        try:
            if span.is_recording():
                facts = {**attributes.of_decision(decision, coverage), **attributes.of_findings(decision.findings)}
                if decision.blocked and decision.phase == "input":
                    facts[names.UPSTREAM_CALLED] = False
                span.set_attributes({**self._statics, **bounded(facts)})
        except Exception as error:  # noqa: BLE001 - as above
            faults.note("telemetry", error)

    def abandon(self) -> None:
        """End our own span because no record of its call will come. The status stays unset: the call may be well."""
        span = self.span
        if self.role != "own" or span is None:
            return
        try:
            if span.is_recording():
                streamed = {names.REQUEST_STREAM: True} if self._stream else {}
                span.set_attributes({**self._statics, names.RECORD_DROPPED: True, **streamed})
                span.end()
        except Exception as error:  # noqa: BLE001 - as above
            faults.note("telemetry", error)


OFF = CallSpan("off", None, context_api.Context(), {})
"""The one span of all calls that are not told of."""
