from __future__ import annotations

from typing import TYPE_CHECKING

from llmtrace_relay import newcomers
from llmtrace_relay.newcomers import AGAIN_US, Newcomers
from llmtrace_relay.store import StoreUnavailable
from tests.relay.access.doors import NOW, OTHER, TENANT, Clock
from tests.relay.access.serving import Failing

if TYPE_CHECKING:
    import pytest

    from llmtrace_relay.store import Store


def test_each_tenant_of_a_call_is_added_once_and_that_is_in_the_audit(store: Store) -> None:
    adding = Newcomers(store, Clock())
    for _ in range(50):
        adding.greet(TENANT)
        adding.greet(OTHER)
    assert adding.close(20)
    assert [(tenant.id, tenant.name) for tenant in store.tenants(10, 0).data] == [
        (TENANT, f"tenant-{TENANT}"),
        (OTHER, f"tenant-{OTHER}"),
    ]
    events = store.audits(None, event_type="tenant_auto_created").data
    assert {(event.tenant_id, event.actor, event.timestamp) for event in events} == {
        (TENANT, "relay", NOW),
        (OTHER, "relay", NOW),
    }
    assert len(events) == 2


def test_a_tenant_that_is_there_stays_as_it_is(store: Store) -> None:
    adding = Newcomers(store, Clock())
    adding.greet(TENANT)
    assert adding.close(20)
    second = Newcomers(store, Clock())
    second.greet(TENANT)
    assert second.close(20)
    assert store.audits(None).total == 1


def test_while_the_database_is_away_it_is_asked_every_five_seconds(store: Store) -> None:
    clock, away = Clock(), Failing(store)
    away.faults["ensure_tenant"] = StoreUnavailable("gone")
    adding = Newcomers(away, clock)  # type: ignore[arg-type]
    adding.greet(TENANT)
    assert adding.close(20)
    away.faults.clear()
    adding.greet(TENANT)
    assert adding.close(20)
    assert store.tenant(TENANT) is None
    clock.go(AGAIN_US / 1e6)
    adding.greet(TENANT)
    assert adding.close(20)
    assert store.tenant(TENANT) is not None


def test_any_number_of_tenants_fills_no_memory(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "SEEN_LIMIT", 3)
    adding = Newcomers(store, Clock())
    for number in range(10):
        adding.greet(f"aaaaaaaa-0000-4000-8000-{number:012}")
        assert adding.close(20)
    assert len(adding._seen) <= 3
    assert store.tenants(100, 0).total == 10
