from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_relay import wire
from tests.relay.api.calls import HOUR_US, START_US, call, calls, span_id, trace_id
from tests.relay.api.conftest import COUNT
from tests.relay.api.serving import NOW_US, TENANT_A, TENANT_B

if TYPE_CHECKING:
    import httpx

    from tests.relay.api.serving import Served

TENANT_C = "cccccccc-0000-4000-8000-000000000003"


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [trace["trace_id"] for trace in answer.json()["data"]]


def test_a_page_of_traces_has_the_newest_first(client: httpx.Client) -> None:
    answer = client.get("/api/v1/traces")
    assert ids(answer) == [trace_id(TENANT_A, number) for number in reversed(range(COUNT))]
    body = answer.json()
    assert (body["total"], body["limit"], body["offset"]) == (COUNT, 50, 0)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


def test_a_trace_is_told_with_all_that_is_known_of_it(client: httpx.Client) -> None:
    expected = call(TENANT_A, 6)
    trace = client.get(f"/api/v1/traces/{trace_id(TENANT_A, 6)}").json()
    assert set(trace) == {"trace_id", "tenant_id", "spans", "created_at"}
    assert trace["created_at"] == "2025-01-01T06:00:00.000000Z"
    (span,) = trace["spans"]
    assert span["start_time"] == "2025-01-01T06:00:00.000000Z"
    assert span["end_time"] == "2025-01-01T06:00:01.500000Z"
    assert span["security_findings"][0]["detected_at"] == "2025-01-01T06:00:00.000005Z"
    assert span["events"][0]["timestamp"] == "2025-01-01T06:00:00.000001Z"
    told = json.loads(wire.encoded(wire.plain(expected)))
    for volatile in ("events", "agent_actions"):  # their ids are made anew each time
        for each in (*told[volatile], *span[volatile]):
            each.pop("id")
    assert span == told


@pytest.mark.parametrize(
    ("params", "numbers"),
    [
        ({"limit": 3}, [23, 22, 21]),
        ({"limit": 3, "offset": 22}, [1, 0]),
        ({"limit": 0}, []),
        ({"offset": COUNT}, []),
        ({"order": "oldest", "limit": 2}, [0, 1]),
        ({"order": "dearest", "limit": 2}, [23, 22]),
        ({"order": "slowest", "limit": 1}, [23]),
        ({"order": "riskiest", "limit": 2}, [21, 18]),
    ],
)
def test_pages_and_orders(client: httpx.Client, params: dict[str, Any], numbers: list[int]) -> None:
    answer = client.get("/api/v1/traces", params=params)
    assert ids(answer) == [trace_id(TENANT_A, number) for number in numbers]
    assert answer.json()["total"] == COUNT


def test_a_limit_over_the_largest_is_the_largest(client: httpx.Client) -> None:
    for path in ("/api/v1/traces", "/api/v1/spans", "/api/v1/findings", "/api/v1/sessions"):
        assert client.get(path, params={"limit": 10**30}).json()["limit"] == 1000


@pytest.mark.parametrize(
    "spelled", [str.lower, lambda text: text.replace("-", ""), str.upper], ids=["uuid", "otel", "upper"]
)
def test_a_trace_id_may_be_spelled_in_any_way(client: httpx.Client, spelled: Any) -> None:
    known = trace_id(TENANT_A, 1)
    assert client.get(f"/api/v1/traces/{spelled(known)}").json()["trace_id"] == known
    assert ids(client.get("/api/v1/traces", params={"trace_id": spelled(known)})) == [known]


def test_a_trace_that_matches_is_told_whole(served: Served, operator: httpx.Client) -> None:
    tenant = str(uuid.uuid4())
    first = call(tenant, 1)
    second = call(tenant, 2, trace_id=first.trace_id, parent_span_id=first.span_id)
    served.store.put([second, first])
    body = operator.get("/api/v1/traces", params={"tenant_id": tenant, "model": "gpt-4o"}).json()
    assert body["total"] == 1
    assert [span["span_id"] for span in body["data"][0]["spans"]] == [first.span_id, second.span_id]


def test_a_trace_can_be_read_as_soon_as_its_call_has_ended(served: Served) -> None:
    tenant = str(uuid.uuid4())
    waiting = call(tenant, 1)
    with served.client(tenant) as client:
        served.pending = [waiting]
        assert client.get(f"/api/v1/traces/{waiting.trace_id}").status_code == 200
        later = call(tenant, 2)
        served.pending = [later]
        assert client.get(f"/api/v1/spans/{later.span_id}").status_code == 200
        last = call(tenant, 3)
        served.pending = [last]
        action = {"action_type": "tool_call", "name": "n"}
        assert client.post(f"/api/v1/traces/{last.trace_id}/actions", json=action).status_code == 200


@pytest.mark.parametrize("path", ["traces", "spans", "security/findings", "findings"])
def test_who_calls_and_looks_at_once_finds_it(served: Served, path: str) -> None:
    tenant = str(uuid.uuid4())
    served.pending = [call(tenant, 1)]
    with served.client(tenant) as client:
        client.get(f"/api/v1/{path}").raise_for_status()
        assert not served.pending
        assert client.get("/api/v1/stats").json()["total_spans"] == 1


def test_a_trace_that_is_there_waits_for_nothing(served: Served, client: httpx.Client) -> None:
    before = served.flushes
    client.get(f"/api/v1/traces/{trace_id(TENANT_A, 1)}").raise_for_status()
    assert served.flushes == before
    assert client.get(f"/api/v1/traces/{uuid.uuid4()}").status_code == 404
    assert served.flushes == before + 1


def test_one_trace_is_deleted(served: Served) -> None:
    tenant = str(uuid.uuid4())
    served.store.put(calls(tenant, 3))
    with served.client(tenant, actor="key:ann") as client:
        path = f"/api/v1/traces/{trace_id(tenant, 1)}"
        answer = client.delete(path)
        assert (answer.status_code, answer.content) == (204, b"")
        assert client.get(path).status_code == 404
        assert client.delete(path).status_code == 404
        assert ids(client.get("/api/v1/traces")) == [trace_id(tenant, number) for number in (2, 0)]
    (event,) = served.store.audits(tenant).data
    assert (event.event_type, event.actor, event.timestamp) == ("traces_deleted", "key:ann", NOW_US)
    assert event.resource == f"trace:{trace_id(tenant, 1)}"


def test_traces_are_deleted_by_filter(served: Served) -> None:
    tenant = str(uuid.uuid4())
    served.store.put(calls(tenant, 6))
    served.pending = [call(tenant, 7)]
    with served.client(tenant) as client:
        answer = client.delete("/api/v1/traces", params={"provider": "anthropic", "search": "question"})
        assert answer.json() == {"deleted": 4}, "calls that wait for the database are deleted, too"
        assert ids(client.get("/api/v1/traces")) == [trace_id(tenant, number) for number in (4, 2, 0)]
    (event,) = served.store.audits(tenant).data
    assert event.data == {"deleted": 4, "filters": ["provider", "search"]}


def test_everything_is_not_deleted_by_a_slip(served: Served) -> None:
    tenant = str(uuid.uuid4())
    served.store.put(calls(tenant, 2))
    with served.client(tenant) as client:
        bare = client.delete("/api/v1/traces")
        assert bare.status_code == 400
        assert "at least one filter" in bare.json()["error"]["message"]
        for params in ({"modle": "gpt-4o"}, {"model": ""}, {"limit": 1}):
            assert client.delete("/api/v1/traces", params=params).status_code == 400
        assert client.get("/api/v1/traces").json()["total"] == 2


def test_the_operator_deletes_what_is_of_one_tenant(served: Served, operator: httpx.Client) -> None:
    tenant, other = str(uuid.uuid4()), str(uuid.uuid4())
    served.store.put([*calls(tenant, 2), *calls(other, 1)])
    assert operator.delete("/api/v1/traces", params={"tenant_id": tenant}).json() == {"deleted": 2}
    assert operator.get("/api/v1/traces", params={"tenant_id": other}).json()["total"] == 1


def test_what_an_agent_did_is_added_to_its_trace(served: Served) -> None:
    tenant = str(uuid.uuid4())
    served.store.put([call(tenant, 1)])
    action = {
        "action_type": "command_execution",
        "name": "ls",
        "arguments": "-l --key sk-abcdefghijklmnopqrstuvwxyz",
        "result": "é" * 3000,
        "duration_ms": 12,
        "success": False,
        "exit_code": -1,
        "metadata": {"host": "a"},
    }
    with served.client(tenant, role="operator") as client:
        answer = client.post(f"/api/v1/traces/{trace_id(tenant, 1)}/actions", json=action).json()
        assert answer["status"] == "ok"
        assert answer["trace_id"] == trace_id(tenant, 1)
        (kept,) = client.get(f"/api/v1/spans/{span_id(tenant, 1)}").json()["agent_actions"]
        summary = client.get("/api/v1/actions/summary").json()
    assert kept["id"] == answer["action_id"]
    assert kept["timestamp"] == wire.rfc3339(NOW_US)
    assert kept["arguments"] == "-l --key [REDACTED:credential]"
    assert kept["result"] == "é" * 2048, "4096 bytes of it are kept"
    assert {**action, "arguments": "", "result": ""}.items() <= {**kept, "arguments": "", "result": ""}.items()
    assert summary["spans_with_commands"] == 1


@pytest.mark.parametrize(
    ("capture", "kept"),
    [("none", None), ("full", "sk-abcdefghijklmnopqrstuvwxyz"), ("redacted", "[REDACTED:credential]")],
)
def test_texts_of_actions_are_kept_as_the_settings_say(served: Served, capture: Any, kept: str | None) -> None:
    from dataclasses import replace

    settings = served.policies.settings
    served.policies.settings = replace(settings, storage=replace(settings.storage, capture=capture))
    tenant = str(uuid.uuid4())
    served.store.put([call(tenant, 1)])
    text = "sk-abcdefghijklmnopqrstuvwxyz"
    with served.client(tenant) as client:
        body = {"action_type": "tool_call", "name": "n", "arguments": text, "result": text}
        client.post(f"/api/v1/traces/{trace_id(tenant, 1)}/actions", json=body).raise_for_status()
        (action,) = client.get(f"/api/v1/spans/{span_id(tenant, 1)}").json()["agent_actions"]
    assert (action["arguments"], action["result"]) == (kept, kept)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"name": "n"}, "action_type: is missing"),
        ({"action_type": "dance", "name": "n"}, "action_type: must be 'tool_call'"),
        ({"action_type": "tool_call"}, "name: is missing"),
        ({"action_type": "tool_call", "name": "n", "http_status": 9}, "http_status: must be greater"),
        ({"action_type": "tool_call", "name": "a\0b"}, "name: must have no NUL character"),
        ({"action_type": "tool_call", "name": "n", "colour": 1}, "colour: is not known here"),
        ({"action_type": "tool_call", "name": "n", "metadata": {"a": 1}}, "metadata.a: must be a valid string"),
        ([], "body: must be a valid dictionary"),
    ],
)
def test_what_is_wrong_with_an_action_is_said(client: httpx.Client, body: Any, words: str) -> None:
    answer = client.post(f"/api/v1/traces/{trace_id(TENANT_A, 1)}/actions", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_actions_of_a_trace_of_another_tenant_are_not_found(client: httpx.Client) -> None:
    body = {"action_type": "tool_call", "name": "n"}
    assert client.post(f"/api/v1/traces/{trace_id(TENANT_B, 1)}/actions", json=body).status_code == 404


def test_times_bound_what_is_told(client: httpx.Client) -> None:
    params = {"start_time": wire.rfc3339(START_US + HOUR_US), "end_time": wire.rfc3339(START_US + 3 * HOUR_US)}
    assert ids(client.get("/api/v1/traces", params=params)) == [trace_id(TENANT_A, number) for number in (2, 1)]
