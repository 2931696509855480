"""Who sees what: roles, and tenants kept apart."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.relay.api.calls import MARK, calls, span_id, trace_id
from tests.relay.api.conftest import COUNT
from tests.relay.api.serving import TENANT_A, TENANT_B

if TYPE_CHECKING:
    import httpx

    from tests.relay.api.serving import Served

NEEDED = {
    ("GET", "/api/v1/traces"): "viewer",
    ("GET", f"/api/v1/traces/{trace_id(TENANT_A, 1)}"): "viewer",
    ("GET", "/api/v1/spans"): "viewer",
    ("GET", f"/api/v1/spans/{span_id(TENANT_A, 1)}"): "viewer",
    ("GET", "/api/v1/security/findings"): "viewer",
    ("GET", "/api/v1/findings"): "viewer",
    ("GET", "/api/v1/stats"): "viewer",
    ("GET", "/api/v1/series"): "viewer",
    ("GET", "/api/v1/sessions"): "viewer",
    ("GET", "/api/v1/sessions/session/1"): "viewer",
    ("GET", "/api/v1/export"): "viewer",
    ("GET", "/api/v1/actions/summary"): "viewer",
    ("GET", "/api/v1/me"): "viewer",
    ("GET", "/api/v1/costs/current"): "viewer",
    ("GET", "/api/v1/config/live"): "operator",
    ("POST", f"/api/v1/traces/{uuid.UUID(int=1)}/actions"): "operator",
    ("DELETE", f"/api/v1/traces/{uuid.UUID(int=1)}"): "admin",
    ("DELETE", "/api/v1/traces?model=none"): "admin",
    ("GET", "/api/v1/stats/global"): "admin",
}
ROLES = ("viewer", "operator", "admin")
BODY = {"action_type": "tool_call", "name": "n"}
LISTS = (
    "/api/v1/traces",
    "/api/v1/spans",
    "/api/v1/security/findings",
    "/api/v1/findings",
    "/api/v1/sessions",
    "/api/v1/sessions/session/1",
)


def ask(client: httpx.Client, method: str, path: str) -> httpx.Response:
    return client.request(method, path, json=BODY if method == "POST" else None)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path"), NEEDED)
def test_roles(served: Served, method: str, path: str, role: str) -> None:
    with served.client(TENANT_A, role) as client:
        answer = ask(client, method, path)
    needed = NEEDED[method, path]
    if ROLES.index(role) < ROLES.index(needed):
        assert answer.status_code == 403
        assert answer.json()["error"] == {
            "message": f"this needs the role {needed}, the key has {role}",
            "type": "auth_error",
        }
    elif path == "/api/v1/stats/global":
        assert answer.status_code == 403, "an admin of a tenant is not the operator of the relay"
    else:
        assert answer.status_code in (200, 404)


def test_every_route_about_calls_has_its_role_tested(client: httpx.Client) -> None:
    paths = client.get("/api-doc/openapi.json").json()["paths"]
    ours = {
        (verb.upper(), path)
        for path, item in paths.items()
        for verb in item
        if path.split("/")[3] not in {"tenants", "auth", "audit", "reports", "policy"}
        and path.split("/")[4:5] != ["features"]
    }
    known = {(method, path.partition("?")[0]) for method, path in NEEDED}
    assert len(ours) == len(known) == len(NEEDED)


@pytest.mark.parametrize("path", LISTS)
def test_lists_have_nothing_of_others(served: Served, path: str) -> None:
    for tenant, other in ((TENANT_A, TENANT_B), (TENANT_B, TENANT_A)):
        with served.client(tenant, "viewer") as client:
            answer = client.get(path, params={"limit": 1000})
        assert answer.json()["data"]
        assert {row["tenant_id"] for row in answer.json()["data"]} == {tenant}
        assert other not in answer.text
        assert MARK[other] not in answer.text


def test_sums_have_nothing_of_others(served: Served) -> None:
    tenant = str(uuid.uuid4())
    served.store.put(calls(tenant, 2))
    with served.client(tenant, "viewer") as client:
        assert client.get("/api/v1/stats").json()["total_spans"] == 2
        assert sum(row["spans"] for row in client.get("/api/v1/series").json()["data"]) == 2
        assert client.get("/api/v1/actions/summary").json()["total_spans"] == 2
        assert len(client.get("/api/v1/export").text.splitlines()) == 2


@pytest.mark.parametrize("search", [MARK[TENANT_B], "question"])
def test_a_search_finds_nothing_of_others(client: httpx.Client, search: str) -> None:
    body = client.get("/api/v1/spans", params={"search": search}).json()
    assert body["total"] == (COUNT if search == "question" else 0)


@pytest.mark.parametrize("role", ROLES)
def test_what_is_of_others_is_not_there(served: Served, role: str) -> None:
    with served.client(TENANT_A, role) as client:
        for path in (f"/api/v1/traces/{trace_id(TENANT_B, 1)}", f"/api/v1/spans/{span_id(TENANT_B, 1)}"):
            theirs, nobodys = client.get(path), client.get(path[:-12] + "0" * 12)
            assert theirs.status_code == nobodys.status_code == 404
            assert theirs.content == nobodys.content, "whether it is there at all is not told"
        params = {"trace_id": trace_id(TENANT_B, 1)}
        assert client.get("/api/v1/spans", params=params).json()["total"] == 0
        assert client.get("/api/v1/findings", params=params).json()["total"] == 0


def test_what_is_of_others_is_not_deleted(served: Served, client: httpx.Client) -> None:
    assert client.delete(f"/api/v1/traces/{trace_id(TENANT_B, 1)}").status_code == 404
    assert client.delete("/api/v1/traces", params={"trace_id": trace_id(TENANT_B, 1)}).json() == {"deleted": 0}
    with served.client(TENANT_B) as other:
        assert other.get(f"/api/v1/traces/{trace_id(TENANT_B, 1)}").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [key for key in NEEDED if key[1] not in ("/api/v1/me", "/api/v1/config/live", "/api/v1/stats/global")],
)
def test_nobody_but_the_operator_asks_for_another_tenant(served: Served, method: str, path: str) -> None:
    from dataclasses import replace

    settings = served.policies.settings
    served.policies.settings = replace(settings, cost_caps=replace(settings.cost_caps, enabled=True))
    separator = "&" if "?" in path else "?"
    with served.client(TENANT_A) as client:
        answer = ask(client, method, f"{path}{separator}tenant_id={TENANT_B}")
        assert answer.status_code == 403
        assert "only the operator of the relay" in answer.json()["error"]["message"]
        own = ask(client, method, f"{path}{separator}tenant_id={TENANT_A.upper()}")
        assert own.status_code in (200, 404), "to say whose own one is does no harm"


@pytest.mark.parametrize("role", ["viewer", "operator"])
@pytest.mark.parametrize(
    "path", [*LISTS, "/api/v1/stats", "/api/v1/series", "/api/v1/export", "/api/v1/actions/summary"]
)
def test_a_key_of_no_tenant_sees_nothing(served: Served, path: str, role: str) -> None:
    with served.client(None, role) as client:
        answer = client.get(path)
        assert answer.status_code == 403
        assert "belongs to no tenant" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", LISTS)
def test_the_operator_sees_all_or_one(operator: httpx.Client, path: str) -> None:
    def seen(**params: Any) -> set[str]:
        body = operator.get(path, params={"limit": 1000, **params}).json()
        return {row["tenant_id"] for row in body["data"]}

    assert {TENANT_A, TENANT_B} <= seen()
    assert seen(tenant_id=TENANT_B) == {TENANT_B}


def test_the_operator_sees_one_thing(operator: httpx.Client) -> None:
    path = f"/api/v1/traces/{trace_id(TENANT_B, 1)}"
    assert operator.get(path).json()["tenant_id"] == TENANT_B
    assert operator.get(path, params={"tenant_id": TENANT_A}).status_code == 404
    assert operator.get(f"/api/v1/spans/{span_id(TENANT_A, 1)}").json()["tenant_id"] == TENANT_A


def test_stats(served: Served, client: httpx.Client, operator: httpx.Client) -> None:
    own = client.get("/api/v1/stats").json()
    assert own.pop("storage_size_bytes") > 0
    assert own == {
        "total_traces": COUNT,
        "total_spans": COUNT,
        "oldest_trace": "2025-01-01T00:00:00.000000Z",
        "newest_trace": "2025-01-01T23:00:00.000000Z",
    }
    everything = operator.get("/api/v1/stats/global").json()
    assert everything["total_spans"] >= 2 * COUNT
    assert operator.get("/api/v1/stats").json()["total_spans"] == everything["total_spans"]
    assert operator.get("/api/v1/stats", params={"tenant_id": TENANT_A}).json()["total_spans"] == COUNT
    with served.client(str(uuid.uuid4())) as nobody:
        nothing = nobody.get("/api/v1/stats").json()
    assert (nothing["total_traces"], nothing["oldest_trace"], nothing["newest_trace"]) == (0, None, None)


def test_what_agents_did(client: httpx.Client) -> None:
    with_actions = len([number for number in range(COUNT) if number % 5 == 0])
    assert client.get("/api/v1/actions/summary").json() == {
        "total_spans": COUNT,
        "spans_with_tool_calls": with_actions,
        "spans_with_web_access": with_actions,
        "spans_with_commands": 0,
        "action_counts": {"tool_call": with_actions, "web_access": with_actions},
        "top_actions": [
            {"name": "example.com", "action_type": "web_access", "count": with_actions},
            {"name": "get_weather", "action_type": "tool_call", "count": with_actions},
        ],
    }


def test_who_am_i(served: Served, operator: httpx.Client) -> None:
    with served.client(TENANT_A, "viewer", "key:dashboard") as client:
        assert client.get("/api/v1/me").json() == {
            "tenant_id": TENANT_A,
            "role": "viewer",
            "actor": "key:dashboard",
            "key_id": None,
            "everywhere": False,
        }
    assert operator.get("/api/v1/me").json()["everywhere"] is True
