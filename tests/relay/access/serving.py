"""The API over real HTTP behind real keys, with a real store: whoever has no good key gets no further than the door."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from llmtrace_relay.api import build
from llmtrace_relay.api._context import SCOPE_KEY, Context
from llmtrace_relay.auth import Authenticator, Denied
from llmtrace_relay.features import apply
from llmtrace_relay.headers import Headers
from llmtrace_relay.keys import key_hash, key_prefix, new_key
from llmtrace_relay.model import ApiKey, Tenant
from llmtrace_sdk.config import Settings
from llmtrace_sdk.config.relay import AuthOptions
from tests.relay.access.doors import ADMIN_KEY, NOW, OTHER, TENANT, Clock
from tests.relay.listening import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_relay.store import Store


class Policies:
    """The settings with the flags of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.base = Settings()
        self.settings = self.base
        self.changes = 0

    def changed(self) -> None:
        self.changes += 1
        self.settings = apply(self.base, self._store.flags())


class Failing:
    """A store of which the operations named in `faults` raise what stands there."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.faults: dict[str, Exception] = {}

    def __getattr__(self, name: str) -> Any:
        if name in self.faults:
            raise self.faults[name]
        return getattr(self._store, name)


class Served:
    """A running API. Each test begins anew: two tenants, and keys of every role in both."""

    def __init__(self) -> None:
        self.url = ""
        self.app: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client = httpx.Client(timeout=20, trust_env=False, verify=False)

    def begin(self, store: Store, *, enabled: bool = True) -> None:
        self.clock = Clock()
        self.store: Any = Failing(store)
        self.policies = Policies(store)
        options = AuthOptions(enabled=enabled, admin_key=ADMIN_KEY)
        self.authenticator = Authenticator(options, self.store, self.clock)
        self.context = Context(
            store=self.store,
            policies=self.policies,
            now_us=self.clock,
            flush=lambda _: True,
            forget_keys=self.authenticator.forget,
        )
        if self.app is None:
            self.app = build(self.context)
        self.app.state.context = self.context  # to build one takes longer than most tests
        self.keys = {name: self.key_for(tenant, role) for name, tenant, role in CALLERS} | {"operator": ADMIN_KEY}

    def end(self) -> None:
        """Write what is left to write, the denied attempts among it."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self.authenticator.close(), self._loop).result(20)

    def close(self) -> None:
        self._client.close()

    def key_for(self, tenant: str, role: Any) -> str:
        if self.store.tenant(tenant) is None:
            self.store.put_tenant(Tenant(id=tenant, name=f"tenant {tenant[:1]}", created_at=NOW))
        key = new_key()
        name = f"key-{key[5:12]}"
        prefix = key_prefix(key)
        made = ApiKey(id=name, tenant_id=tenant, name=name, key_prefix=prefix, role=role, created_at=NOW)
        self.store.add_key(made, key_hash(key))
        return key

    def call(self, key: str | None, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Somebody with a key, that of a name in `CALLERS` or the key itself, asks something; bytes go as they are."""
        if key is not None:
            headers = {"authorization": f"Bearer {self.keys.get(key, key)}", **headers}
        given = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self._client.request(method, f"{self.url}/api/v1{path}", headers=headers, **given)

    async def dispatch(self, scope: Any, receive: Any, send: Any) -> None:
        """What the relay does with a request to its API."""
        self._loop = asyncio.get_running_loop()
        try:
            scope[SCOPE_KEY] = await self.authenticator.identify(Headers(scope["headers"]))
        except Denied as denied:
            body = json.dumps({"error": {"message": denied.message, "type": "auth_error"}}).encode()
            await send({"type": "http.response.start", "status": denied.status, "headers": []})
            await send({"type": "http.response.body", "body": body})
            return
        await self.app(scope, receive, send)


CALLERS = [
    ("admin", TENANT, "admin"),
    ("user", TENANT, "operator"),
    ("viewer", TENANT, "viewer"),
    ("other-admin", OTHER, "admin"),
]


@contextmanager
def serving() -> Iterator[Served]:
    served = Served()
    try:
        with listening(served.dispatch) as served.url:
            yield served
    finally:
        served.close()
