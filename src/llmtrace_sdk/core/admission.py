"""Which limits a call is under, and what their answer means for it. Pure: the state itself is asked by the drivers."""

from __future__ import annotations

from math import ceil, inf
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from llmtrace_sdk.core import wildcards
from llmtrace_sdk.core.claims import Budget, Claims, Rate, Slots
from llmtrace_sdk.core.fingerprint import UNKEYED
from llmtrace_sdk.core.limits import WINDOWS
from llmtrace_sdk.core.model import BudgetWarning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from llmtrace_sdk.core.claims import Admission, Claim
    from llmtrace_sdk.core.fingerprint import Names
    from llmtrace_sdk.core.limits import BudgetCap, CostCapOptions, RateOptions, TokenCap
    from llmtrace_sdk.core.model import Labels

Unit = Literal["calls", "usd", "tokens"]
Refused = Literal[
    "rate_limit_exceeded", "concurrency_limit_exceeded", "cost_cap_exceeded", "blocked_source", "state_unavailable"
]
NO_TENANT: Final = "default"
MICRO: Final = 1_000_000
NEARLY: Final = 0.8
"""The share of a hard limit from which a budget without a soft one is warned of."""


class Load(NamedTuple):
    """What a call is expected to take before it is made. `usd` is in millionths; None where its price is not known."""

    input_tokens: int
    output_tokens: int
    usd: int | None


class Meaning(NamedTuple):
    """What a claim is about: `limit` and `soft` in its unit (dollars in millionths), `scope` such as `tenant`."""

    unit: Unit
    kind: Literal["rate", "concurrency", "budget"]
    scope: str
    window: str = ""
    limit: float | None = None
    soft: float | None = None


class Ask(NamedTuple):
    """The claims of a call, and what each of them means."""

    claims: Claims
    meanings: tuple[Meaning, ...]


class Limited(NamedTuple):
    """Why a call is not let through. `code` is the `type` of the error body, and the decision's reason."""

    code: Refused
    message: str
    retry_after_s: int
    limit: float | None = None


def claims_of(
    rates: RateOptions,
    caps: CostCapOptions,
    labels: Labels,
    model: str | None,
    load: Load,
    call: str,
    now_s: float,
    *,
    rated: bool,
    blocks: tuple[str, ...] = (),
    names: Names = UNKEYED,
) -> Ask:
    """All claims of a call: first the rate and the slots, then the budgets, those of the tenant before the others."""
    tag = names.tag(labels.tenant or NO_TENANT)
    found: list[tuple[Claim, Meaning]] = []
    if rated:
        found += _rates(rates, labels, tag)
    if caps.enabled:
        found += _tightest(_budgets(caps, labels, model, load, tag, now_s, names))
    claims, meanings = zip(*found, strict=True) if found else ((), ())
    return Ask(Claims(call, blocks, tuple(claims), rates.max_call_s), tuple(meanings))


def over_token_cap(
    caps: CostCapOptions, labels: Labels, model: str | None, load: Load, asked: int | None
) -> str | None:
    """What is wrong with the size of a call, in words; `asked` is the answer's bound that the request names."""
    for cap in _token_caps(caps, labels, model):
        for name, value, limit in (
            ("Prompt", load.input_tokens, cap.max_prompt_tokens),
            ("Completion", asked, cap.max_completion_tokens),
            ("Total", load.input_tokens + (asked or 0), cap.max_total_tokens),
        ):
            if value is not None and limit is not None and value > limit:
                return f"{name} tokens ({value}) exceed cap ({limit})"
    return None


def limited_by(ask: Ask, admission: Admission, tenant: str | None) -> Limited | None:
    """Why a call was refused; None when it was granted."""
    if admission.granted:
        return None
    retry = ceil(admission.retry_after_s)
    if admission.refused is None and admission.blocked is None:
        return Limited("state_unavailable", "the store of shared limits cannot be asked", max(retry, 1))
    if admission.blocked is not None:
        return Limited("blocked_source", "blocked by an earlier enforcement action", max(retry, 1))
    at = admission.refused or 0
    meaning = ask.meanings[at]
    if meaning.kind == "rate":
        message = f"Rate limit exceeded for tenant {tenant or NO_TENANT}"
        return Limited("rate_limit_exceeded", message, max(retry, 1), meaning.limit)
    if meaning.kind == "concurrency":
        message = f"{meaning.limit:g} calls of tenant {tenant or NO_TENANT} are under way already"
        return Limited("concurrency_limit_exceeded", message, max(retry, 1), meaning.limit)
    spent = admission.spent[at] if admission.spent else None
    return Limited("cost_cap_exceeded", _exceeded(meaning, spent), max(retry, 1), meaning.limit)


def warnings_of(ask: Ask, admission: Admission) -> list[BudgetWarning]:
    """Budgets over their soft limit, or without one over most of the hard limit."""
    found = []
    for meaning, spent in zip(ask.meanings, admission.spent, strict=False):
        if meaning.kind != "budget" or spent is None:
            continue
        bound = meaning.soft if meaning.soft is not None else (meaning.limit or 0) * NEARLY
        if bound and spent >= bound:
            limit = meaning.limit or bound
            share = f"{100 * spent / limit:.1f}%"
            message = f"{meaning.window} budget of {meaning.scope} at {share}: {_of(meaning, spent, limit)}"
            found.append(BudgetWarning(meaning.scope, meaning.window, spent, limit, message))
    return found


def _rates(rates: RateOptions, labels: Labels, tag: str) -> Iterator[tuple[Claim, Meaning]]:
    per_second, burst = rates.of(labels.tenant)
    if per_second:
        yield Rate(f"{tag}:rate", per_second, burst), Meaning("calls", "rate", "tenant", limit=per_second)
    if rates.max_concurrent is not None:
        slots = Slots(f"{tag}:slots", rates.max_concurrent, rates.max_call_s)
        yield slots, Meaning("calls", "concurrency", "tenant", limit=rates.max_concurrent)


def _budgets(
    caps: CostCapOptions, labels: Labels, model: str | None, load: Load, tag: str, now_s: float, names: Names
) -> Iterator[tuple[Claim, Meaning]]:
    yield from _sums(caps.default_budget_caps, "tenant", tag, load, now_s)
    for scoped in caps.agents:
        scope = scoped.scope()
        name = scope and _name(scope[0], labels, model)
        if scope and name is not None and wildcards.compiled(scope[1]).fullmatch(name):
            key = f"{tag}:{scope[0]}:{names.of(scope[0], name)}"
            yield from _sums(scoped.budget_caps, scope[0], key, load, now_s)


def _tightest(found: Iterator[tuple[Claim, Meaning]]) -> Iterable[tuple[Claim, Meaning]]:
    """One claim for each sum: where several patterns match, the call counts once, under the least of their limits."""
    kept: dict[str, tuple[Claim, Meaning]] = {}
    for claim, meaning in found:
        before = kept.get(claim.key)
        if before is None or _bound(meaning) < _bound(before[1]):
            kept[claim.key] = (claim, meaning)
    return kept.values()


def _bound(meaning: Meaning) -> tuple[float, float]:
    return tuple(inf if each is None else each for each in (meaning.limit, meaning.soft))  # type: ignore[return-value]


def _sums(caps: Sequence[BudgetCap], scope: str, key: str, load: Load, now_s: float) -> Iterator[tuple[Claim, Meaning]]:
    for cap in caps:
        seconds = WINDOWS[cap.window]
        start = int(now_s) // seconds * seconds
        if cap.hard_limit_usd is not None or cap.soft_limit_usd is not None:
            limit, soft = _micro(cap.hard_limit_usd), _micro(cap.soft_limit_usd)
            claim = Budget(f"{key}:usd:{cap.window}", start, seconds, load.usd or 0, limit)
            yield claim, Meaning("usd", "budget", scope, cap.window, limit, soft)
        if cap.hard_limit_tokens is not None or cap.soft_limit_tokens is not None:
            amount = load.input_tokens + load.output_tokens
            claim = Budget(f"{key}:tokens:{cap.window}", start, seconds, amount, cap.hard_limit_tokens)
            yield claim, Meaning("tokens", "budget", scope, cap.window, cap.hard_limit_tokens, cap.soft_limit_tokens)


def _token_caps(caps: CostCapOptions, labels: Labels, model: str | None) -> Iterator[TokenCap]:
    if not caps.enabled:
        return
    if caps.default_token_cap is not None:
        yield caps.default_token_cap
    for scoped in caps.agents:
        scope = scoped.scope()
        name = scope and _name(scope[0], labels, model)
        if scoped.token_cap and scope and name is not None and wildcards.compiled(scope[1]).fullmatch(name):
            yield scoped.token_cap


def _name(scope: str, labels: Labels, model: str | None) -> str | None:
    return model if scope == "model" else getattr(labels, scope)


def _micro(dollars: float | None) -> int | None:
    return None if dollars is None else round(dollars * MICRO)


def _exceeded(meaning: Meaning, spent: int | None) -> str:
    return f"{meaning.window} budget exceeded: {_of(meaning, spent or 0, meaning.limit or 0)}"


def _of(meaning: Meaning, spent: float, limit: float) -> str:
    if meaning.unit == "usd":
        return f"${spent / MICRO:.4f} / ${limit / MICRO:.2f}"
    return f"{spent:g} / {limit:g} tokens"
