"""Tenants, keys, audit, reports, flags and leases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from llmtrace_relay.store import SpanQuery

from .making import BEGIN, OTHER, TENANT, api_key, audit_event, report, span, tenant

if TYPE_CHECKING:
    from llmtrace_relay.store import Store


def test_tenants_come_back_as_they_were_the_oldest_first(store: Store) -> None:
    first, second = tenant(config={"a": [1, {"b": None}]}, plan="gold"), tenant(name="ä")
    store.put_tenant(second)
    store.put_tenant(first)
    assert store.tenant(first.id) == first
    assert store.tenant("nobody") is None
    assert store.tenants(10, 0).data == (first, second)
    page = store.tenants(1, 1)
    assert (page.data, page.total, page.limit, page.offset) == ((second,), 2, 1, 1)


def test_a_tenant_that_is_put_again_is_changed_and_keeps_its_token_and_age(store: Store) -> None:
    one = tenant()
    store.put_tenant(one)
    assert store.set_token(one.id, "hash")
    changed = msgspec.structs.replace(one, name="other", plan="p", config={"x": 1}, created_at=7)
    store.put_tenant(changed)
    assert store.tenant_by_token("hash") == msgspec.structs.replace(changed, created_at=one.created_at)


def test_a_tenant_is_added_once(store: Store) -> None:
    one = tenant()
    assert store.ensure_tenant(one)
    assert not store.ensure_tenant(msgspec.structs.replace(one, name="other"))
    assert store.tenant(one.id) == one


def test_a_token_is_of_one_tenant_and_is_replaced(store: Store) -> None:
    one, two = tenant(), tenant()
    store.put_tenant(one)
    store.put_tenant(two)
    assert store.set_token(one.id, "first")
    assert store.set_token(two.id, "second")
    assert store.set_token(one.id, "third")
    assert store.tenant_by_token("first") is None
    assert store.tenant_by_token("second") == two
    assert store.tenant_by_token("third") == one
    assert not store.set_token("nobody", "fourth")


def test_a_tenant_is_deleted_with_all_but_its_audit(store: Store) -> None:
    one, other = tenant(id=TENANT), tenant(id=OTHER)
    for each in (one, other):
        store.put_tenant(each)
        store.add_key(api_key(tenant_id=each.id), f"hash of {each.id}")
        store.audit(audit_event(tenant_id=each.id))
        store.put_report(report(tenant_id=each.id))
        store.put([span(tenant_id=each.id), span(tenant_id=each.id)])
    assert store.delete_tenant(TENANT)
    assert not store.delete_tenant(TENANT)
    assert store.tenants(10, 0).data == (other,)
    assert store.key_by_hash(f"hash of {TENANT}") is None
    assert store.key_by_hash(f"hash of {OTHER}") is not None
    assert store.reports(None, 10, 0).total == 1
    assert store.audits(TENANT).total == 1
    assert store.spans(SpanQuery(tenant_id=TENANT)).total == 0
    assert store.stats(None).total_spans == 2


def test_keys_come_back_as_they_were_the_newest_first(store: Store) -> None:
    old = api_key(expires_at=BEGIN, role="admin")
    new, operators, theirs = api_key(), api_key(tenant_id=None), api_key(tenant_id=OTHER)
    for at, each in enumerate((old, new, operators, theirs)):
        store.add_key(each, f"hash {at}")
    assert store.keys(TENANT, 10, 0).data == (new, old)
    assert store.keys(None, 2, 1).data == (operators, new)
    assert store.keys(None, 2, 1).total == 4
    assert store.key_by_hash("hash 0") == old
    assert store.key_by_hash("hash 9") is None
    assert store.key(TENANT, new.id) == new
    assert store.key(None, theirs.id) == theirs
    assert store.key(TENANT, theirs.id) is None


def test_a_key_is_revoked_once_and_by_its_tenant(store: Store) -> None:
    one = api_key()
    store.add_key(one, "hash")
    assert not store.revoke_key(OTHER, one.id, BEGIN)
    assert store.revoke_key(TENANT, one.id, BEGIN)
    assert not store.revoke_key(TENANT, one.id, BEGIN + 1)
    assert not store.revoke_key(None, "nobody", BEGIN)
    assert store.key_by_hash("hash") == msgspec.structs.replace(one, revoked_at=BEGIN)
    two = api_key()
    store.add_key(two, "hash 2")
    assert store.revoke_key(None, two.id, BEGIN)


def test_the_last_use_of_a_key_is_the_latest(store: Store) -> None:
    one = api_key()
    store.add_key(one, "hash")
    for at in (BEGIN + 5, BEGIN):
        store.key_used(one.id, at)
    store.key_used("nobody", BEGIN)
    assert store.key_by_hash("hash") == msgspec.structs.replace(one, last_used_at=BEGIN + 5)


def test_audit_is_filtered_and_the_newest_come_first(store: Store) -> None:
    first = audit_event(data={"n": 1}, timestamp=BEGIN)
    second = audit_event(event_type="api_key_created", timestamp=BEGIN + 1)
    whole = audit_event(tenant_id=None, timestamp=BEGIN + 2)
    for each in (second, first, whole, whole):
        store.audit(each)
    assert store.audits(TENANT).data == (second, first)
    assert store.audits(None).data == (whole, second, first)
    assert store.audits(None, event_type="api_key_created").data == (second,)
    assert store.audits(None, start_time=BEGIN + 1, end_time=BEGIN + 2).data == (second,)
    page = store.audits(None, limit=1, offset=2)
    assert (page.data, page.total) == ((first,), 3)


def test_reports_change_and_belong_to_their_tenant(store: Store) -> None:
    one, two = report(), report(tenant_id=OTHER)
    store.put_report(one)
    store.put_report(two)
    done = msgspec.structs.replace(one, status="completed", completed_at=BEGIN, content={"a": [1.5]})
    store.put_report(done)
    assert store.report(TENANT, one.id) == done
    assert store.report(OTHER, one.id) is None
    assert store.report(None, two.id) == two
    assert store.reports(TENANT, 5, 0).data == (done,)
    assert store.reports(None, 5, 0).data == (two, done)


def test_flags_are_set_and_forgotten(store: Store) -> None:
    assert store.flags() == {}
    store.set_flags({"a": True, "b": "block", "c": {"d": [1]}})
    store.set_flags({"a": False, "b": None, "nothing": None})
    assert store.flags() == {"a": False, "c": {"d": [1]}}
    store.set_flags({})
    assert store.flags() == {"a": False, "c": {"d": [1]}}


def test_a_lease_has_one_holder_until_it_ends(store: Store) -> None:
    assert store.lease("x", "me", 100, 200)
    assert not store.lease("x", "you", 150, 250)
    assert store.lease("y", "you", 150, 250)
    assert store.lease("x", "me", 150, 300)
    assert not store.lease("x", "you", 299, 400)
    assert store.lease("x", "you", 300, 400)
    assert not store.lease("x", "me", 300, 400)


def test_a_store_is_healthy_until_it_is_not_there(store: Store) -> None:
    assert store.healthy()
