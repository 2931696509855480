"""What is added up, and that a call which several saw is billed once."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from llmtrace_relay.store import Bucket, FindingQuery, Session, SpanQuery

from .making import BEGIN, OTHER, SECOND, TENANT, action, finding, span

if TYPE_CHECKING:
    from llmtrace_relay.model import Span
    from llmtrace_relay.store import Store

ALL = SpanQuery(tenant_id=TENANT)
HOUR = 3600 * SECOND
NOTHING = Bucket(
    start=0, group="", spans=0, errors=0, blocked=0, flagged=0, findings=0, prompt_tokens=0, completion_tokens=0,
    cost_usd=0.0, duration_ms_sum=0, duration_ms_max=0,
)  # fmt: skip


def test_a_series_adds_up_pieces_of_time(store: Store) -> None:
    start = BEGIN - BEGIN % HOUR
    store.put(
        [
            span(start_time=start, prompt_tokens=1, completion_tokens=2, estimated_cost_usd=0.5, duration_ms=10),
            span(start_time=start + HOUR - 1, prompt_tokens=10, duration_ms=30, action="flag", status_code=200),
            span(start_time=start + HOUR, outcome="blocked", action="block", status_code=403),
            span(start_time=start + HOUR, outcome="upstream_error", security_findings=(finding(), finding())),
            span(start_time=start + HOUR, status_code=429),
            span(start_time=start, tenant_id=OTHER),
        ]
    )
    assert store.series(ALL, HOUR, "") == [
        msgspec.structs.replace(
            NOTHING,
            start=start,
            spans=2,
            flagged=1,
            prompt_tokens=11,
            completion_tokens=2,
            cost_usd=0.5,
            duration_ms_sum=40,
            duration_ms_max=30,
        ),
        msgspec.structs.replace(NOTHING, start=start + HOUR, spans=3, errors=2, blocked=1, findings=2),
    ]


@pytest.mark.parametrize(
    ("by", "field"), [("model", "model_name"), ("provider", "provider"), ("agent", "agent"), ("outcome", "outcome")]
)
def test_a_series_is_of_groups(store: Store, by: Any, field: str) -> None:
    store.put([span(start_time=BEGIN, **{field: name}) for name in ("x", "y", "x")])
    assert [(each.group, each.spans) for each in store.series(ALL, HOUR, by)] == [("x", 2), ("y", 1)]


def test_who_has_no_agent_is_a_group_too(store: Store) -> None:
    store.put([span(agent=None), span(agent="")])
    assert [(each.group, each.spans) for each in store.series(ALL, 1 << 60, "agent")] == [("", 2)]


def test_a_series_has_the_latest_of_many_pieces(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmtrace_relay.store.sql.sums.BUCKETS", 3)
    store.put([span(start_time=at) for at in (-1, 0, 10, 20, 30)])
    assert [each.start for each in store.series(ALL, 10, "")] == [10, 20, 30]
    assert [each.start for each in store.series(SpanQuery(tenant_id=TENANT, end_time=1), 10, "")] == [-10, 0]


def test_sessions_are_whole_and_the_latest_first(store: Store) -> None:
    store.put(
        [
            span(session="a", start_time=BEGIN, estimated_cost_usd=1.0, total_tokens=5, provider="p"),
            span(session="a", start_time=BEGIN + 9, estimated_cost_usd=0.5, security_score=60),
            span(session="b", start_time=BEGIN + 5),
            span(session="a", start_time=BEGIN + 99, tenant_id=OTHER),
            span(),
        ]
    )
    first = Session(
        session="a", tenant_id=TENANT, first=BEGIN, last=BEGIN + 9, spans=2, cost_usd=1.5, total_tokens=5,
        max_security_score=60,
    )  # fmt: skip
    page = store.sessions(ALL)
    assert (page.data[0], page.data[1].session, page.total) == (first, "b", 2)
    assert page.data[1].max_security_score is None
    assert store.sessions(SpanQuery(tenant_id=TENANT, provider="p")).data == (first,)
    assert [each.tenant_id for each in store.sessions(SpanQuery(tenant_id=None)).data] == [OTHER, TENANT, TENANT]
    page = store.sessions(SpanQuery(tenant_id=TENANT, limit=1, offset=1))
    assert ([each.session for each in page.data], page.total) == (["b"], 2)


def test_actions_are_counted_by_type_and_name(store: Store) -> None:
    first = span(agent_actions=(action(), action(), action(name="other", action_type="command_execution")))
    store.put([first, span(agent_actions=(action(),)), span(), span(tenant_id=OTHER, agent_actions=(action(),))])
    assert store.add_action(TENANT, first.trace_id, action(action_type="web_access", name="fetch"))
    assert not store.add_action(OTHER, first.trace_id, action())
    assert not store.add_action(None, "nothing", action())
    assert store.actions(ALL) == {
        "total_spans": 3,
        "spans_with_tool_calls": 2,
        "spans_with_web_access": 1,
        "spans_with_commands": 1,
        "action_counts": {"tool_call": 3, "command_execution": 1, "web_access": 1},
        "top_actions": [
            {"name": "look_up", "action_type": "tool_call", "count": 3},
            {"name": "fetch", "action_type": "web_access", "count": 1},
            {"name": "other", "action_type": "command_execution", "count": 1},
        ],
    }


def test_the_most_frequent_actions_are_twenty(store: Store) -> None:
    store.put([span(agent_actions=tuple(action(name=f"n{at:02}") for at in range(30) for _ in range(at + 1)))])
    assert [each["count"] for each in store.actions(ALL)["top_actions"]] == list(range(30, 10, -1))


def test_what_was_done_is_added_to_the_first_span_of_a_trace(store: Store) -> None:
    later, first = span(trace_id="t", start_time=BEGIN + 5), span(trace_id="t", start_time=BEGIN)
    store.put([later, first])
    done = action(result="x", success=False)
    assert store.add_action(None, "t", done)
    trace = store.trace(TENANT, "t")
    assert trace is not None
    assert [each.agent_actions for each in trace.spans] == [(done,), ()]


def test_spans_and_findings_are_counted_by_what_they_have(store: Store) -> None:
    store.put(
        [
            span(provider="a", status_code=200, security_findings=(finding(), finding(severity="Low"))),
            span(provider="a", status_code=200),
            span(provider="b", security_findings=(finding(finding_type="email"),)),
            span(provider="a", tenant_id=OTHER, security_findings=(finding(),)),
        ]
    )
    assert store.count_spans(ALL, ("provider", "status_code")) == {("a", "200"): 2, ("b", ""): 1}
    assert store.count_spans(SpanQuery(tenant_id=None, limit=1), ("provider",)) == {("a",): 3, ("b",): 1}
    asked = FindingQuery(tenant_id=TENANT, limit=1)
    assert store.count_findings(asked, ("severity",)) == {("High",): 2, ("Low",): 1}
    asked = FindingQuery(tenant_id=TENANT, min_severity=3, model_name="")
    assert store.count_findings(asked, ("finding_type", "severity")) == {
        ("prompt_injection", "High"): 1,
        ("email", "High"): 1,
    }


def test_how_much_is_kept(store: Store) -> None:
    empty = store.stats(None)
    assert (empty.total_traces, empty.total_spans, empty.storage_size_bytes, empty.oldest_trace) == (0, 0, 0, None)
    store.put([span(trace_id="t", start_time=BEGIN, prompt="ä" * 1000), span(trace_id="t", start_time=BEGIN + 1)])
    store.put([span(start_time=BEGIN + 2), span(start_time=BEGIN + 3, tenant_id=OTHER)])
    mine, everything = store.stats(TENANT), store.stats(None)
    assert (mine.total_traces, mine.total_spans) == (2, 3)
    assert (mine.oldest_trace, mine.newest_trace) == (BEGIN, BEGIN + 2)
    assert (everything.total_traces, everything.total_spans, everything.newest_trace) == (3, 4, BEGIN + 3)
    assert 2000 < mine.storage_size_bytes < everything.storage_size_bytes < 20_000


def billed(store: Store, *spans: Span) -> list[bool]:
    found = [store.span(each.tenant_id, each.span_id) for each in spans]
    assert all(found)
    return [each.billed for each in found if each is not None]


def cost(store: Store) -> float:
    by_series = sum(each.cost_usd for each in store.series(ALL, HOUR, ""))
    by_session = sum(each.cost_usd for each in store.sessions(ALL).data)
    assert by_series == by_session
    return by_series


def calls(**given: Any) -> Span:
    return span(**({"call_id": "c", "estimated_cost_usd": 1.0, "session": "s", "prompt_tokens": 7} | given))


@pytest.mark.parametrize("together", [True, False])
def test_a_call_that_two_saw_is_billed_to_the_first(store: Store, *, together: bool) -> None:
    relay, reported = calls(), calls(source="otlp", estimated_cost_usd=1.1)
    theirs, another = calls(tenant_id=OTHER), calls(call_id="d")
    batches = [[relay, reported, theirs, another]] if together else [[relay], [reported, theirs], [another]]
    for batch in batches:
        store.put(batch)
    assert billed(store, relay, reported, theirs, another) == [True, False, True, True]
    assert cost(store) == 2.0
    assert sum(each.prompt_tokens for each in store.series(ALL, HOUR, "")) == 14


@pytest.mark.parametrize("together", [True, False])
def test_a_call_is_billed_to_the_first_who_knows_its_price(store: Store, *, together: bool) -> None:
    unpriced, priced, late = calls(estimated_cost_usd=None), calls(), calls(estimated_cost_usd=3.0)
    batches = [[unpriced, priced, late]] if together else [[unpriced], [priced], [late]]
    for batch in batches:
        store.put(batch)
    assert billed(store, unpriced, priced, late) == [False, True, False]
    assert cost(store) == 1.0


def test_putting_a_span_again_changes_nothing_about_who_is_billed(store: Store) -> None:
    relay, reported = calls(), calls()
    for order in itertools.permutations([relay, reported]):
        store.put([relay, reported])
        store.put(order)
        store.put([relay])
    assert billed(store, relay, reported) == [True, False]


def test_what_says_that_it_is_not_billed_is_not(store: Store) -> None:
    first, second, alone = calls(billed=False), calls(), calls(call_id=None, billed=False)
    store.put([first, second, alone])
    assert billed(store, first, second, alone) == [False, True, False]
    assert cost(store) == 1.0
    store.put([msgspec.structs.replace(second, billed=False), msgspec.structs.replace(first, billed=True)])
    store.put([msgspec.structs.replace(first, billed=True)])
    assert billed(store, first, second) == [True, False]


def test_calls_may_change_places(store: Store) -> None:
    one, two = calls(call_id="x"), calls(call_id="y")
    store.put([one, two])
    store.put([msgspec.structs.replace(one, call_id="y"), msgspec.structs.replace(two, call_id="x")])
    assert cost(store) <= 2.0
    assert store.stats(TENANT).total_spans == 2


def test_spans_without_a_call_are_billed_each(store: Store) -> None:
    store.put([calls(call_id=None), calls(call_id=None)])
    assert cost(store) == 2.0
