"""Every filter, on every route that takes it, against the same filter written in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_relay import wire
from tests.relay.api.calls import HOUR_US, START_US, calls, trace_id
from tests.relay.api.conftest import COUNT
from tests.relay.api.serving import TENANT_A

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from llmtrace_relay.model import Span

CALLS = calls(TENANT_A, COUNT)
FILTERS: dict[str, tuple[str, Callable[[Span], bool]]] = {
    "start_time": (wire.rfc3339(START_US + 20 * HOUR_US), lambda s: s.start_time >= START_US + 20 * HOUR_US),
    "end_time": ("2025-01-01T05:00:00+02:00", lambda s: s.start_time < START_US + 3 * HOUR_US),
    "trace_id": (trace_id(TENANT_A, 7), lambda s: s.trace_id == trace_id(TENANT_A, 7)),
    "provider": ("openai", lambda s: s.provider == "openai"),
    "model": ("claude-sonnet-4", lambda s: s.model_name == "claude-sonnet-4"),
    "operation_name": ("chat_completion_stream", lambda s: s.operation_name == "chat_completion_stream"),
    "outcome": ("blocked", lambda s: s.outcome == "blocked"),
    "agent": ("agent-1", lambda s: s.agent == "agent-1"),
    "session": ("session/2", lambda s: s.session == "session/2"),
    "user": ("ann", lambda s: s.user == "ann"),
    "security_score_min": ("50", lambda s: (s.security_score or -1) >= 50),
    "security_score_max": ("50", lambda s: s.security_score is not None and s.security_score <= 50),
    "min_cost_usd": ("0.2", lambda s: (s.estimated_cost_usd or 0) >= 0.2),
    "finding_type": ("pii_detected", lambda s: any(f.finding_type == "pii_detected" for f in s.security_findings)),
    "search": ("QUESTION 1 about", lambda s: "question 1 about" in s.prompt),
}


def expected(name: str) -> list[Span]:
    matched = [span for span in CALLS if FILTERS[name][1](span)]
    assert 0 < len(matched) < COUNT, "a filter that tells nothing apart tests nothing"
    return matched


def get(client: httpx.Client, path: str, **params: Any) -> Any:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("path", ["/api/v1/traces", "/api/v1/spans"])
def test_lists(client: httpx.Client, path: str, name: str) -> None:
    body = get(client, path, **{name: FILTERS[name][0]}, order="oldest")
    assert [row["trace_id"] for row in body["data"]] == [span.trace_id for span in expected(name)]
    assert body["total"] == len(expected(name))


@pytest.mark.parametrize("name", FILTERS)
def test_sums(client: httpx.Client, name: str) -> None:
    body = get(client, "/api/v1/series", **{name: FILTERS[name][0]}, every="day")
    assert sum(bucket["spans"] for bucket in body["data"]) == len(expected(name))
    assert get(client, "/api/v1/actions/summary", **{name: FILTERS[name][0]})["total_spans"] == len(expected(name))


@pytest.mark.parametrize("name", [name for name in FILTERS if name != "session"])
def test_sessions(client: httpx.Client, name: str) -> None:
    body = get(client, "/api/v1/sessions", **{name: FILTERS[name][0]})
    assert {row["session"] for row in body["data"]} == {span.session for span in expected(name)}
    inside = get(client, "/api/v1/sessions/session/2", **{name: FILTERS[name][0]}) if _in_two(name) else {"total": 0}
    assert inside["total"] == len([span for span in expected(name) if span.session == "session/2"])


def _in_two(name: str) -> bool:
    return any(span.session == "session/2" for span in expected(name))


@pytest.mark.parametrize("name", FILTERS)
def test_exports(client: httpx.Client, name: str) -> None:
    lines = client.get("/api/v1/export", params={name: FILTERS[name][0]}).text.splitlines()
    assert len(lines) == len(expected(name))


def test_filters_are_all_of_them(client: httpx.Client) -> None:
    described = client.get("/api-doc/openapi.json").json()["paths"]["/api/v1/spans"]["get"]["parameters"]
    names = {parameter["name"] for parameter in described}
    assert names == {*FILTERS, "tenant_id", "limit", "offset", "order"}


def test_all_filters_must_hold(client: httpx.Client) -> None:
    body = get(client, "/api/v1/spans", provider="openai", user="ann")
    assert body["total"] == 0
    body = get(client, "/api/v1/spans", provider="openai", agent="agent-1", security_score_max=100)
    assert body["total"] == 0
    body = get(client, "/api/v1/spans", provider="openai", agent="agent-0", security_score_max=45)
    assert body["total"] == 1


@pytest.mark.parametrize("text", ["%", "_", "\\", "'", '"; DROP TABLE spans; --', "${x}", "\u202e", "é" * 512])
def test_texts_are_nothing_but_texts(client: httpx.Client, text: str) -> None:
    for name in ("search", "model", "agent", "session", "user", "provider", "operation_name", "outcome"):
        assert get(client, "/api/v1/spans", **{name: text})["total"] == 0
    assert client.get("/api/v1/sessions/" + text.replace("%", "%25")).status_code == 404


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"limit": "many"}, "limit: must be a valid integer"),
        ({"limit": -1}, "limit: must be greater than or equal to 0"),
        ({"offset": -1}, "offset: must be greater than or equal to 0"),
        ({"offset": 2**63}, "offset: must be less than or equal to"),
        ({"start_time": "yesterday"}, "start_time: must be a time such as 2025-01-31T23:59:59Z"),
        ({"start_time": "2025-02-30T00:00:00Z"}, "start_time: must be a time that there is"),
        ({"start_time": "2025-02-01T00:00:00"}, "with Z or an offset"),
        ({"end_time": "1735689600"}, "end_time: must be a time such as"),
        (
            {"start_time": "2025-01-02T00:00:00Z", "end_time": "2025-01-01T00:00:00Z"},
            "end_time must be after start_time",
        ),
        ({"trace_id": "12"}, "trace_id: must be a UUID, or a trace id of 32 hexadecimal digits"),
        ({"security_score_min": 101}, "security_score_min: must be less than or equal to 100"),
        ({"security_score_min": 2, "security_score_max": 1}, "security_score_min must not be over"),
        ({"min_cost_usd": "nan"}, "min_cost_usd: must be a finite number"),
        ({"min_cost_usd": "-1"}, "min_cost_usd: must be greater than or equal to 0"),
        ({"order": "loudest"}, "order: must be 'newest'"),
        ({"model": ""}, "model: must have at least 1 character"),
        ({"model": "x" * 513}, "model: must have at most 512 characters"),
        ({"search": "a\0"}, "search: must have no NUL character"),
        ({"tenant_id": "*"}, "tenant_id: must be a UUID"),
        ({"colour": "red"}, "colour: is not known here"),
    ],
)
def test_what_is_wrong_with_a_filter_is_said(client: httpx.Client, params: dict[str, Any], words: str) -> None:
    for path in ("/api/v1/spans", "/api/v1/traces"):
        answer = client.get(path, params=params)
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "api_error"
        assert words in answer.json()["error"]["message"]


def test_all_that_is_wrong_is_said_at_once(client: httpx.Client) -> None:
    answer = client.get("/api/v1/spans", params={"limit": "x", "offset": "y", "start_time": "z", "colour": "red"})
    message = answer.json()["error"]["message"]
    assert [sentence.partition(":")[0] for sentence in message.split("; ")] == [
        "start_time",
        "limit",
        "offset",
        "colour",
    ]


def test_a_flood_of_wrong_parameters_is_told_briefly(client: httpx.Client) -> None:
    answer = client.get("/api/v1/spans", params={f"{'x' * 400}{number}": "1" for number in range(100)})
    assert answer.status_code == 400
    assert len(answer.json()["error"]["message"]) < 2_500
