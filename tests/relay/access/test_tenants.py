from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llmtrace_relay.keys import key_hash
from llmtrace_relay.store import SpanQuery, StoreUnavailable
from tests.relay.access.doors import OTHER, SECOND, TENANT
from tests.relay.api.calls import call

if TYPE_CHECKING:
    from llmtrace_relay.store import Store
    from tests.relay.access.serving import Served

NOBODYS = "cccccccc-0000-4000-8000-000000000003"


def test_the_operator_adds_a_tenant_and_is_told_its_token_and_first_key_once(served: Served, store: Store) -> None:
    answer = served.call("operator", "POST", "/tenants", {"name": "Acme", "config": {"a": [1, None, {"b": "ü"}]}})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["name"], made["plan"], made["config"]) == ("Acme", "default", {"a": [1, None, {"b": "ü"}]})
    assert made["created_at"] == "2026-01-01T00:00:00.000000Z"
    me = served.call(made["api_key"], "GET", "/me").json()
    assert (me["role"], me["tenant_id"]) == ("admin", made["id"])
    again = served.call(made["api_key"], "GET", f"/tenants/{made['id']}").json()
    assert again == {name: value for name, value in made.items() if not name.startswith("api_")}
    me = served.call(None, "GET", "/me", **{"x-llmtrace-token": made["api_token"]}).json()
    assert (me["role"], me["tenant_id"], me["actor"]) == ("operator", made["id"], f"token:{made['id']}")


def test_no_token_or_key_is_stored(served: Served, store: Store) -> None:
    made = served.call("operator", "POST", "/tenants", {"name": "Acme"}).json()
    assert store.tenant_by_token(key_hash(made["api_token"])) == store.tenant(made["id"])
    everything = repr([store.tenants(100, 0), store.keys(None, 100, 0), store.audits(None)])
    assert made["api_token"] not in everything
    assert made["api_key"] not in everything


def test_a_token_cannot_be_read_by_anybody(served: Served) -> None:
    """In LLMTrace's proxy a viewer could read the token, which is an operator's."""
    for caller in ("viewer", "user", "admin", "operator"):
        for which in ("current", TENANT, OTHER):
            answer = served.call(caller, "GET", f"/tenants/{which}/token")
            assert answer.status_code == 410
            assert "token/reset" in answer.json()["error"]["message"]


def test_a_reset_token_takes_the_place_of_the_one_before_at_once(served: Served) -> None:
    def role(token: str) -> int:
        return served.call(None, "GET", "/me", **{"x-llmtrace-token": token}).status_code

    first = served.call("admin", "POST", f"/tenants/{TENANT}/token/reset").json()["api_token"]
    assert role(first) == 200
    second = served.call("operator", "POST", f"/tenants/{TENANT}/token/reset").json()["api_token"]
    assert (role(first), role(second)) == (401, 200)


def test_the_operator_sees_all_tenants_and_a_tenants_admin_its_own(served: Served) -> None:
    ids = [tenant["id"] for tenant in served.call("operator", "GET", "/tenants").json()["data"]]
    assert ids == [TENANT, OTHER]
    page = served.call("operator", "GET", "/tenants?limit=1&offset=1").json()
    assert ([tenant["id"] for tenant in page["data"]], page["total"]) == ([OTHER], 2)
    own = served.call("other-admin", "GET", "/tenants").json()
    assert ([tenant["id"] for tenant in own["data"]], own["total"]) == ([OTHER], 1)
    assert served.call("other-admin", "GET", "/tenants?offset=1").json()["data"] == []


@pytest.mark.parametrize("other", [OTHER, NOBODYS])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PUT", "", {"name": "mine"}),
        ("DELETE", "", None),
        ("POST", "/token/reset", None),
    ],
)
def test_a_tenants_admin_has_no_power_over_another_and_is_not_told_that_it_exists(
    served: Served, store: Store, other: str, method: str, path: str, body: object
) -> None:
    """In LLMTrace's proxy every tenant's admin was the admin of all."""
    before = store.tenants(10, 0)
    answer = served.call("admin", method, f"/tenants/{other}{path}", body)
    assert answer.status_code == 404
    assert store.tenants(10, 0) == before
    assert store.audits(None).total == 0


def test_a_tenants_admin_adds_no_tenant(served: Served, store: Store) -> None:
    answer = served.call("admin", "POST", "/tenants", {"name": "another"})
    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "auth_error"
    assert store.tenants(10, 0).total == 2


@pytest.mark.parametrize("caller", ["viewer", "user"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/tenants"),
        ("POST", "/tenants"),
        ("GET", f"/tenants/{TENANT}"),
        ("PUT", f"/tenants/{TENANT}"),
        ("DELETE", f"/tenants/{TENANT}"),
        ("POST", f"/tenants/{TENANT}/token/reset"),
        ("GET", "/auth/keys"),
        ("POST", "/auth/keys"),
        ("DELETE", f"/auth/keys/{NOBODYS}"),
        ("GET", "/audit"),
        ("GET", "/config/features"),
        ("PUT", "/config/features"),
        ("PUT", "/config/features/shadow"),
    ],
)
def test_administration_is_for_admins(served: Served, caller: str, method: str, path: str) -> None:
    bodies = {"/tenants": {"name": "x"}, "/auth/keys": {"name": "x", "role": "viewer"}}
    body = bodies.get(path, {"value": True, "name": "x"} if method == "PUT" else None)
    if path.startswith("/config"):
        body = {"value": True} if path.endswith("shadow") else {"features": {"shadow": True}}
    if path == f"/tenants/{TENANT}":
        body = {"name": "x"}
    answer = served.call(caller, method, path, body if method in ("POST", "PUT") else None)
    assert answer.status_code == 403
    assert "role admin" in answer.json()["error"]["message"]


def test_a_tenant_is_changed_where_something_is_given(served: Served) -> None:
    config = {"colour": "green"}
    changed = served.call("admin", "PUT", f"/tenants/{TENANT}", {"name": " New name ", "config": config}).json()
    assert (changed["name"], changed["plan"], changed["config"]) == ("New name", "default", config)
    assert served.call("admin", "PUT", f"/tenants/{TENANT.upper()}", {"name": "B"}).json()["config"] == config
    nothing = served.call("admin", "PUT", f"/tenants/{TENANT}", {"name": None})
    assert nothing.status_code == 400


def test_the_plan_is_the_operators_to_change(served: Served) -> None:
    assert served.call("admin", "PUT", f"/tenants/{TENANT}", {"plan": "gold"}).status_code == 403
    assert served.call("admin", "PUT", f"/tenants/{TENANT}", {"plan": "default", "name": "B"}).status_code == 200
    assert served.call("operator", "PUT", f"/tenants/{TENANT}", {"plan": "gold"}).json()["plan"] == "gold"


def test_with_a_tenant_its_calls_and_keys_go_and_its_audit_stays(served: Served, store: Store) -> None:
    store.put([call(TENANT, 1), call(OTHER, 1)])
    assert served.call("user", "GET", "/me").status_code == 200
    assert served.call("admin", "DELETE", f"/tenants/{TENANT}").status_code == 204
    assert store.tenant(TENANT) is None
    assert store.spans(SpanQuery(tenant_id=TENANT)).total == 0
    assert store.spans(SpanQuery(tenant_id=OTHER)).total == 1
    assert [served.call(name, "GET", "/me").status_code for name in ("user", "admin", "other-admin")] == [401, 401, 200]
    assert [event.event_type for event in store.audits(TENANT).data] == ["tenant_deleted"]
    assert served.call("operator", "DELETE", f"/tenants/{TENANT}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "  "},
        {"name": "a\nb"},
        {"name": "a\x00b"},
        {"name": "x" * 201},
        {"name": "x", "plan": "x" * 65},
        {"name": "x", "config": []},
        {"name": "x", "config": {"k": "\x00"}},
        {"name": "x", "config": {"k": "y" * 70_000}},
        {"name": "x", "id": NOBODYS},
        {"name": 7},
    ],
)
def test_what_cannot_be_a_tenant_is_refused_with_words(served: Served, store: Store, body: object) -> None:
    answer = served.call("operator", "POST", "/tenants", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert store.tenants(10, 0).total == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"name":"x","config":{"k":"\\ud800"}}', 400),
        (b'{"name":"\\ud800"}', 400),
        (b'{"name":"x","config":{"k":NaN}}', 201),
        (b'{"name":"x","config":{"k":1e999}}', 201),
        (b'{"name":"x","config":{"k":123456789012345678901234567890}}', 201),
        (b'{"name":"x","config":' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}", 201),
        (b'{"name":"x","config":' + b'{"a":' * 9000 + b"1" + b"}" * 9000 + b"}", 400),
        (b"", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"{", 400),
    ],
)
def test_json_that_is_hard_to_keep_is_kept_or_refused(served: Served, body: bytes, status: int) -> None:
    answer = served.call("operator", "POST", "/tenants", body, **{"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    if status == 201:
        assert served.call("operator", "GET", f"/tenants/{answer.json()['id']}").json()["config"] is not None


def test_every_change_is_in_the_audit_with_who_made_it(served: Served, store: Store) -> None:
    made = served.call("operator", "POST", "/tenants", {"name": "Acme"}).json()
    served.clock.go(1)
    key = store.keys(made["id"], 1, 0).data[0]
    served.call(made["api_key"], "PUT", f"/tenants/{made['id']}", {"name": "Acme 2"})
    served.clock.go(1)
    served.call(made["api_key"], "POST", f"/tenants/{made['id']}/token/reset")
    served.clock.go(1)
    served.call("operator", "DELETE", f"/tenants/{made['id']}")
    events = store.audits(made["id"]).data
    by_type = {event.event_type: event for event in events}
    assert [event.event_type for event in events[:3]] == ["tenant_deleted", "tenant_token_reset", "tenant_updated"]
    assert {name: event.actor for name, event in by_type.items()} == {
        "tenant_created": "admin-key",
        "api_key_created": "admin-key",
        "tenant_updated": f"key:{key.id}",
        "tenant_token_reset": f"key:{key.id}",
        "tenant_deleted": "admin-key",
    }
    assert by_type["tenant_updated"].data == {"changed": ["name"]}
    assert by_type["tenant_created"].resource == f"tenant:{made['id']}"
    assert events[0].timestamp - by_type["tenant_created"].timestamp == 3 * SECOND


def test_a_change_that_the_audit_could_not_take_is_told_and_logged(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served.store.faults["audit"] = StoreUnavailable("gone")
    answer = served.call("admin", "PUT", f"/tenants/{TENANT}", {"name": "New"})
    assert answer.status_code == 503
    assert "tenant_updated" in caplog.text


def test_with_keys_off_who_names_no_tenant_is_the_operator(unlocked: Served) -> None:
    made = unlocked.call(None, "POST", "/tenants", {"name": "Acme"})
    assert made.status_code == 201
    named = {"x-llmtrace-tenant-id": OTHER}
    assert unlocked.call(None, "GET", f"/tenants/{TENANT}", **named).status_code == 404
    assert unlocked.call(None, "GET", f"/tenants/{OTHER}", **named).status_code == 200
    events = unlocked.call(None, "GET", f"/audit?tenant_id={made.json()['id']}").json()["data"]
    assert {event["actor"] for event in events} == {"local"}
