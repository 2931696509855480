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

    from llmtrace_sdk.core.claims import Claims, Offence, Settlement, Standing
    from llmtrace_sdk.core.limits import StateOptions
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


def of(options: StateOptions, on_fault: Callable[[str, BaseException], None]) -> Sharing:
    """The state that settings name, as calls meet it."""
    state = state_of(options.url, options.timeout_ms / 1000)
    return Sharing(state, local(), on_fault, closed=options.fail_mode == "closed")


def standings(options: StateOptions, on_fault: Callable[[str, BaseException], None]) -> Standings:
    """The state that settings name, as actions meet it."""
    return Standings(state_of(options.url, options.timeout_ms / 1000), local(), on_fault)


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
        except Exception as error:  # noqa: BLE001 - whatever a store does, the call meets an answer
            return self._without(claims, error)

    async def aadmit(self, claims: Claims) -> Admission:
        """The answer to a call's claims (async)."""
        try:
            return await self.state.aadmit(claims)
        except Exception as error:  # noqa: BLE001 - whatever a store does, the call meets an answer
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

    def _without(self, claims: Claims, error: Exception) -> Admission:
        self._on_fault("state", error)
        if self._closed:
            return Admission(granted=False, degraded=True, retry_after_s=1.0)
        try:
            return structs.replace(self._fallback.admit(claims), degraded=True)
        except Exception as fault:  # noqa: BLE001 - the last resort has none of its own
            self._on_fault("state", fault)
            return Admission(granted=True, degraded=True)


class Standings:
    """What actions need of a state: that of this process while the shared one cannot be asked, as for the limits.

    `on_fault` is told each time.
    """

    def __init__(self, state: State, local: State, on_fault: Callable[[str, BaseException], None]) -> None:
        self._state = state
        self._local = local
        self._on_fault = on_fault

    def offend(self, offence: Offence) -> Standing:
        """Count an offence, and block its source at the last that is allowed."""
        try:
            return self._state.offend(offence)
        except StateUnavailable as error:
            self._on_fault("state", error)
            return self._local.offend(offence)

    def block(self, key: str, ttl_s: float) -> None:
        """Put a block in force for so many seconds."""
        try:
            self._state.block(key, ttl_s)
        except StateUnavailable as error:
            self._on_fault("state", error)
            self._local.block(key, ttl_s)

    def blocked(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys whose blocks are in force."""
        try:
            return self._state.blocked(keys)
        except StateUnavailable as error:
            self._on_fault("state", error)
            return self._local.blocked(keys)
