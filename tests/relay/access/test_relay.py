"""The relay as people start it, with keys on: who gets through, and what the vendor never sees."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.relay.access.doors import ADMIN_KEY
from tests.relay.access.locked import VENDOR
from tests.relay.running import RunningRelay
from tests.relay.upstreams import SAID, Upstream

if TYPE_CHECKING:
    from pathlib import Path

    from tests.relay.access.locked import Locked


@pytest.mark.parametrize("carrier", ["x-llmtrace-token", "x-api-key", "api-key", "x-goog-api-key"])
def test_a_relay_key_beside_the_vendors_own_never_reaches_the_vendor(locked: Locked, carrier: str) -> None:
    """LLMTrace's proxy sent its own keys to the vendor, which answered 401."""
    for key in (locked.keys["operator"], locked.token()):
        answer = locked.ask(**{carrier: key, "authorization": f"Bearer {VENDOR}"})
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["message"]["content"] == SAID
        sent = locked.sent()
        assert sent["authorization"] == f"Bearer {VENDOR}"
        assert "llmt_" not in repr(sent)
        assert carrier not in sent


def test_a_relay_key_as_bearer_is_taken_out_and_the_vendors_key_stays(locked: Locked) -> None:
    answer = locked.ask(authorization=f"Bearer {locked.keys['operator']}", x_api_key="sk-ant-vendor")
    assert answer.status_code == 200
    sent = locked.sent()
    assert sent["x-api-key"] == "sk-ant-vendor"
    assert "authorization" not in sent


def test_the_admin_key_never_reaches_the_vendor_either(locked: Locked) -> None:
    assert locked.ask(authorization=f"Bearer {VENDOR}", x_api_key=ADMIN_KEY).status_code == 200
    assert ADMIN_KEY not in repr(locked.sent())


def test_without_a_good_key_nothing_is_sent_to_the_vendor(locked: Locked) -> None:
    """And a viewer cannot spend money."""
    before = len(locked.upstream.requests)
    for headers, status in [
        ({}, 401),
        ({"authorization": f"Bearer {VENDOR}"}, 401),
        ({"x_llmtrace_token": "llmt_" + "0" * 64, "authorization": f"Bearer {VENDOR}"}, 401),
        ({"x_llmtrace_token": locked.keys["viewer"], "authorization": f"Bearer {VENDOR}"}, 403),
    ]:
        answer = locked.ask(**headers)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]
    assert len(locked.upstream.requests) == before


def test_health_says_that_keys_are_asked_for_and_asks_for_none(locked: Locked) -> None:
    answer = httpx.get(f"{locked.relay.url}/health")
    assert (answer.status_code, answer.json()["auth"]) == (200, {"enabled": True})


def test_a_revoked_key_sends_nothing_more(locked: Locked) -> None:
    made = locked.key("operator")
    headers = {"x_llmtrace_token": made["key"], "authorization": f"Bearer {VENDOR}"}
    assert locked.ask(**headers).status_code == 200
    assert locked.api("DELETE", f"/auth/keys/{made['id']}").status_code == 204
    assert locked.ask(**headers).status_code == 401


def test_no_key_is_in_what_the_relay_has_written(locked: Locked) -> None:
    locked.ask(x_llmtrace_token="llmt_" + "1" * 64, authorization=f"Bearer {VENDOR}")
    locked.ask(x_llmtrace_token=locked.keys["operator"], authorization=f"Bearer {VENDOR}")
    token = locked.token()
    locked.ask(x_llmtrace_token=token, authorization=f"Bearer {VENDOR}")
    kept = b"".join(path.read_bytes() for path in locked.relay.folder.rglob("*") if path.is_file())
    for secret in (ADMIN_KEY, VENDOR, token, *locked.keys.values(), "llmt_" + "1" * 64):
        assert secret.encode() not in kept


def test_with_keys_off_a_call_adds_the_tenant_that_it_names(tmp_path: Path) -> None:
    with Upstream() as upstream, RunningRelay(tmp_path / "relay", upstream_url=upstream.url) as relay:
        ask = {"model": "gpt-4", "messages": [{"role": "user", "content": "Hello"}]}
        for _ in range(2):
            headers = {"authorization": "Bearer sk-storage-test"}
            assert httpx.post(f"{relay.url}/v1/chat/completions", json=ask, headers=headers).status_code == 200
        assert httpx.get(f"{relay.url}/health").json()["auth"] == {"enabled": False}
        events = relay.until(lambda: httpx.get(f"{relay.url}/api/v1/audit").json()["data"])
        tenants = httpx.get(f"{relay.url}/api/v1/tenants").json()["data"]
    assert [tenant["id"] for tenant in tenants] == ["b9273ad7-78eb-507a-a80b-c8527ee2c28a"]
    assert [event["event_type"] for event in events] == ["tenant_auto_created"]
    assert "sk-storage" not in repr((tenants, events))


def test_the_relay_does_not_listen_beyond_this_machine_without_keys(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "llmtrace_relay", "--host", "0.0.0.0", "--port", "0"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "auth.enabled" in ended.stderr
    assert "auth.allow_remote_without_auth" in ended.stderr
    assert not list(tmp_path.iterdir()), "nothing was begun"
