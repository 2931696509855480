"""The API over real HTTP: uvicorn on a free port, with whoever the test says as the caller."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from llmtrace_relay.api import build
from llmtrace_relay.api._context import MOMENT_S, SCOPE_KEY, Context
from llmtrace_relay.api._lookup import FLUSH_S
from llmtrace_relay.store import Identity
from llmtrace_sdk.config import Settings
from tests.relay.listening import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmtrace_relay.model import Span
    from llmtrace_relay.store import Store

NOW_US = 1_767_225_600_000_000  # 2026-01-01
TENANT_A = "aaaaaaaa-0000-4000-8000-000000000001"
TENANT_B = "bbbbbbbb-0000-4000-8000-000000000002"
CALLER = b"x-test-caller"


class Policies:
    def __init__(self) -> None:
        self.settings = Settings()
        self.changes = 0

    def changed(self) -> None:
        self.changes += 1


class Failing:
    """A store of which every operation raises `fault`, when there is one; `instead` has other operations by name."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.heal()

    def heal(self) -> None:
        self.fault: Exception | None = None
        self.instead: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if self.fault is not None:
            raise self.fault
        return self.instead.get(name) or getattr(self._store, name)


class Served:
    """A running API. `pending` are spans that only a flush writes."""

    def __init__(self, store: Store) -> None:
        self.policies = Policies()
        self.store = Failing(store)
        self.pending: list[Span] = []
        self.flushes = 0
        self.now_us = NOW_US
        self.context = Context(store=self.store, policies=self.policies, now_us=lambda: self.now_us, flush=self._flush)
        self.app = build(self.context)
        self.url = ""

    def _flush(self, timeout_s: float) -> bool:
        assert timeout_s in (MOMENT_S, FLUSH_S)
        self.flushes += 1
        if self.pending:
            self.store.put(self.pending)
            self.pending = []
        return True

    def client(self, tenant: str | None = TENANT_A, role: str = "admin", actor: str = "key:test") -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=headers_of(tenant, role, actor), timeout=20, trust_env=False)


def headers_of(tenant: str | None, role: str, actor: str = "key:test") -> dict[str, str]:
    return {CALLER.decode(): json.dumps({"tenant_id": tenant, "role": role, "actor": actor})}


def as_dispatched(app: Any) -> Callable[..., Any]:
    """What the relay's dispatcher does: it puts the caller into the scope."""

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        scope[SCOPE_KEY] = Identity(**json.loads(headers[CALLER]))
        await app(scope, receive, send)

    return dispatch


@contextmanager
def serving(store: Store) -> Iterator[Served]:
    served = Served(store)
    with listening(as_dispatched(served.app)) as served.url:
        yield served
