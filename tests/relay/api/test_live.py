from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from llmtrace_sdk import config
from llmtrace_sdk.config import Settings
from tests.relay.api.serving import TENANT_A, TENANT_B

if TYPE_CHECKING:
    import httpx

    from tests.relay.api.serving import Served

SECRETS = ("hunter2", "T0/B0/xyzzy", "admin-key-of-the-relay", "routing-secret", "sk-abcdefghijklmnopqrstuvwxyz")
GIVEN: dict[str, Any] = {
    "upstream_url": "https://models.example.com/v1",
    "auth": {"enabled": True, "admin_key": SECRETS[2]},
    "storage": {"profile": "production", "postgres_url": "postgresql://me:hunter2@db.example.com/llmtrace"},
    "state": {"url": "redis://:hunter2@redis.example.com:6379/0"},
    "alerts": {
        "enabled": True,
        "webhook_url": "https://hooks.slack.com/services/T0/B0/xyzzy",
        "channels": [
            {"type": "slack", "url": "https://hooks.slack.com/services/T0/B0/xyzzy"},
            {"type": "pagerduty", "routing_key": SECRETS[3]},
        ],
    },
    "rate_limiting": {
        "tenant_overrides": {
            TENANT_A: {"requests_per_second": 7, "burst_size": 9},
            TENANT_B: {"requests_per_second": 3, "burst_size": 4},
        }
    },
    "upstreams": [
        {
            "name": "other",
            "url": "https://other.example.com",
            "path": "/other",
            "tenant_key_envs": {TENANT_A: "KEY_OF_A", TENANT_B: "KEY_OF_B"},
        }
    ],
    "enforcement": {
        "overrides": [
            {"match": {"tenant": TENANT_B}, "mode": "block"},
            {"match": {"tenant": "aaaa*"}, "mode": "flag"},
            {"match": {"model": "gpt-*"}, "mode": "block"},
        ]
    },
}


def told(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/api/v1/config/live")
    assert answer.status_code == 200, answer.text
    for secret in SECRETS:
        assert secret not in answer.text
    return dict(answer.json())


def test_the_settings_in_force_without_secrets(served: Served, operator: httpx.Client) -> None:
    settings = config.load(GIVEN)
    served.policies.settings = settings
    body = told(operator)
    assert body["policy"] == settings.policy_hash
    live = body["config"]
    assert set(live) == {field.name for field in fields(Settings)}
    assert live["upstream_url"] == "https://models.example.com/v1"
    assert live["auth"] == {"enabled": True, "admin_key": "***", "allow_remote_without_auth": False}
    assert live["storage"]["postgres_url"] == "postgresql://db.example.com/***"
    assert live["state"]["url"] == "redis://redis.example.com:6379/***"
    assert live["alerts"]["webhook_url"] == "https://hooks.slack.com/***"
    assert live["alerts"]["channels"][0]["url"] == "https://hooks.slack.com/***"
    assert live["alerts"]["channels"][1]["routing_key"] == "***"
    assert set(live["rate_limiting"]["tenant_overrides"]) == {TENANT_A, TENANT_B}


def test_changes_at_run_time_are_told(served: Served, operator: httpx.Client) -> None:
    assert told(operator)["config"]["enforcement"]["mode"] == "log"
    settings = served.policies.settings
    served.policies.settings = replace(settings, enforcement=replace(settings.enforcement, mode="block"))
    assert told(operator)["config"]["enforcement"]["mode"] == "block"


def test_of_other_tenants_nothing_is_told(served: Served) -> None:
    served.policies.settings = config.load(GIVEN)
    with served.client(TENANT_A, "operator") as client:
        live = told(client)["config"]
        assert TENANT_B not in client.get("/api/v1/config/live").text
        assert "KEY_OF_B" not in client.get("/api/v1/config/live").text
    assert live["rate_limiting"]["tenant_overrides"] == {TENANT_A: {"requests_per_second": 7.0, "burst_size": 9}}
    assert live["upstreams"][0]["tenant_key_envs"] == {TENANT_A: "KEY_OF_A"}
    assert [override["mode"] for override in live["enforcement"]["overrides"]] == ["flag", "block"]
    assert live["auth"]["enabled"] is True
