"""What can be set about rates, concurrent calls and budgets (spec of the Rust project, rate_limiting and cost_caps).

Budgets add up over fixed windows that begin at multiples of their length since the Unix epoch. Those of a tenant hold
for all of its calls, whatever agent, model, user or session they name; the others hold beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WindowName = Literal["hourly", "daily", "weekly", "monthly"]
WINDOWS: Final[dict[WindowName, int]] = {"hourly": 3600, "daily": 86_400, "weekly": 604_800, "monthly": 2_592_000}
"""Seconds of each window; a month has 30 days."""

STATE_SECRET_VARIABLE: Final = "LLMTRACE_STATE_SECRET"  # noqa: S105 - the name of a variable
_KINDS: Final = ("hard", "soft")
_SCHEMES: Final = ("redis://", "rediss://", "redis-cluster://", "rediss-cluster://")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateOptions:
    """Where the limits, blocks and budgets are kept: in this process, or shared in Redis or Valkey.

    `url` is `redis://`, `rediss://` or `redis-cluster://`; with it the backend is Redis. `timeout_ms` is how long a
    call waits for an answer. `fail_mode`: without an answer calls are under limits of this process alone (`open`), or
    refused (`closed`). `secret_env` names the environment variable with the secret that names and addresses in keys are
    hashed with, the same in all processes that share the state; without one they are only out of sight.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    url: str | None = None
    timeout_ms: int = 100
    fail_mode: Literal["open", "closed"] = "open"
    secret_env: str = STATE_SECRET_VARIABLE

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        found = []
        if self.url is not None and not self.url.startswith(_SCHEMES):
            found.append(f"state.url: must begin with one of {', '.join(_SCHEMES)}")
        if not 1 <= self.timeout_ms <= 60_000:
            found.append(f"state.timeout_ms: {self.timeout_ms} is not between 1 and 60000")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRate:
    """The rate of one tenant."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    requests_per_second: float
    burst_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RateOptions:
    """How many calls there may be. `enabled` not given: yes in the relay, no in a process of its own.

    `requests_per_second` 0 is no limit. `tenant_overrides` has other values by tenant; `max_concurrent` is how many
    calls of a tenant may be under way at once, and `max_call_s` how long one is counted if its end is never told.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enabled: bool | None = None
    requests_per_second: float = 100
    burst_size: int = 200
    tenant_overrides: dict[str, TenantRate] = field(default_factory=dict)
    max_concurrent: int | None = None
    max_call_s: float = 600

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        found = list(_rate_problems("rate_limiting", self))
        for tenant, rate in self.tenant_overrides.items():
            found += _rate_problems(f"rate_limiting.tenant_overrides.{tenant}", rate)
        if self.max_concurrent is not None and self.max_concurrent < 1:
            found.append(f"rate_limiting.max_concurrent: {self.max_concurrent} lets no call through; give at least 1")
        if not self.max_call_s > 0:
            found.append(f"rate_limiting.max_call_s: {self.max_call_s} is no time; give seconds over 0")
        return found

    def of(self, tenant: str | None) -> tuple[float, int]:
        """Calls per second and burst of a tenant."""
        rate = self.tenant_overrides.get(tenant or "")
        return (rate.requests_per_second, rate.burst_size) if rate else (self.requests_per_second, self.burst_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetCap:
    """What may be spent in one window: over the hard limit calls are refused, over the soft one there are warnings."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    window: WindowName
    hard_limit_usd: float | None = None
    soft_limit_usd: float | None = None
    hard_limit_tokens: int | None = None
    soft_limit_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCap:
    """How many tokens one call may ask for. The prompt is estimated where that has to be told before the call."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_total_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopedCaps:
    """The caps of what one pattern matches (shell-style, `*` is anything). Each name has sums of its own."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    agent_id: str | None = None
    model: str | None = None
    user: str | None = None
    session: str | None = None
    budget_caps: tuple[BudgetCap, ...] = ()
    token_cap: TokenCap | None = None

    def scope(self) -> tuple[str, str] | None:
        """What it is about and the pattern; None unless it is about exactly one thing."""
        given = [
            (name, pattern)
            for name, pattern in (
                ("agent", self.agent_id),
                ("model", self.model),
                ("user", self.user),
                ("session", self.session),
            )
            if pattern is not None
        ]
        return given[0] if len(given) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostCapOptions:
    """Budgets. `default_budget_caps` are those of each tenant; `agents` (and models, users, sessions) come beside them.

    `default_completion_tokens` is what is reserved for an answer whose length the request does not bound.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enabled: bool = False
    default_budget_caps: tuple[BudgetCap, ...] = ()
    default_token_cap: TokenCap | None = None
    agents: tuple[ScopedCaps, ...] = ()
    default_completion_tokens: int = 1024

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        found = list(_cap_problems("cost_caps.default_budget_caps", self.default_budget_caps))
        found += _token_problems("cost_caps.default_token_cap", self.default_token_cap)
        for number, scoped in enumerate(self.agents):
            place = f"cost_caps.agents[{number}]"
            if scoped.scope() is None:
                found.append(f"{place}: give exactly one of agent_id, model, user, session")
            found += _cap_problems(f"{place}.budget_caps", scoped.budget_caps)
            found += _token_problems(f"{place}.token_cap", scoped.token_cap)
        if self.default_completion_tokens < 0:
            found.append(
                f"cost_caps.default_completion_tokens: {self.default_completion_tokens} is negative; give 0 or more"
            )
        return found


def _rate_problems(place: str, rate: RateOptions | TenantRate) -> Iterator[str]:
    if not 0 <= rate.requests_per_second <= 1e9:
        yield f"{place}.requests_per_second: {rate.requests_per_second} is not between 0 and 1000000000"
    if rate.requests_per_second and not 1 <= rate.burst_size <= 10**9:
        yield f"{place}.burst_size: {rate.burst_size} is not between 1 and 1000000000"


def _cap_problems(place: str, caps: tuple[BudgetCap, ...]) -> Iterator[str]:
    for unit in ("usd", "tokens"):
        limiting = [
            cap.window for cap in caps if any(getattr(cap, f"{kind}_limit_{unit}") is not None for kind in _KINDS)
        ]
        for window in dict.fromkeys(name for name in limiting if limiting.count(name) > 1):
            yield f"{place}: two caps in {unit} for the {window} window would add up each call twice; give one"
    for number, cap in enumerate(caps):
        at = f"{place}[{number}]"
        limits: Mapping[str, float | None] = {
            "hard_limit_usd": cap.hard_limit_usd,
            "soft_limit_usd": cap.soft_limit_usd,
            "hard_limit_tokens": cap.hard_limit_tokens,
            "soft_limit_tokens": cap.soft_limit_tokens,
        }
        if all(limit is None for limit in limits.values()):
            yield f"{at}: limits nothing; give one of {', '.join(limits)}"
        for name, limit in limits.items():
            if limit is not None and not 0 <= limit <= 1e12:
                yield f"{at}.{name}: {limit} is not between 0 and 1000000000000"
        for unit in ("usd", "tokens"):
            soft, hard = limits[f"soft_limit_{unit}"], limits[f"hard_limit_{unit}"]
            if soft is not None and hard is not None and soft > hard:
                yield f"{at}.soft_limit_{unit}: {soft} is over the hard limit {hard}; give less"


def _token_problems(place: str, cap: TokenCap | None) -> Iterator[str]:
    for name in ("max_prompt_tokens", "max_completion_tokens", "max_total_tokens") if cap is not None else ():
        value = getattr(cap, name)
        if value is not None and value < 0:
            yield f"{place}.{name}: {value} is negative; give 0 or more"
