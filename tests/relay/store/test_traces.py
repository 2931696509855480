"""Traces are whole, whichever of their spans was asked for; findings are found across them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_relay.store import FindingQuery, FoundFinding, SpanQuery

from .making import BEGIN, OTHER, SECOND, TENANT, finding, span

if TYPE_CHECKING:
    from llmtrace_relay.store import Store


def test_a_trace_has_all_of_its_spans_in_their_order(store: Store) -> None:
    late, early, middle = spans = [
        span(trace_id="t", start_time=BEGIN + at, provider=name) for at, name in ((9, "a"), (1, "b"), (5, "a"))
    ]
    store.put(spans[:1])
    store.put(spans[1:])
    trace = store.trace(TENANT, "t")
    assert trace is not None
    assert trace.spans == (early, middle, late)
    assert trace.created_at == BEGIN + 1
    assert trace.tenant_id == TENANT
    assert store.trace(None, "t") == trace
    page = store.traces(SpanQuery(tenant_id=TENANT, provider="b"))
    assert page.data == (trace,)
    assert page.total == 1


def test_a_trace_with_several_spans_that_match_is_there_once(store: Store) -> None:
    store.put([span(trace_id="t", duration_ms=at) for at in range(5)] + [span(trace_id="u", duration_ms=3)])
    for order, wanted in (("newest", ["u", "t"]), ("oldest", ["t", "u"]), ("slowest", ["t", "u"])):
        page = store.traces(SpanQuery(tenant_id=TENANT, order=order))
        assert [trace.trace_id for trace in page.data] == wanted
        assert page.total == 2
    page = store.traces(SpanQuery(tenant_id=TENANT, start_time=0, limit=1, offset=1))
    assert [trace.trace_id for trace in page.data] == ["t"]
    assert page.total == 2


def test_traces_are_asked_for_by_id(store: Store) -> None:
    store.put([span(trace_id="t"), span(trace_id="u"), span(trace_id="t", tenant_id=OTHER)])
    assert store.traces(SpanQuery(tenant_id=TENANT, trace_id="t")).total == 1
    assert store.traces(SpanQuery(tenant_id=None, trace_id="t")).total == 2
    assert store.traces(SpanQuery(tenant_id=None)).total == 3
    assert store.traces(SpanQuery(tenant_id=TENANT, trace_id="t", provider="nobody")).total == 0


def test_a_large_trace_is_given_up_to_its_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmtrace_relay.store.sql.spans.TRACE_SPANS", 10)
    monkeypatch.setattr("llmtrace_relay.store.sql.spans.CHUNK", 7)
    spans = [span(trace_id="t") for _ in range(25)]
    store.put([*spans, span(trace_id="u")])
    trace = store.trace(TENANT, "t")
    assert trace is not None
    assert trace.spans == tuple(spans[:10])
    assert [len(each.spans) for each in store.traces(SpanQuery(tenant_id=TENANT)).data] == [1, 10]


def ids(store: Store, **asked: Any) -> list[str]:
    page = store.findings(FindingQuery(**({"tenant_id": TENANT} | asked)))
    assert page.total >= len(page.data)
    return [each.finding.id for each in page.data]


def test_findings_are_found_with_their_spans(store: Store) -> None:
    one = finding(metadata={"rule": "x"}, location="/messages/1")
    owner = span(security_findings=(one,), model_name="m", provider="p", action="block")
    store.put([owner])
    assert store.findings(FindingQuery(tenant_id=TENANT)).data == (
        FoundFinding(one, TENANT, owner.trace_id, owner.span_id, "m", "p", "block"),
    )


def test_findings_are_filtered_sorted_and_paged(store: Store) -> None:
    low, high, critical = findings = [
        finding(severity=severity, confidence_score=confidence, finding_type=kind, detected_at=BEGIN + at * SECOND)
        for at, (severity, confidence, kind) in enumerate(
            (("Low", 0.2, "email"), ("High", 0.5, "prompt_injection"), ("Critical", 0.9, "email"))
        )
    ]
    owner = span(security_findings=tuple(findings), model_name="m", agent="a", trace_id="t")
    theirs = finding()
    store.put([owner, span(tenant_id=OTHER, security_findings=(theirs,))])
    assert ids(store) == [critical.id, high.id, low.id]
    assert ids(store, min_severity=3) == [critical.id, high.id]
    assert ids(store, min_confidence=0.5) == [critical.id, high.id]
    assert ids(store, finding_type="email") == [critical.id, low.id]
    assert ids(store, start_time=BEGIN + SECOND) == [critical.id, high.id]
    assert ids(store, end_time=BEGIN + SECOND) == [low.id]
    assert ids(store, trace_id="t", model_name="m", agent="a", min_severity=4) == [critical.id]
    for missing in ({"trace_id": "u"}, {"model_name": "n"}, {"agent": "b"}, {"min_severity": 5}, {"tenant_id": "x"}):
        assert ids(store, **missing) == []
    assert set(ids(store, tenant_id=None)) == {critical.id, high.id, low.id, theirs.id}
    page = store.findings(FindingQuery(tenant_id=TENANT, limit=1, offset=1))
    assert ([each.finding for each in page.data], page.total) == ([high], 3)


@pytest.mark.parametrize(("told", "kept"), [("critical", "Critical"), ("INFO", "Info"), ("terrible", "Info")])
def test_severities_are_those_that_there_are(store: Store, told: str, kept: str) -> None:
    owner = span(security_findings=(finding(severity=told),))
    store.put([owner])
    back = store.span(TENANT, owner.span_id)
    assert back is not None
    assert back.security_findings[0].severity == kept
