"""A relay of its own with keys on, as people start it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from tests.relay.access.doors import ADMIN_KEY

if TYPE_CHECKING:
    from tests.relay.running import RunningRelay
    from tests.relay.upstreams import Upstream

VENDOR = "sk-proj-of-the-vendor"
ASK = {"model": "gpt-4", "messages": [{"role": "user", "content": "Hello"}]}


class Locked:
    """A relay with keys on, its upstream, and the keys of one tenant."""

    def __init__(self, relay: RunningRelay, upstream: Upstream) -> None:
        self.relay = relay
        self.upstream = upstream
        made = self.api("POST", "/tenants", {"name": "Acme"}).json()
        self.tenant = made["id"]
        self.keys = {role: self.key(role)["key"] for role in ("viewer", "operator")}

    def api(self, method: str, path: str, body: Any = None, key: str = ADMIN_KEY) -> httpx.Response:
        return httpx.request(
            method, f"{self.relay.url}/api/v1{path}", json=body, headers={"authorization": f"Bearer {key}"}, timeout=20
        )

    def key(self, role: str) -> dict[str, Any]:
        body = {"name": role, "role": role, "tenant_id": self.tenant}
        made: dict[str, Any] = self.api("POST", "/auth/keys", body).json()
        return made

    def token(self) -> str:
        """The tenant's token: another each time."""
        answer: dict[str, str] = self.api("POST", f"/tenants/{self.tenant}/token/reset").json()
        return answer["api_token"]

    def ask(self, **headers: str) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(f"{self.relay.url}/v1/chat/completions", json=ASK, headers=given, timeout=20)

    def sent(self) -> dict[str, str]:
        """The header fields that the upstream was sent last."""
        _, headers, _ = self.upstream.requests.pop()
        return {name.lower(): value for name, value in headers.items()}
