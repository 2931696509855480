"""The state that calls share, as they meet it: never raising, and doing something sensible when it cannot be asked."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import structs

from llmtrace_sdk.core.claims import Admission
from llmtrace_sdk.errors import StateUnavailable
from llmtrace_sdk.state.memory import MemoryState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmtrace_sdk.core.claims import Claims, Settlement
    from llmtrace_sdk.typing import State


@lru_cache(maxsize=1)
def local() -> State:
    """The state of this process; settings come and go, what was counted stays."""
    return MemoryState()


@lru_cache(maxsize=8)
def state_of(url: str | None, timeout_s: float) -> State:
    """The state that settings name. Raises `ConfigError` where the package for it is missing."""
    if url is None:
        return local()
    from llmtrace_sdk.state.redis import RedisState

    return RedisState(url, timeout_s=timeout_s)


class Sharing:
    """A state, and what happens without it.

    Where it cannot be asked, calls are refused (`closed`), or the limits hold for this process alone (`fallback`) until
    it is back. `on_fault` is told each time.
    """

    def __init__(
        self, state: State, fallback: State, on_fault: Callable[[str, BaseException], None], *, closed: bool
    ) -> None:
        self.state = state
        self._fallback = fallback
        self._on_fault = on_fault
        self._closed = closed

    def admit(self, claims: Claims) -> Admission:
        """The answer to a call's claims (sync)."""
        try:
            return self.state.admit(claims)
        except StateUnavailable as error:
            return self._without(claims, error)

    async def aadmit(self, claims: Claims) -> Admission:
        """The answer to a call's claims (async)."""
        try:
            return await self.state.aadmit(claims)
        except StateUnavailable as error:
            return self._without(claims, error)

    def settle(self, settlements: Sequence[Settlement], *, alone: bool) -> None:
        """What calls really took. `alone`: they were admitted by this process alone."""
        if alone:
            self._fallback.settle(settlements)
        try:
            # what was spent while the store was away counts there, too, as soon as it is back
            self.state.settle(settlements)
        except StateUnavailable as error:
            self._on_fault("state", error)

    def _without(self, claims: Claims, error: StateUnavailable) -> Admission:
        self._on_fault("state", error)
        if self._closed:
            return Admission(granted=False, degraded=True, retry_after_s=1.0)
        return structs.replace(self._fallback.admit(claims), degraded=True)
