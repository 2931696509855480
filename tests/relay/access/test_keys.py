from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.relay.access.doors import OTHER, SECOND, TENANT

if TYPE_CHECKING:
    from llmtrace_relay.store import Store
    from tests.relay.access.serving import Served

NOBODYS = "cccccccc-0000-4000-8000-000000000003"


def made(served: Served, caller: str, **body: Any) -> dict[str, Any]:
    answer = served.call(caller, "POST", "/auth/keys", {"name": "ci", "role": "viewer", **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def status(served: Served, key: str) -> int:
    return served.call(key, "GET", "/me").status_code


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_an_admin_makes_keys_of_its_own_tenant(served: Served, role: str) -> None:
    key = made(served, "admin", role=role)
    assert key["tenant_id"] == TENANT
    assert key["key"].startswith(key["key_prefix"])
    assert len(key["key_prefix"]) == 12
    me = served.call(key["key"], "GET", "/me").json()
    assert me == {
        "tenant_id": TENANT,
        "role": role,
        "actor": f"key:{key['id']}",
        "key_id": key["id"],
        "everywhere": False,
    }


def test_a_key_is_told_once(served: Served) -> None:
    key = made(served, "admin")
    listed = served.call("admin", "GET", "/auth/keys")
    assert key["key"] not in listed.text
    (entry,) = [each for each in listed.json()["data"] if each["id"] == key["id"]]
    assert entry["key_prefix"] == key["key_prefix"]
    assert "hash" not in listed.text


@pytest.mark.parametrize("tenant", [OTHER, NOBODYS, None])
def test_a_tenants_admin_makes_no_key_of_another_tenant_nor_of_all(
    served: Served, store: Store, tenant: str | None
) -> None:
    """In LLMTrace's proxy every tenant's admin could make keys for any tenant."""
    before = store.keys(None, 100, 0).total
    answer = served.call("admin", "POST", "/auth/keys", {"name": "x", "role": "admin", "tenant_id": tenant})
    assert answer.status_code == 403
    assert store.keys(None, 100, 0).total == before


def test_the_operator_makes_keys_for_tenants_and_for_itself(served: Served) -> None:
    assert made(served, "operator", tenant_id=OTHER)["tenant_id"] == OTHER
    second = made(served, "operator", tenant_id=None, role="admin")
    me = served.call(second["key"], "GET", "/me").json()
    assert me["everywhere"] is True
    assert made(served, second["key"], tenant_id=TENANT)["tenant_id"] == TENANT


def test_no_key_for_all_tenants_is_made_by_a_slip(served: Served) -> None:
    forgotten = served.call("operator", "POST", "/auth/keys", {"name": "x", "role": "admin"})
    assert forgotten.status_code == 400
    assert "tenant_id" in forgotten.json()["error"]["message"]
    for role in ("viewer", "operator"):
        body = {"name": "x", "role": role, "tenant_id": None}
        assert served.call("operator", "POST", "/auth/keys", body).status_code == 400


def test_there_are_no_keys_of_tenants_that_there_are_not(served: Served) -> None:
    body = {"name": "x", "role": "viewer", "tenant_id": NOBODYS}
    assert served.call("operator", "POST", "/auth/keys", body).status_code == 404


def test_an_admin_sees_the_keys_of_its_own_tenant_and_the_operator_all(served: Served) -> None:
    own = served.call("other-admin", "GET", "/auth/keys").json()
    assert {key["tenant_id"] for key in own["data"]} == {OTHER}
    every = served.call("operator", "GET", "/auth/keys").json()
    assert every["total"] == 4
    assert served.call("operator", "GET", f"/auth/keys?tenant_id={TENANT}").json()["total"] == 3
    assert served.call("other-admin", "GET", f"/auth/keys?tenant_id={TENANT}").status_code == 403
    assert len(served.call("operator", "GET", "/auth/keys?limit=2&offset=3").json()["data"]) == 1


def test_a_revoked_key_is_refused_at_once(served: Served) -> None:
    key = made(served, "admin")
    assert status(served, key["key"]) == 200
    assert served.call("admin", "DELETE", f"/auth/keys/{key['id']}").status_code == 204
    assert status(served, key["key"]) == 401
    assert served.call("admin", "DELETE", f"/auth/keys/{key['id']}").status_code == 404
    entry = served.call("admin", "GET", "/auth/keys").json()["data"]
    assert next(each for each in entry if each["id"] == key["id"])["revoked_at"] is not None


def test_a_key_that_another_process_revoked_is_refused_within_five_seconds(served: Served, store: Store) -> None:
    key = made(served, "admin")
    assert status(served, key["key"]) == 200
    assert store.revoke_key(TENANT, key["id"], served.clock.now)
    served.clock.go(5)
    assert status(served, key["key"]) == 401


def test_a_tenants_admin_revokes_no_key_of_another(served: Served) -> None:
    """In LLMTrace's proxy every tenant's admin could revoke any key."""
    key = made(served, "other-admin")
    second = made(served, "operator", tenant_id=None, role="admin")
    for each in (key, second):
        assert served.call("admin", "DELETE", f"/auth/keys/{each['id']}").status_code == 404
        assert status(served, each["key"]) == 200
    assert served.call("operator", "DELETE", f"/auth/keys/{key['id']}").status_code == 204


@pytest.mark.parametrize(
    "body",
    [{"expires_in_days": 0.5}, {"expires_at": "2026-01-01T12:00:00Z"}, {"expires_at": "2026-01-01T13:00:00+01:00"}],
)
def test_a_key_ends_when_it_was_said_to(served: Served, body: dict[str, Any]) -> None:
    """Keys of LLMTrace's proxy never end."""
    key = made(served, "admin", **body)
    assert key["expires_at"] == "2026-01-01T12:00:00.000000Z"
    served.clock.go(12 * 3600 - 1)
    assert status(served, key["key"]) == 200
    served.clock.go(1)
    assert status(served, key["key"]) == 401


@pytest.mark.parametrize(
    "body",
    [
        {"expires_at": "2025-12-31T23:59:59Z"},
        {"expires_at": "2026-01-01T00:00:00Z"},
        {"expires_at": "soon"},
        {"expires_at": "2027-01-01T00:00:00Z", "expires_in_days": 3},
        {"expires_in_days": 0},
        {"expires_in_days": -1},
        {"expires_in_days": 1e300},
        {"role": "root"},
        {"role": None},
        {"name": ""},
        {"tenant_id": "acme"},
        {"scopes": []},
    ],
)
def test_what_cannot_be_a_key_is_refused_with_words(served: Served, store: Store, body: dict[str, Any]) -> None:
    before = store.keys(None, 100, 0).total
    answer = served.call("admin", "POST", "/auth/keys", {"name": "ci", "role": "viewer", **body})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert store.keys(None, 100, 0).total == before


def test_when_a_key_was_last_used_is_kept(served: Served, store: Store) -> None:
    key = made(served, "admin")
    served.clock.go(3)
    assert status(served, key["key"]) == 200
    served.call("admin", "GET", "/auth/keys")
    kept = store.key(TENANT, key["id"])
    assert kept is not None
    assert kept.last_used_at in (None, key_time(served))  # written off the way of the request
    _until_used(store, key["id"], key_time(served))


def test_making_and_revoking_is_in_the_audit_of_the_keys_tenant(served: Served, store: Store) -> None:
    key = made(served, "admin", role="operator", expires_in_days=1)
    served.clock.go(1)
    served.call("operator", "DELETE", f"/auth/keys/{key['id']}")
    revoked, created = store.audits(TENANT).data
    admin = next(each for each in store.keys(TENANT, 10, 0).data if each.role == "admin")
    assert (created.event_type, created.actor, created.resource) == (
        "api_key_created",
        f"key:{admin.id}",
        f"api_key:{key['id']}",
    )
    assert created.data == {"name": "ci", "role": "operator", "expires_at": "2026-01-02T00:00:00.000000Z"}
    assert (revoked.event_type, revoked.actor, revoked.tenant_id) == ("api_key_revoked", "admin-key", TENANT)
    assert store.audits(OTHER).total == 0


def key_time(served: Served) -> int:
    return served.clock.now


def _until_used(store: Store, key_id: str, at: int) -> None:
    import time

    deadline = time.monotonic() + 10
    while (found := store.key(TENANT, key_id)) is None or found.last_used_at != at:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert at % SECOND == 0
