"""Whose a key is: what the database says, remembered for seconds so that calls need not wait for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from llmtrace_relay.keys import key_hash
from llmtrace_relay.model import ApiKey
from llmtrace_relay.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_relay.model import Tenant
    from llmtrace_relay.store import Metadata

FRESH_S: Final = 5.0
OWNED_LIMIT: Final = 3_072
UNOWNED_LIMIT: Final = 1_024
"""Keys that nobody has are remembered apart, so that whoever tries many of them pushes out nobody's good key."""

ASKING_LIMIT: Final = 256
USED_EVERY_S: Final = 60.0


class _Known(NamedTuple):
    """What the database said, and when: in microseconds since the Unix epoch."""

    owner: ApiKey | Tenant | None
    at: int


class _Memory:
    __slots__ = ("asking", "owned", "unowned")

    def __init__(self) -> None:
        self.owned: dict[str, _Known] = {}
        self.unowned: dict[str, _Known] = {}
        self.asking: dict[str, asyncio.Future[_Known]] = {}

    def get(self, digest: str) -> _Known | None:
        return self.owned.get(digest) or self.unowned.get(digest)

    def put(self, digest: str, found: _Known) -> None:
        self.owned.pop(digest, None)
        self.unowned.pop(digest, None)
        kept, limit = (self.unowned, UNOWNED_LIMIT) if found.owner is None else (self.owned, OWNED_LIMIT)
        if len(kept) >= limit:
            del kept[next(iter(kept))]
        kept[digest] = found


class Owners:
    """Looks keys and tokens up, off the event loop. `of` belongs to one event loop; `forget` is for any thread.

    `now_us` gives microseconds since the Unix epoch. When a key was last used is written down once a minute.
    """

    def __init__(self, store: Metadata, now_us: Callable[[], int]) -> None:
        self._store = store
        self._now_us = now_us
        self._memory = _Memory()
        self._writing: set[asyncio.Future[None]] = set()

    async def of(self, key: str) -> ApiKey | Tenant | None:
        """The record of a key, expired or revoked or not, or the tenant whose token it is.

        Raises `StoreUnavailable`, also when too many keys that are not remembered are asked for at once.
        """
        digest, memory = key_hash(key), self._memory
        found = memory.get(digest)
        if found is not None and 0 <= self._now_us() - found.at < FRESH_S * 1e6:
            return found.owner
        task = memory.asking.get(digest)
        if task is None:
            if digest not in memory.owned and len(memory.asking) >= ASKING_LIMIT:
                raise StoreUnavailable("too many unknown keys at once")
            task = asyncio.ensure_future(self._ask(digest, memory))
            memory.asking[digest] = task
            task.add_done_callback(lambda done: _ended(memory, digest, done))
        # a caller that goes away must not take the answer from the others who wait for it
        return (await asyncio.shield(task)).owner

    def forget(self) -> None:
        """Ask the database anew from now on."""
        # who is asking at this moment writes the answer into the old memory
        self._memory = _Memory()

    async def close(self) -> None:
        """Wait for what is being written: the database may be closed then."""
        while self._writing:
            await asyncio.wait(self._writing)

    async def _ask(self, digest: str, memory: _Memory) -> _Known:
        now = self._now_us()
        owner = await asyncio.to_thread(self._stored, digest)
        found = _Known(owner, now)
        memory.put(digest, found)
        if isinstance(owner, ApiKey) and now - (owner.last_used_at or 0) >= USED_EVERY_S * 1e6:
            written = asyncio.get_running_loop().run_in_executor(None, self._used, owner.id, now)
            self._writing.add(written)
            written.add_done_callback(self._writing.discard)
        return found

    def _stored(self, digest: str) -> ApiKey | Tenant | None:
        return self._store.key_by_hash(digest) or self._store.tenant_by_token(digest)

    def _used(self, key_id: str, at: int) -> None:
        try:
            self._store.key_used(key_id, at)
        except StoreUnavailable:
            return  # the next look-up tries again


def _ended(memory: _Memory, digest: str, task: asyncio.Future[_Known]) -> None:
    memory.asking.pop(digest, None)
    if not task.cancelled():
        task.exception()  # whoever waited was told; if nobody did, that is no fault of ours
