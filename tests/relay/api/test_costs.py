from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_sdk import sharing
from llmtrace_sdk.core.admission import Load, claims_of
from llmtrace_sdk.core.limits import BudgetCap, CostCapOptions, ScopedCaps, StateOptions
from llmtrace_sdk.core.model import Labels
from tests.relay.api.serving import NOW_US, TENANT_A
from tests.state.redis_server import RedisServer, require_redis

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.relay.api.serving import Served

CAPS = CostCapOptions(
    enabled=True,
    default_budget_caps=(
        BudgetCap(window="hourly", hard_limit_usd=10.0, soft_limit_usd=8.0),
        BudgetCap(window="daily", hard_limit_usd=50.0, hard_limit_tokens=1000, soft_limit_tokens=900),
        BudgetCap(window="monthly", hard_limit_usd=60.0),
        BudgetCap(window="weekly", soft_limit_usd=5.0),
    ),
    agents=(
        ScopedCaps(agent_id="research-*", budget_caps=(BudgetCap(window="monthly", hard_limit_tokens=10_000),)),
        ScopedCaps(model="gpt-*", budget_caps=(BudgetCap(window="hourly", hard_limit_usd=0),)),
        ScopedCaps(user="*", budget_caps=(BudgetCap(window="hourly", hard_limit_usd=1),)),
        ScopedCaps(session="*", budget_caps=(BudgetCap(window="hourly", hard_limit_usd=2),)),
    ),
)


def limit(served: Served, caps: CostCapOptions = CAPS, state: StateOptions | None = None) -> None:
    settings = served.policies.settings
    served.policies.settings = replace(settings, cost_caps=caps, state=state or settings.state)


def spend(served: Served, labels: Labels, usd: int, tokens: int, model: str | None = None) -> None:
    """What the pipeline does when a call is admitted."""
    settings = served.policies.settings
    now_s = served.now_us / 1e6
    ask = claims_of(
        settings.rate_limiting,
        settings.cost_caps,
        labels,
        model,
        Load(tokens, 0, usd),
        str(uuid.uuid4()),
        now_s,
        rated=False,
    )
    assert sharing.state_of(settings.state.url, 1.0).admit(ask.claims).granted


def windows(client: httpx.Client, **params: Any) -> dict[str, Any]:
    answer = client.get("/api/v1/costs/current", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def row(
    window: str, resets_in_secs: int, usd: tuple[Any, ...], tokens: tuple[Any, ...] = (None,) * 4
) -> dict[str, Any]:
    of_usd = ("current_spend_usd", "hard_limit_usd", "soft_limit_usd", "utilization_pct")
    of_tokens = ("current_tokens", "hard_limit_tokens", "soft_limit_tokens", "utilization_tokens_pct")
    told = dict(zip((*of_usd, *of_tokens), (*usd, *tokens), strict=True))
    return {"window": window, "scope": "tenant", **told, "resets_in_secs": resets_in_secs}


def test_without_caps(client: httpx.Client) -> None:
    answer = client.get("/api/v1/costs/current")
    assert answer.status_code == 404
    assert answer.json() == {"error": {"message": "Cost caps are not enabled", "type": "api_error"}}


def test_what_is_spent_is_what_calls_were_admitted_with(served: Served) -> None:
    limit(served)
    tenant = str(uuid.uuid4())
    served.now_us = NOW_US + 60_000_000
    spend(served, Labels(tenant=tenant), 2_500_000, 100)
    spend(served, Labels(tenant=tenant, agent="research-1"), 500_000, 20)
    with served.client(tenant, "viewer") as client:
        body = windows(client)
    assert body == {
        "tenant_id": tenant,
        "agent_id": "_default",
        "windows": [
            row("hourly", 3540, usd=(3.0, 10.0, 8.0, 30.0)),
            row("daily", 86_340, usd=(3.0, 50.0, None, 6.0), tokens=(120, 1000, 900, 12.0)),
            row("monthly", 2_592_000 - 60 - NOW_US // 1_000_000 % 2_592_000, usd=(3.0, 60.0, None, 5.0)),
            row("weekly", 604_800 - 60 - NOW_US // 1_000_000 % 604_800, usd=(3.0, None, 5.0, None)),
        ],
    }


def test_budgets_beside_those_of_the_tenant(served: Served) -> None:
    limit(served)
    tenant = str(uuid.uuid4())
    spend(served, Labels(tenant=tenant, agent="research-1", user="ann"), 500_000, 20)
    with served.client(tenant, "viewer") as client:
        agent = windows(client, agent_id="research-1")
        assert agent["agent_id"] == "research-1"
        assert [(row["scope"], row["window"], row["current_tokens"]) for row in agent["windows"][4:]] == [
            ("agent", "monthly", 20)
        ]
        assert windows(client, agent_id="research-2")["windows"][4]["current_tokens"] == 0
        assert len(windows(client, agent_id="other")["windows"]) == 4
        (user,) = windows(client, user="ann")["windows"][4:]
        assert (user["scope"], user["current_spend_usd"], user["utilization_pct"]) == ("user", 0.5, 50.0)
        assert [row["scope"] for row in windows(client, session="s")["windows"][4:]] == ["session"]
        (model,) = windows(client, model="gpt-4o")["windows"][4:]
        assert (model["scope"], model["utilization_pct"]) == ("model", 100.0), "nothing of nothing is all of it"


def test_a_new_period_begins_at_nothing(served: Served) -> None:
    limit(served)
    tenant = str(uuid.uuid4())
    spend(served, Labels(tenant=tenant), 1_000_000, 1)
    with served.client(tenant) as client:
        served.now_us += 3_600_000_000
        assert [row["current_spend_usd"] for row in windows(client)["windows"]] == [0.0, 1.0, 1.0, 1.0]


def test_other_tenants_spend_for_themselves(served: Served) -> None:
    limit(served)
    tenant = str(uuid.uuid4())
    spend(served, Labels(tenant=tenant), 1_000_000, 1)
    with served.client(TENANT_A) as client:
        assert windows(client)["windows"][0]["current_spend_usd"] == 0.0


def test_the_operator_says_whose(served: Served, operator: httpx.Client) -> None:
    limit(served)
    answer = operator.get("/api/v1/costs/current")
    assert answer.status_code == 400
    assert "tenant_id: is missing" in answer.json()["error"]["message"]
    assert windows(operator, tenant_id=TENANT_A)["tenant_id"] == TENANT_A


def test_caps_that_limit_nobody(served: Served, client: httpx.Client) -> None:
    limit(served, CostCapOptions(enabled=True))
    assert windows(client)["windows"] == []


def test_what_is_spent_is_asked_of_the_shared_state(served: Served, tmp_path: Path) -> None:
    with RedisServer(require_redis(), tmp_path) as redis:
        limit(served, state=StateOptions(url=redis.url, timeout_ms=1000))
        state = sharing.state_of(redis.url, 1.0)
        tenant = str(uuid.uuid4())
        try:
            spend(served, Labels(tenant=tenant), 4_000_000, 1)
            with served.client(tenant) as client:
                assert windows(client)["windows"][0]["current_spend_usd"] == 4.0
                redis.kill()
                answer = client.get("/api/v1/costs/current")
        finally:
            state.close()
            sharing.state_of.cache_clear()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["error"]["message"] == "the store of shared limits does not answer; try again"


@pytest.mark.parametrize("name", ["agent_id", "model", "user", "session"])
def test_names_are_nothing_but_names(served: Served, client: httpx.Client, name: str) -> None:
    limit(served)
    for value in ("*", "{x}", "a" * 512, "\u202e"):
        assert windows(client, **{name: value})["tenant_id"] == TENANT_A
    assert client.get("/api/v1/costs/current", params={name: "\0"}).status_code == 400
