"""Whatever comes is kept, and nothing that is asked makes the database fail."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmtrace_relay.model import AgentAction, SpanEvent
from llmtrace_relay.store import FindingQuery, SpanQuery

from .making import BEGIN, TENANT, action, api_key, audit_event, finding, report, span, tenant

if TYPE_CHECKING:
    from llmtrace_relay.model import Span
    from llmtrace_relay.store import Store

BAD = "a\0b\ud800c"
GOOD = "a\ufffdb\ufffdc"
NASTY = ["", "'", '"', "\\", "%", "_", "'; DROP TABLE spans; --", "\0", "\ud800", "\udfff\ud800", "\U0001f642", "\r\n"]


def kept(store: Store, one: Span) -> Span:
    store.put([one])
    back = store.span(None, one.span_id)
    assert back is not None
    return back


def test_what_no_database_takes_is_replaced_wherever_it_is(store: Store) -> None:
    names = "trace_id span_id tenant_id operation_name parent_span_id provider model_name prompt response error_message"
    more = "outcome action reason coverage agent session user call_id"
    texts = dict.fromkeys([*names.split(), *more.split()], BAD)
    inner = finding(id=BAD, finding_type=BAD, description=BAD, location=BAD, metadata={BAD: BAD})
    done = action(id=BAD, name=BAD, arguments=BAD, result=BAD, http_method=BAD, metadata={BAD: BAD})
    event = SpanEvent(id=BAD, timestamp=1, event_type=BAD, description=BAD, data={BAD: [BAD, {"x": BAD}]})
    one = span(**texts, tags={BAD: BAD}, security_findings=(inner,), agent_actions=(done,), events=(event,))
    back = kept(store, one)
    assert {getattr(back, name) for name in texts} == {GOOD}
    assert back.tags == {GOOD: GOOD}
    assert back.security_findings[0].metadata == {GOOD: GOOD}
    assert back.agent_actions[0].name == GOOD
    assert back.events[0].data == {GOOD: [GOOD, {"x": GOOD}]}
    # asked for by what it was called, it is found
    assert store.spans(SpanQuery(tenant_id=BAD, model_name=BAD, agent=BAD, trace_id=BAD, search=BAD)).total == 1
    assert store.findings(FindingQuery(tenant_id=BAD, finding_type=BAD, trace_id=BAD)).total == 1
    assert store.add_action(BAD, BAD, action())


def test_numbers_that_no_column_takes_are_bounded(store: Store) -> None:
    huge = 1 << 80
    one = span(
        prompt_tokens=huge,
        completion_tokens=-huge,
        total_tokens=1 << 62,
        duration_ms=huge,
        status_code=huge,
        end_time=huge,
        estimated_cost_usd=math.nan,
        security_findings=(finding(confidence_score=math.nan, detected_at=-huge),),
    )
    back = kept(store, one)
    assert back.estimated_cost_usd is None
    assert back.prompt_tokens is not None
    assert back.prompt_tokens >= 1 << 40
    for _ in range(3):
        store.put([span(total_tokens=huge, estimated_cost_usd=math.inf, session="s", start_time=huge)])
    assert store.sessions(SpanQuery(tenant_id=TENANT)).data[0].cost_usd == 3e12
    assert len(store.series(SpanQuery(tenant_id=TENANT), 1, "")) == 2


def test_names_of_any_length_are_kept_up_to_a_bound(store: Store) -> None:
    long = "\U0001f642" * 10_000
    one = span(model_name=long, session=long, agent=long, user=long, tenant_id=long, call_id=long, prompt=long)
    back = kept(store, one)
    assert back.prompt == long
    assert back.model_name == long[:256]
    assert store.spans(SpanQuery(tenant_id=long, model_name=long, session=long)).total == 1


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_questions_are_taken_literally(store: Store, text: str) -> None:
    store.put([span(prompt="nothing of that", tenant_id="t")])
    asked: dict[str, Any] = dict.fromkeys(["trace_id", "provider", "agent", "session", "user", "finding_type"], text)
    assert store.spans(SpanQuery(tenant_id="t", **asked, search=text)).total == 0
    assert store.traces(SpanQuery(tenant_id=text)).total == 0
    assert store.sessions(SpanQuery(tenant_id=text)).total == 0
    assert store.tenant(text) is None
    assert store.key_by_hash(text) is None
    assert store.audits(text, event_type=text).total == 0
    assert store.delete(SpanQuery(tenant_id="t", provider=text or "x")) == 0
    assert store.stats("t").total_spans == 1


@pytest.mark.parametrize("number", [1 << 63, 1 << 100, -(1 << 100)])
def test_numbers_in_questions_may_be_of_any_size(store: Store, number: int) -> None:
    store.put([span()])
    asked: dict[str, Any] = dict.fromkeys(
        ["start_time", "end_time", "min_security_score", "max_security_score"], number
    )
    query = SpanQuery(tenant_id=TENANT, limit=number, offset=number, **asked, min_cost_usd=math.inf)
    assert store.spans(query).total == 0
    assert list(store.each(query)) == []
    assert store.series(query, number, "") == []
    findings = FindingQuery(tenant_id=TENANT, min_severity=number, min_confidence=math.nan, start_time=number)
    assert store.findings(findings).total == 0
    assert store.audits(None, start_time=number, end_time=number, limit=number, offset=-5).total == 0
    assert store.tenants(number, number).total == 0
    store.purge(-number, number)


def test_metadata_takes_what_comes(store: Store) -> None:
    store.put_tenant(tenant(id=BAD, name=BAD, plan=BAD, config={BAD: [BAD, 1 << 70]}))
    store.add_key(api_key(id=BAD, name=BAD, tenant_id=BAD), BAD)
    store.audit(audit_event(id=BAD, actor=BAD, data={BAD: math.nan}))
    store.put_report(report(id=BAD, error=BAD, content={BAD: BAD}))
    store.set_flags({BAD: BAD})
    assert store.tenant(BAD) is not None
    assert store.key_by_hash(BAD) is not None
    assert store.flags() == {GOOD: GOOD}
    assert store.report(None, BAD) is not None


TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
NUMBERS = st.none() | st.integers()
REALS = st.none() | st.floats()


@given(
    texts=st.lists(TEXTS, min_size=5, max_size=5),
    numbers=st.lists(NUMBERS, min_size=4, max_size=4),
    real=REALS,
    tags=st.dictionaries(TEXTS, TEXTS, max_size=3),
    data=st.dictionaries(TEXTS, st.recursive(TEXTS | NUMBERS | REALS, st.lists, max_leaves=5), max_size=3),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_span_is_kept(
    store: Store, texts: list[str], numbers: list[int | None], real: float | None, tags: Any, data: Any
) -> None:
    one = span(
        prompt=texts[0],
        response=texts[1],
        model_name=texts[2],
        agent=texts[3],
        reason=texts[4],
        prompt_tokens=numbers[0],
        duration_ms=numbers[1],
        security_score=numbers[2],
        end_time=numbers[3],
        estimated_cost_usd=real,
        tags=tags,
        events=(SpanEvent(id="1", timestamp=BEGIN, event_type=texts[0], description=texts[1], data=data),),
        agent_actions=(AgentAction(id="1", action_type="tool_call", name=texts[2], timestamp=1, metadata=tags),),
    )
    back = kept(store, one)
    for name in ("prompt", "response", "model_name"):
        assert len(getattr(back, name)) <= len(getattr(one, name))
    clean = texts[0].isprintable()
    assert not clean or back.prompt == texts[0]
