"""What each key of `rate_limiting`, `cost_caps` and `state` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import llmtrace_sdk as llmtrace

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench, Seen

ONE = {"enabled": True, "requests_per_second": 0.001, "burst_size": 1}
TINY = 0.0000001


def under(bench: Bench, calls: int = 1, *, tenant: str = "t", **settings: Any) -> list[Seen]:
    """Some calls of a tenant of this test's own, one after the other."""
    llmtrace.configure(**settings)
    own = f"{tenant}-{bench.folder}"
    with llmtrace.context(tenant=own, agent="planner", user="u", session="s"):
        return [bench.again("When does the ferry leave?") for _ in range(calls)]


def codes(seen: list[Seen]) -> list[int]:
    return [each.status for each in seen]


def rate_enabled(bench: Bench) -> None:
    assert codes(under(bench, 2, rate_limiting={**ONE, "enabled": False})) == [200, 200]
    seen = under(bench, 2, rate_limiting=ONE)
    assert codes(seen) == [200, 429]
    assert seen[1].decision.reason == "rate_limit_exceeded"


def rate(bench: Bench) -> None:
    assert codes(under(bench, 3, rate_limiting={**ONE, "requests_per_second": 0})) == [200, 200, 200]
    assert codes(under(bench, 3, tenant="slow", rate_limiting=ONE)) == [200, 429, 429]


def burst(bench: Bench) -> None:
    assert codes(under(bench, 3, rate_limiting={**ONE, "burst_size": 2})) == [200, 200, 429]


def overridden(bench: Bench) -> None:
    own = {f"vip-{bench.folder}": {"requests_per_second": 0.001, "burst_size": 2}}
    settings = {**ONE, "tenant_overrides": own}
    assert codes(under(bench, 3, tenant="vip", rate_limiting=settings)) == [200, 200, 429]
    assert codes(under(bench, 2, tenant="other", rate_limiting=settings)) == [200, 429]


def concurrent(bench: Bench) -> None:
    """One call after the other never exceeds it; a slot is given back when a call is over."""
    assert codes(under(bench, 3, rate_limiting={"enabled": True, "max_concurrent": 1})) == [200, 200, 200]
    own = f"many-{bench.folder}"
    llmtrace.configure(rate_limiting={"enabled": True, "max_concurrent": 1, "max_call_s": 600})
    with llmtrace.context(tenant=own), bench.unfinished():
        assert bench.again().decision.reason == "concurrency_limit_exceeded"


def lease(bench: Bench) -> None:
    """A call whose end is never told is not counted for ever."""
    own = f"lost-{bench.folder}"
    llmtrace.configure(rate_limiting={"enabled": True, "max_concurrent": 1, "max_call_s": 0.05})
    with llmtrace.context(tenant=own), bench.unfinished():
        bench.wait(0.2)
        assert bench.again().status == 200


def caps(**cap: Any) -> dict[str, Any]:
    return {"enabled": True, "default_budget_caps": [{"window": "monthly", **cap}]}


def caps_enabled(bench: Bench) -> None:
    assert under(bench, cost_caps={**caps(hard_limit_usd=TINY), "enabled": False})[0].status == 200
    seen = under(bench, cost_caps=caps(hard_limit_usd=TINY))[0]
    assert (seen.status, seen.decision.reason) == (429, "cost_cap_exceeded")


def window(bench: Bench) -> None:
    for name in ("hourly", "daily", "weekly", "monthly"):
        settings = {"enabled": True, "default_budget_caps": [{"window": name, "hard_limit_usd": TINY}]}
        assert under(bench, tenant=name, cost_caps=settings)[0].status == 429


def soft_usd(bench: Bench) -> None:
    seen = under(bench, cost_caps=caps(hard_limit_usd=100, soft_limit_usd=0.000001))[0]
    assert seen.status == 200
    assert [warning.window for warning in seen.record.warnings] == ["monthly"]


def hard_tokens(bench: Bench) -> None:
    assert under(bench, cost_caps=caps(hard_limit_tokens=1))[0].status == 429
    assert under(bench, tenant="rich", cost_caps=caps(hard_limit_tokens=1_000_000))[0].status == 200


def soft_tokens(bench: Bench) -> None:
    seen = under(bench, cost_caps=caps(hard_limit_tokens=1_000_000, soft_limit_tokens=1))[0]
    assert seen.record.warnings


def token_cap(bench: Bench) -> None:
    for cap in ("max_prompt_tokens", "max_total_tokens"):
        settings: dict[str, Any] = {"enabled": True, "default_token_cap": {cap: 1}}
        assert under(bench, cost_caps=settings)[0].decision.reason == "cost_cap_exceeded"
    settings = {"enabled": True, "default_token_cap": {"max_completion_tokens": 10}}
    llmtrace.configure(cost_caps=settings)
    assert bench.again(max_tokens=11).status == 429
    assert bench.again(max_tokens=10).status == 200


def scoped(**scope: str) -> Callable[[Bench], None]:
    def effect(bench: Bench) -> None:
        caps = [{"window": "monthly", "hard_limit_tokens": 1}]
        held = {"enabled": True, "agents": [{**scope, "budget_caps": caps}]}
        free = {"enabled": True, "agents": [{**dict.fromkeys(scope, "nobody-*"), "budget_caps": caps}]}
        assert under(bench, cost_caps=held)[0].status == 429
        assert under(bench, cost_caps=free)[0].status == 200

    return effect


def scoped_tokens(bench: Bench) -> None:
    agents = [{"agent_id": "plan*", "token_cap": {"max_prompt_tokens": 1}}]
    assert under(bench, cost_caps={"enabled": True, "agents": agents})[0].status == 429


def default_completion(bench: Bench) -> None:
    for reserved, status in ((10, 200), (100_000, 429)):
        settings = {**caps(hard_limit_tokens=50_000), "default_completion_tokens": reserved}
        assert under(bench, tenant=str(reserved), cost_caps=settings)[0].status == status


def state_url(bench: Bench) -> None:
    """A store that cannot be reached: the limits hold for this process, and the decision says so."""
    seen = under(bench, 2, rate_limiting=ONE, state={"url": "redis://127.0.0.1:1/0"})
    assert codes(seen) == [200, 429]
    assert all(each.decision.degraded for each in seen)


def state_fail_mode(bench: Bench) -> None:
    settings = {"url": "redis://127.0.0.1:1/0", "fail_mode": "closed"}
    seen = under(bench, rate_limiting={**ONE, "burst_size": 100}, state=settings)[0]
    assert (seen.status, seen.decision.reason) == (429, "state_unavailable")


def state_timeout(bench: Bench) -> None:
    """A store that never answers costs a call so much and no more."""
    with bench.silent_server() as port:
        for given, least, most in ((50, 0.04, 0.6), (700, 0.6, 3.0)):
            took = bench.timed(
                lambda given=given: under(
                    bench, rate_limiting=ONE, state={"url": f"redis://127.0.0.1:{port}/0", "timeout_ms": given}
                )
            )
            assert least < took < most


def state_secret(bench: Bench) -> None:
    """Names in keys are others with another secret: what was counted under the first is not found."""
    seen = []
    for secret in ("one", "two", "one"):
        bench.monkeypatch.setenv("SECRET_OF_THE_STATE", secret)
        state = {"secret_env": "SECRET_OF_THE_STATE"}
        seen.append(under(bench, rate_limiting=ONE, state=state)[0].status)
    assert seen == [200, 200, 429]


EFFECTS: dict[str, Callable[[Bench], None]] = {
    "rate_limiting.enabled": rate_enabled,
    "rate_limiting.requests_per_second": rate,
    "rate_limiting.burst_size": burst,
    "rate_limiting.tenant_overrides": overridden,
    "rate_limiting.tenant_overrides[].requests_per_second": overridden,
    "rate_limiting.tenant_overrides[].burst_size": overridden,
    "rate_limiting.max_concurrent": concurrent,
    "rate_limiting.max_call_s": lease,
    "cost_caps.enabled": caps_enabled,
    "cost_caps.default_budget_caps": caps_enabled,
    "cost_caps.default_budget_caps[].window": window,
    "cost_caps.default_budget_caps[].hard_limit_usd": caps_enabled,
    "cost_caps.default_budget_caps[].soft_limit_usd": soft_usd,
    "cost_caps.default_budget_caps[].hard_limit_tokens": hard_tokens,
    "cost_caps.default_budget_caps[].soft_limit_tokens": soft_tokens,
    "cost_caps.default_token_cap": token_cap,
    "cost_caps.agents": scoped(agent_id="planner"),
    "cost_caps.agents[].agent_id": scoped(agent_id="plan*"),
    "cost_caps.agents[].model": scoped(model="gpt-4o"),
    "cost_caps.agents[].user": scoped(user="u"),
    "cost_caps.agents[].session": scoped(session="s"),
    "cost_caps.agents[].budget_caps": scoped(agent_id="planner"),
    "cost_caps.agents[].token_cap": scoped_tokens,
    "cost_caps.default_completion_tokens": default_completion,
    "state.url": state_url,
    "state.timeout_ms": state_timeout,
    "state.fail_mode": state_fail_mode,
    "state.secret_env": state_secret,
}
