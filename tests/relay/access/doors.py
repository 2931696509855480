"""Keys in memory, with a count of what was asked, and a clock that goes as the test says."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from llmtrace_relay.auth import Authenticator, Denied
from llmtrace_relay.keys import key_hash
from llmtrace_relay.model import ApiKey, Tenant
from llmtrace_relay.store import StoreUnavailable
from llmtrace_sdk.config.relay import AuthOptions

if TYPE_CHECKING:
    from llmtrace_relay.model import AuditEvent
    from llmtrace_relay.store import Identity

NOW = 1_767_225_600_000_000
SECOND = 1_000_000
TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER = "bbbbbbbb-0000-4000-8000-000000000002"
ADMIN_KEY = "a-very-long-admin-key-0123456789"


def key_of(number: int) -> str:
    return f"llmt_{number:064x}"


def record(number: int, role: Any = "operator", tenant: str | None = TENANT, **values: Any) -> ApiKey:
    prefix = key_of(number)[:12]
    return ApiKey(id=f"key-{number}", tenant_id=tenant, name="", key_prefix=prefix, role=role, created_at=NOW, **values)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


class Keys:
    """What `Authenticator` asks of a store. `gone`: the database does not answer. `gate`: look-ups wait for it."""

    def __init__(self, *records: tuple[int, ApiKey]) -> None:
        self.by_hash = {key_hash(key_of(number)): key for number, key in records}
        self.tokens: dict[str, Tenant] = {}
        self.events: list[AuditEvent] = []
        self.used: list[tuple[str, int]] = []
        self.lookups = 0
        self.threads: set[int] = set()
        self.gone = False
        self.gate = threading.Event()
        self.gate.set()

    def key_by_hash(self, digest: str) -> ApiKey | None:
        self.lookups += 1
        self.threads.add(threading.get_ident())
        found = self.by_hash.get(digest)
        assert self.gate.wait(10)
        self._check()
        return found

    def tenant_by_token(self, digest: str) -> Tenant | None:
        self._check()
        return self.tokens.get(digest)

    def key_used(self, key_id: str, at: int) -> None:
        self._check()
        self.used.append((key_id, at))

    def audit(self, event: AuditEvent) -> None:
        self._check()
        self.events.append(event)

    def _check(self) -> None:
        if self.gone:
            raise StoreUnavailable("gone")


def authenticator(store: Any, clock: Clock | None = None, *, enabled: bool = True, **options: Any) -> Authenticator:
    return Authenticator(AuthOptions(enabled=enabled, **{"admin_key": ADMIN_KEY, **options}), store, clock or Clock())


def identify(store: Any, headers: dict[str, str], **options: Any) -> Identity | Denied:
    """Who that is, or why nobody."""

    async def ask() -> Identity | Denied:
        door = authenticator(store, **options)
        try:
            return await door.identify(headers)
        except Denied as denied:
            return denied
        finally:
            await door.close()

    return asyncio.run(ask())
