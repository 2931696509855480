from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_sdk.core.enforcement import EnforcementOptions, Match, Override
from tests.relay.api.calls import call, span_id
from tests.relay.api.conftest import COUNT
from tests.relay.api.serving import TENANT_A

if TYPE_CHECKING:
    import httpx

    from tests.relay.api.serving import Served


@pytest.mark.parametrize("spelled", ["uuid", "upper", "otel", "digits"])
def test_a_span_id_may_be_spelled_in_any_way(client: httpx.Client, spelled: str) -> None:
    known = span_id(TENANT_A, 3)
    ways = {
        "uuid": known,
        "upper": known.upper(),
        "otel": known.replace("-", "")[16:],
        "digits": known.replace("-", ""),
    }
    assert client.get(f"/api/v1/spans/{ways[spelled]}").json()["span_id"] == known


@pytest.mark.parametrize("text", ["1", "g" * 16, "0" * 17, f"{uuid.uuid4()}0", "%00", "a" * 5000])
def test_what_is_no_span_id_is_said(client: httpx.Client, text: str) -> None:
    answer = client.get(f"/api/v1/spans/{text}")
    assert answer.status_code == 400
    assert "span_id: must be a UUID, or a span id of 16 hexadecimal digits" in answer.json()["error"]["message"]


def test_a_span_that_is_not_there(client: httpx.Client) -> None:
    answer = client.get(f"/api/v1/spans/{uuid.uuid4()}")
    assert answer.status_code == 404
    assert answer.json() == {"error": {"message": "there is no such span", "type": "api_error"}}


def test_calls_with_findings(client: httpx.Client) -> None:
    body = client.get("/api/v1/security/findings", params={"limit": 3}).json()
    risky = [number for number in reversed(range(COUNT)) if number % 3 == 0]
    assert body["total"] == len(risky)
    assert [row["span_id"] for row in body["data"]] == [span_id(TENANT_A, number) for number in risky[:3]]
    assert [finding["finding_type"] for finding in body["data"][1]["security_findings"]] == [
        "prompt_injection",
        "pii_detected",
    ]
    page = client.get("/api/v1/security/findings", params={"limit": 1, "offset": 1}).json()
    assert page["data"] == body["data"][1:2]


def test_each_span_says_which_half_of_such_a_call_is_inspected(served: Served, client: httpx.Client) -> None:
    def scopes() -> dict[str, set[str]]:
        rows = client.get("/api/v1/spans").json()["data"]
        return {
            agent: {row["monitoring_scope"] for row in rows if row["agent"] == agent}
            for agent in ("agent-1", "agent-2")
        }

    assert scopes() == {"agent-1": {"hybrid"}, "agent-2": {"hybrid"}}
    override = Override(match=Match(agent="agent-1"), monitoring_scope="input_only")
    options = EnforcementOptions(monitoring_scope="output_only", overrides=(override,))
    served.policies.settings = replace(served.policies.settings, enforcement=options)
    assert scopes() == {"agent-1": {"input_only"}, "agent-2": {"output_only"}}
    assert client.get(f"/api/v1/spans/{span_id(TENANT_A, 1)}").json()["monitoring_scope"] == "input_only"


@pytest.mark.parametrize(
    "text", ["\U0001f600 \u202e \x7f", '{"a": "\\u0000"}', "line\nline", "<script>alert(1)</script>"]
)
def test_texts_arrive_as_they_were(served: Served, text: str) -> None:
    tenant = str(uuid.uuid4())
    values: dict[str, Any] = {"prompt": text, "response": text, "error_message": text, "tags": {text: text}}
    served.store.put([call(tenant, 1, **values)])
    with served.client(tenant) as client:
        answer = client.get(f"/api/v1/spans/{span_id(tenant, 1)}")
    assert {name: answer.json()[name] for name in values} == values
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_span_with_nothing_known_of_it(served: Served) -> None:
    tenant = str(uuid.uuid4())
    bare = call(tenant, 1)
    names = "end_time response prompt_tokens estimated_cost_usd security_score agent session user call_id duration_ms"
    values = dict.fromkeys(names.split())
    served.store.put([call(tenant, 1, **values, security_findings=(), events=(), tags={})])
    with served.client(tenant) as client:
        span = client.get(f"/api/v1/spans/{bare.span_id}").json()
        assert client.get("/api/v1/spans", params={"security_score_min": 0}).json()["total"] == 0
    assert {name: span[name] for name in values} == values
