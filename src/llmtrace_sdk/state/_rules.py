"""What the stores have in common: names, bounds, and what a caller must not ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.claims import Budget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.claims import Claim, Rate, Settlement

MOST: Final = 2**53 - 1
"""The greatest sum: Lua counts in doubles. Sums stay there instead of wrapping around."""

SETTLED_S: Final = 600.0
"""How long it is remembered that a call has settled, so that a repeated settlement adds nothing."""

PERIOD_GRACE_S: Final = 3600.0
"""How long the sum of a period is kept after the period's end, for calls that settle late."""

PUBLISHED_S: Final = 365 * 86400.0
PUBLISHED_BYTES: Final = 1 << 20

_SLOWEST: Final = 1e-6
_FASTEST: Final = 1e6


def record_key(call: str, claims: Sequence[Claim]) -> str:
    """Where a call is remembered: beside its claims, which must all have one `{tag}` (else ValueError)."""
    first = claims[0].key
    tag = first[: first.find("}") + 1]
    if len(tag) < 3 or tag[0] != "{":
        raise ValueError("the key of a claim must begin with a {tag}")
    for claim in claims[1:]:
        if not claim.key.startswith(tag):
            raise ValueError("the keys of the claims of one call must have the same {tag}")
    return f"{tag}:call:{call}"


def period_key(budget: Budget) -> str:
    """Where the sum of a budget in one period is kept."""
    return f"{budget.key}:{budget.start}"


def interval_s(rate: Rate) -> float:
    """How long a token takes to come in, in seconds: not below a millionth, which is what clocks tell apart."""
    return 1.0 / min(_FASTEST, max(_SLOWEST, rate.per_second))


def bounded(amount: int) -> int:
    """An amount that can be counted: neither negative nor above `MOST`."""
    return min(max(amount, 0), MOST)


def check(settlements: Sequence[Settlement]) -> None:
    """Raises ValueError where a settlement has not as many amounts as budgets."""
    for settlement in settlements:
        budgets = sum(1 for claim in settlement.claims if isinstance(claim, Budget))
        if settlement.amounts is not None and len(settlement.amounts) != budgets:
            raise ValueError(f"{len(settlement.amounts)} amounts for {budgets} budgets")


def check_value(value: bytes) -> None:
    """Raises ValueError where a value is too large to be announced."""
    if len(value) > PUBLISHED_BYTES:
        raise ValueError(f"an announced value has at most {PUBLISHED_BYTES} bytes")
