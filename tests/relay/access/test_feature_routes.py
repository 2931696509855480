from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_relay.features import FEATURES, in_force
from llmtrace_relay.store import StoreUnavailable
from llmtrace_sdk.config import Settings
from tests.relay.access.doors import TENANT

if TYPE_CHECKING:
    import httpx

    from llmtrace_relay.store import Store
    from tests.relay.access.serving import Served

PATH = "/config/features"


def put(served: Served, path: str, body: Any, caller: str = "operator") -> httpx.Response:
    return served.call(caller, "PUT", f"{PATH}{path}", body)


def test_all_flags_are_told_as_they_are_in_force(served: Served) -> None:
    found = served.call("operator", "GET", PATH).json()
    assert {name: found[name] for name in FEATURES} == in_force(Settings())
    assert found["effective"] == in_force(Settings())
    assert (found["changed"], found["warnings"]) == ({}, [])
    assert served.call("admin", "GET", PATH).status_code == 200


def test_a_flag_that_is_set_is_stored_put_in_force_and_told_of(served: Served, store: Store) -> None:
    answer = put(served, "/enforcement_mode", {"value": "block"})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["updated"], told["previous"], told["warnings"]) == ("enforcement_mode", "log", [])
    assert told["features"] == {**in_force(Settings()), "enforcement_mode": "block"}
    assert store.flags() == {"enforcement_mode": "block"}
    assert served.policies.settings.enforcement.mode == "block"
    assert served.policies.changes == 1
    found = served.call("operator", "GET", PATH).json()
    assert found["enforcement_mode"] == found["effective"]["enforcement_mode"] == "block"
    assert found["changed"] == {"enforcement_mode": "block"}


def test_some_flags_are_set_at_once(served: Served, store: Store) -> None:
    told = put(served, "", {"features": {"shadow": True, "enforcement_mode": "redact"}}).json()
    assert told["features"]["shadow"] is True
    assert len(told["warnings"]) == 1
    assert store.flags() == {"shadow": True, "enforcement_mode": "redact"}
    assert served.policies.changes == 1


def test_null_takes_back_what_was_set(served: Served, store: Store) -> None:
    put(served, "/shadow", {"value": True})
    told = put(served, "/shadow", {"value": None}).json()
    assert (told["previous"], told["features"]["shadow"]) == (True, False)
    assert store.flags() == {}
    assert served.policies.settings == Settings()


def test_all_or_none_of_the_flags_are_set(served: Served, store: Store) -> None:
    answer = put(served, "", {"features": {"shadow": True, "enforcement_mode": "never"}})
    assert answer.status_code == 400
    assert store.flags() == {}
    assert served.policies.changes == 0
    assert store.audits(None).total == 0


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/shadow", {"value": "yes"}, 400, "wrong_type"),
        ("/enforcement_mode", {"value": "Block"}, 400, "invalid_value"),
        ("/analyzer_regex_enabled", {"value": False}, 400, "immutable"),
        ("/analyzer_piguard_enabled", {"value": True}, 400, "unknown_feature"),
        ("/llm_judge_enabled", {"value": True}, 400, "unknown_feature"),
        ("/shadow%00", {"value": True}, 400, "unknown_feature"),
        ("/judge_enabled", {"value": True}, 422, "validation_error"),
        ("", {"features": {"ml_enabled": True}}, 422, "validation_error"),
        ("", {"features": {"nonsense": True}}, 400, "unknown_feature"),
    ],
)
def test_what_cannot_be_set_is_refused_with_a_code_and_words(
    served: Served, store: Store, path: str, body: Any, status: int, code: str
) -> None:
    answer = put(served, path, body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("api_error", code)
    assert error["message"]
    assert store.flags() == {}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/shadow", {}),
        ("/shadow", {"value": True, "more": 1}),
        ("", {"features": {}}),
        ("", {"shadow": True}),
        ("", []),
    ],
)
def test_bodies_of_another_shape_are_refused(served: Served, path: str, body: Any) -> None:
    assert put(served, path, body).status_code == 400


@pytest.mark.parametrize("path", ["/shadow", ""])
def test_a_tenants_admin_sets_nothing_that_is_everybodys(served: Served, store: Store, path: str) -> None:
    body = {"value": True} if path else {"features": {"shadow": True}}
    assert put(served, path, body, "admin").status_code == 403
    narrowed = served.call("operator", "PUT", f"{PATH}{path}", body, **{"x-llmtrace-tenant-id": TENANT})
    assert narrowed.status_code == 403
    assert "without naming a tenant" in narrowed.json()["error"]["message"]
    assert store.flags() == {}


def test_each_change_is_in_the_audit_and_what_stays_as_it_is_is_not(served: Served, store: Store) -> None:
    put(served, "", {"features": {"shadow": True, "cost_caps_enabled": False}})
    (event,) = store.audits(None).data
    assert (event.tenant_id, event.event_type, event.actor) == (None, "feature_flag_changed", "admin-key")
    assert (event.resource, event.data) == ("feature:shadow", {"previous": False, "value": True})


def test_without_the_database_nothing_is_put_in_force(served: Served) -> None:
    served.store.faults["set_flags"] = StoreUnavailable("gone")
    assert put(served, "/shadow", {"value": True}).status_code == 503
    assert served.policies.settings == Settings()


def test_flags_of_another_version_in_the_database_are_not_told_as_ours(served: Served, store: Store) -> None:
    store.set_flags({"of_the_future": {"deep": [1]}, "shadow": "not a bool"})
    found = served.call("operator", "GET", PATH).json()
    assert found["changed"] == {}
    assert "of_the_future" not in found
