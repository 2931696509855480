"""Spans are kept whole and found by everything that may be asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from llmtrace_relay.model import SpanEvent
from llmtrace_relay.store import SpanQuery

from .making import BEGIN, OTHER, SECOND, TENANT, action, finding, span

if TYPE_CHECKING:
    from llmtrace_relay.store import Store


def found(store: Store, **asked: Any) -> list[str]:
    page = store.spans(SpanQuery(**({"tenant_id": TENANT} | asked)))
    assert page.total >= len(page.data)
    return [each.span_id for each in page.data]


def test_a_span_comes_back_as_it_was(store: Store) -> None:
    whole = span(
        parent_span_id="parent",
        end_time=BEGIN + 5,
        provider="openai",
        model_name="gpt-4o",
        prompt="user: what is it? – ẞ 🙂\n",
        response="assistant: nothing",
        prompt_tokens=1,
        completion_tokens=2,
        total_tokens=3,
        time_to_first_token_ms=4,
        duration_ms=5,
        status_code=200,
        error_message="it failed",
        estimated_cost_usd=0.1 + 0.2,
        security_score=80,
        security_findings=(
            finding(location="/messages/0", metadata={"rule": "r"}, requires_alert=True),
            finding(severity="Info", finding_type="email"),
        ),
        tags={"a": "b"},
        events=(SpanEvent(id="1", timestamp=BEGIN, event_type="x", description="y", data={"n": [1, None, "z"]}),),
        agent_actions=(
            action(
                arguments="{}",
                result="ok",
                duration_ms=7,
                success=False,
                exit_code=-1,
                http_method="GET",
                http_status=200,
                file_operation="read",
                metadata={"c": "d"},
            ),
            action(action_type="web_access", name="fetch"),
        ),
        outcome="blocked",
        action="block",
        reason="prompt_injection",
        coverage="partial",
        agent="planner",
        session="s-1",
        user="u-1",
        source="otlp",
        call_id="call-1",
    )
    store.put([whole])
    assert store.span(TENANT, whole.span_id) == whole
    assert store.spans(SpanQuery(tenant_id=TENANT)).data == (whole,)


def test_a_span_with_nothing_but_what_it_must_have_comes_back_as_it_was(store: Store) -> None:
    bare = span()
    store.put([bare])
    assert store.span(None, bare.span_id) == bare


def test_what_is_not_there_is_not_found(store: Store) -> None:
    store.put([])
    mine = span()
    store.put([mine])
    assert store.span(OTHER, mine.span_id) is None
    assert store.span(TENANT, "nobody") is None
    assert store.trace(OTHER, mine.trace_id) is None
    assert store.trace(None, "nothing") is None


def test_a_span_takes_the_place_of_one_with_the_same_ids(store: Store) -> None:
    first = span(prompt="first", security_findings=(finding(),), agent_actions=(action(),), tags={"a": "b"})
    added = action(name="added")
    store.put([first])
    assert store.add_action(TENANT, first.trace_id, added)
    second = msgspec.structs.replace(
        first, prompt="second", security_findings=(finding(severity="Low"),), agent_actions=(action(),), tags={}
    )
    store.put([second])
    kept = store.span(TENANT, first.span_id)
    assert kept == msgspec.structs.replace(second, agent_actions=(*second.agent_actions, added))
    assert store.stats(TENANT).total_spans == 1


def test_ids_are_told_apart_by_tenant_and_trace(store: Store) -> None:
    one = span(span_id="same", trace_id="same")
    theirs = span(span_id="same", trace_id="same", tenant_id=OTHER)
    elsewhere = span(span_id="same", trace_id="other")
    store.put([one, theirs, elsewhere])
    assert store.stats(None).total_spans == 3
    assert store.stats(None).total_traces == 3
    assert store.span(OTHER, "same") == theirs
    trace = store.trace(TENANT, "same")
    assert trace is not None
    assert trace.spans == (one,)


def test_the_last_of_one_batch_is_kept(store: Store) -> None:
    first = span(prompt="first")
    store.put([first, msgspec.structs.replace(first, prompt="last")])
    kept = store.span(TENANT, first.span_id)
    assert kept is not None
    assert kept.prompt == "last"


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("provider", "provider"),
        ("model_name", "model_name"),
        ("operation_name", "operation_name"),
        ("outcome", "outcome"),
        ("agent", "agent"),
        ("session", "session"),
        ("user", "user"),
        ("trace_id", "trace_id"),
    ],
)
def test_texts_are_matched_exactly(store: Store, field: str, asked: str) -> None:
    this, longer, other, cased = (span(**{field: value}) for value in ("a%", "a%b", "b", "A%"))
    store.put([this, longer, other, cased])
    assert found(store, **{asked: "a%"}) == [this.span_id]
    assert found(store, **{asked: "%"}) == []
    assert found(store, **{asked: "b"}, tenant_id=None) == [other.span_id]
    assert found(store, **{asked: "b"}, tenant_id=OTHER) == []


def test_times_are_from_and_before(store: Store) -> None:
    first, second, third = spans = [span(start_time=BEGIN + at) for at in (0, 1, 2)]
    store.put(spans)
    assert found(store, start_time=BEGIN + 1) == [third.span_id, second.span_id]
    assert found(store, end_time=BEGIN + 1) == [first.span_id]
    assert found(store, start_time=BEGIN + 1, end_time=BEGIN + 2) == [second.span_id]
    assert found(store, start_time=BEGIN + 2, end_time=BEGIN + 1) == []


def test_scores_and_costs_have_bounds_that_nothing_without_them_meets(store: Store) -> None:
    none, zero, some, most = spans = [
        span(security_score=score, estimated_cost_usd=cost)
        for score, cost in ((None, None), (0, 0.0), (60, 0.5), (95, 2.0))
    ]
    store.put(spans)
    assert found(store, min_security_score=60) == [most.span_id, some.span_id]
    assert found(store, max_security_score=60) == [some.span_id, zero.span_id]
    assert found(store, min_security_score=0, max_security_score=0) == [zero.span_id]
    assert found(store, min_security_score=-5) == [most.span_id, some.span_id, zero.span_id]
    assert found(store, min_cost_usd=0.5) == [most.span_id, some.span_id]
    assert none.span_id in found(store)


def test_spans_are_found_by_their_findings(store: Store) -> None:
    injected = span(security_findings=(finding(), finding(finding_type="email")))
    leaked = span(security_findings=(finding(finding_type="email"),))
    store.put([injected, leaked, span()])
    assert found(store, finding_type="prompt_injection") == [injected.span_id]
    assert found(store, finding_type="email", tenant_id=None) == [leaked.span_id, injected.span_id]
    assert found(store, finding_type="email", tenant_id=OTHER) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("needle", True), ("NEEDLE", True), ("ÄRGER", True), ("ärger", True), ("100%_\\", True), ("n_edle", False)],
)
@pytest.mark.parametrize("field", ["prompt", "response"])
def test_texts_are_searched_in_any_case(store: Store, field: str, text: str, *, wanted: bool) -> None:
    one = span(**{field: "hay Needle hay; viel Ärger; 100%_\\ sure"})
    store.put([one, span(prompt="nothing of the kind", response=None)])
    assert found(store, search=text) == ([one.span_id] if wanted else [])


def test_an_empty_search_finds_all(store: Store) -> None:
    store.put([span(), span()])
    assert len(found(store, search="")) == 2


@pytest.mark.parametrize(
    ("order", "wanted"),
    [("newest", "dcba"), ("oldest", "abcd"), ("slowest", "bdca"), ("dearest", "cadb"), ("riskiest", "dbca")],
)
def test_orders(store: Store, order: str, wanted: str) -> None:
    values = {"a": (None, 0.2, None), "b": (30, None, 60), "c": (10, 0.3, 0), "d": (20, 0.1, 95)}
    spans = [
        span(span_id=name, start_time=BEGIN + at, duration_ms=ms, estimated_cost_usd=usd, security_score=score)
        for at, (name, (ms, usd, score)) in enumerate(values.items())
    ]
    store.put(spans)
    assert "".join(found(store, order=order)) == wanted
    assert "".join(found(store, order=order, tenant_id=None)) == wanted
    assert "".join(each.span_id for each in store.each(SpanQuery(tenant_id=TENANT, order=order))) == wanted
    traces = store.traces(SpanQuery(tenant_id=TENANT, order=order)).data
    assert "".join(trace.spans[0].span_id for trace in traces) == wanted


def test_pages_and_totals(store: Store) -> None:
    spans = [span(start_time=BEGIN) for _ in range(7)] + [span(tenant_id=OTHER)]
    store.put(spans)
    pages = [store.spans(SpanQuery(tenant_id=TENANT, limit=3, offset=at)) for at in (0, 3, 6, 9)]
    assert [len(page.data) for page in pages] == [3, 3, 1, 0]
    assert {page.total for page in pages} == {7}
    assert [(page.limit, page.offset) for page in pages] == [(3, 0), (3, 3), (3, 6), (3, 9)]
    ids = [each.span_id for page in pages for each in page.data]
    assert sorted(ids) == sorted(each.span_id for each in spans[:7])
    assert store.spans(SpanQuery(tenant_id=TENANT, limit=0)).total == 7


@pytest.mark.parametrize("order", ["newest", "oldest", "slowest", "dearest", "riskiest"])
def test_an_export_has_each_span_once_however_many_are_alike(
    store: Store, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmtrace_relay.store.sql.store.EACH_BATCH", 4)
    spans = [
        span(
            start_time=BEGIN + at % 3,
            duration_ms=None if at % 2 else at % 5,
            estimated_cost_usd=None if at % 3 else 0.1 * (at % 4),
            security_score=None if at % 4 else at % 3,
        )
        for at in range(30)
    ]
    store.put(spans)
    got = [each.span_id for each in store.each(SpanQuery(tenant_id=TENANT, order=order, limit=2, offset=1))]
    assert sorted(got) == sorted(each.span_id for each in spans)
    assert got == found(store, order=order, limit=100)


def test_an_export_shows_what_matches_and_may_be_left(store: Store) -> None:
    store.put([span(provider="a"), span(provider="b"), span(provider="a", start_time=BEGIN - SECOND)])
    assert [each.provider for each in store.each(SpanQuery(tenant_id=TENANT, provider="a"))] == ["a", "a"]
    assert next(iter(store.each(SpanQuery(tenant_id=TENANT)))).provider == "b"
