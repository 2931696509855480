"""A finished call -> its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from llmtrace_sdk.core import consulting, outcome
from llmtrace_sdk.core.cost import Bill
from llmtrace_sdk.core.model import CallRecord, Content, Timings
from llmtrace_sdk.core.tokens import estimated_usage

if TYPE_CHECKING:
    from llmtrace_sdk.core.effects import Pipeline
    from llmtrace_sdk.core.exchange import Exchange
    from llmtrace_sdk.core.inspection import Inspection
    from llmtrace_sdk.core.model import StreamEnd, Usage


def record_of(call: Exchange, inspection: Inspection, pipeline: Pipeline) -> CallRecord:
    """The record of a call that is over, and inspected."""
    endpoint, head, traffic = call.endpoint, call.head, call.traffic
    prompt, answer, keep = inspection.prompt, inspection.answer, pipeline.keep_content
    provider = endpoint.provider if endpoint else ""
    end = _stream_end(traffic.end, inspection)
    usage, estimated = _usage(call, inspection, end)
    bill = pipeline.bill(provider, prompt, answer, usage, traffic.started_ns / 1e9) if endpoint else Bill()
    return CallRecord(
        id=call.id,
        provider=provider,
        operation=endpoint.operation if endpoint else "",
        api=endpoint.api if endpoint else "",
        address=head.host,
        port=head.port,
        path=head.path,
        started_ns=traffic.started_ns,
        ended_ns=traffic.ended_ns,
        first_chunk_ns=traffic.first_chunk_ns,
        outcome=outcome.outcome(end, traffic.status, answer.error_type),
        stream_end=end,
        streamed=inspection.streamed,
        status=traffic.status,
        error_type=_error_type(call, inspection),
        attempt=outcome.attempt(head),
        upstream_called=call.upstream_called,
        prompt=msgspec.structs.replace(prompt, segments=()),
        answer=msgspec.structs.replace(answer, segments=(), usage=usage),
        decision=inspection.decision,
        coverage=inspection.coverage,
        findings=tuple(inspection.findings),
        cost_usd=bill.usd,
        cost_source=bill.source,
        cost_prices_as_of=bill.as_of,
        usage_estimated=estimated,
        chunks=traffic.chunks,
        request_bytes=traffic.request_bytes,
        response_bytes=traffic.response_bytes,
        labels=call.labels,
        changes=inspection.treatment.changes,
        warnings=tuple(call.reservation.warned) if call.reservation is not None else (),
        actions=consulting.routing_status(inspection, pipeline.judged),
        policy_hash=pipeline.policy_hash,
        timings=Timings(traffic.added_ns, inspection.parse_ns, *inspection.scan_ns.values()),
        detectors=(*pipeline.engine.names, *inspection.consulted.asked) if inspection.scanned else (),
        content=Content(prompt.segments, answer.segments) if keep else None,
    )


def _usage(call: Exchange, inspection: Inspection, end: StreamEnd) -> tuple[Usage, bool]:
    """What the vendor told; for a call of a model that it has answered, with what it did not tell estimated."""
    prompt, answer = inspection.prompt, inspection.answer
    if prompt.model is None or not call.upstream_called or (call.traffic.status or 0) // 100 != 2:
        return answer.usage, False
    given, said = (segment.text for segment in prompt.segments), (segment.text for segment in answer.segments)
    return estimated_usage(answer.usage, given, said, cut=end != "complete")


def _stream_end(end: StreamEnd, inspection: Inspection) -> StreamEnd:
    # several SDKs stop at the stream's own end mark, and close the body or drop it without reading to its end
    return "complete" if end in ("closed", "abandoned") and inspection.done else end


def _error_type(call: Exchange, inspection: Inspection) -> str | None:
    traffic = call.traffic
    if traffic.end == "blocked":
        raised = call.held or inspection.policy.options.on_block == "raise"
        return "llmtrace.blocked" if raised else None
    return traffic.error or outcome.told_error(traffic.status, inspection.answer.error_type)
