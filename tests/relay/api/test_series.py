from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_relay import wire
from tests.relay.api.calls import START_US, call, calls
from tests.relay.api.conftest import COUNT
from tests.relay.api.serving import TENANT_A

if TYPE_CHECKING:
    import httpx

    from tests.relay.api.serving import Served

CALLS = calls(TENANT_A, COUNT)


def series(client: httpx.Client, **params: Any) -> dict[str, Any]:
    answer = client.get("/api/v1/series", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_one_day(client: httpx.Client) -> None:
    body = series(client, every="day")
    assert body | {"data": 0} == {"data": 0, "every_seconds": 86_400, "by": None, "truncated": False}
    (bucket,) = body["data"]
    cost = bucket.pop("cost_usd")
    assert cost == pytest.approx(sum(span.estimated_cost_usd or 0 for span in CALLS))
    assert bucket == {
        "start": "2025-01-01T00:00:00.000000Z",
        "group": "",
        "spans": COUNT,
        "errors": 0,
        "blocked": len([span for span in CALLS if span.action == "block"]),
        "flagged": 0,
        "findings": sum(len(span.security_findings) for span in CALLS),
        "prompt_tokens": sum(span.prompt_tokens or 0 for span in CALLS),
        "completion_tokens": 5 * COUNT,
        "duration_ms_sum": sum(span.duration_ms or 0 for span in CALLS),
        "duration_ms_max": 100 + COUNT - 1,
    }


@pytest.mark.parametrize(
    ("every", "seconds", "buckets"),
    [("minute", 60, COUNT), ("hour", 3600, COUNT), ("day", 86_400, 1), ("7200", 7200, COUNT // 2), (None, 3600, COUNT)],
)
def test_pieces_of_time(client: httpx.Client, every: str | None, seconds: int, buckets: int) -> None:
    body = series(client, **({"every": every} if every else {}))
    assert body["every_seconds"] == seconds
    assert len(body["data"]) == buckets
    starts = [wire.micros(bucket["start"]) for bucket in body["data"]]
    assert starts == sorted(starts)
    assert all(start % (seconds * 1_000_000) == 0 for start in starts)
    assert starts[0] == START_US


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("model", {"gpt-4o": 12, "claude-sonnet-4": 12}),
        ("provider", {"openai": 12, "anthropic": 12}),
        ("agent", {"agent-0": 8, "agent-1": 8, "agent-2": 8}),
        ("outcome", {"blocked": 4, "complete": 20}),
    ],
)
def test_groups(client: httpx.Client, by: str, groups: dict[str, int]) -> None:
    body = series(client, every="day", by=by)
    assert body["by"] == by
    assert {bucket["group"]: bucket["spans"] for bucket in body["data"]} == groups


@pytest.mark.parametrize("every", ["0", "-1", "1.5", "week", "", "31622401", "9" * 40, "٣"])
def test_no_piece_of_time(client: httpx.Client, every: str) -> None:
    answer = client.get("/api/v1/series", params={"every": every})
    assert answer.status_code == 400
    assert "every: must be minute, hour, day, or seconds between 1 and" in answer.json()["error"]["message"]


def test_groups_that_are_not_known(client: httpx.Client) -> None:
    answer = client.get("/api/v1/series", params={"by": "user"})
    assert answer.status_code == 400
    assert "by: must be 'model', 'provider', 'agent' or 'outcome'" in answer.json()["error"]["message"]


def test_sessions_are_told_with_their_sums(client: httpx.Client) -> None:
    body = client.get("/api/v1/sessions").json()
    assert body["total"] == 4
    assert [row["session"] for row in body["data"]] == [f"session/{number}" for number in (3, 2, 1, 0)]
    last = body["data"][0]
    inside = [span for span in CALLS if span.session == "session/3"]
    assert last.pop("cost_usd") == pytest.approx(sum(span.estimated_cost_usd or 0 for span in inside))
    assert last == {
        "session": "session/3",
        "tenant_id": TENANT_A,
        "first": "2025-01-01T03:00:00.000000Z",
        "last": wire.rfc3339(max(span.start_time for span in inside)),
        "spans": len(inside),
        "total_tokens": sum(span.total_tokens or 0 for span in inside),
        "max_security_score": max(span.security_score or 0 for span in inside),
    }
    page = client.get("/api/v1/sessions", params={"limit": 1, "offset": 2}).json()
    assert [row["session"] for row in page["data"]] == ["session/1"]
    assert (page["total"], page["limit"], page["offset"]) == (4, 1, 2)


@pytest.mark.parametrize("path", ["session/1", "session%2F1"])
def test_the_calls_of_a_session(client: httpx.Client, path: str) -> None:
    body = client.get(f"/api/v1/sessions/{path}", params={"order": "oldest", "limit": 2}).json()
    assert body["total"] == 6
    assert [row["span_id"] for row in body["data"]] == [span.span_id for span in CALLS if span.session == "session/1"][
        :2
    ]


def test_a_session_with_a_name_as_strange_as_can_be(served: Served) -> None:
    tenant = "dddddddd-0000-4000-8000-000000000004"
    name = "a/../b?c=d#e% +é"
    served.store.put([call(tenant, 1, session=name)])
    from urllib.parse import quote

    with served.client(tenant) as client:
        assert client.get(f"/api/v1/sessions/{quote(name, safe='')}").json()["total"] == 1


def test_a_session_that_is_not_there(client: httpx.Client) -> None:
    for path in ("/api/v1/sessions/none", "/api/v1/sessions/%00", "/api/v1/sessions/"):
        assert client.get(path).status_code in (400, 404), path
    assert "by the path" in client.get("/api/v1/sessions/session/1", params={"session": "x"}).text
