"""What can be set about costs, and what is wrong with what was set."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, Final

from llmtrace_sdk.core.cost import MODEL_LIMIT, Price, Rates, Tariff

if TYPE_CHECKING:
    from collections.abc import Iterator

DEAREST: Final = 1_000_000
"""US dollars per million tokens: nothing costs more, so a larger number is a mistake in the unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomPrice:
    """What a model costs, in US dollars per million tokens; `per_thousand_requests` in dollars per thousand calls.

    Cached input, cache writes and reasoning cost what input, input and output cost where they are not given.
    `tier_factors`: what a service tier costs, as a factor of all of that (`batch: 0.5`).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    input_per_million: float
    output_per_million: float = 0.0
    cached_input_per_million: float | None = None
    cache_write_per_million: float | None = None
    cache_write_1h_per_million: float | None = None
    reasoning_per_million: float | None = None
    per_thousand_requests: float = 0.0
    tier_factors: dict[str, float] = field(default_factory=dict)

    def price(self) -> Price:
        """The same as the arithmetic takes it."""
        tiers = {tier.lower(): Tariff(**self._rates(factor)) for tier, factor in self.tier_factors.items()}
        return Price(**self._rates(1.0), tiers=tiers)

    def _rates(self, factor: float) -> dict[str, Any]:
        given = {ours: getattr(self, name) for ours, name in zip(Rates.__struct_fields__, RATE_NAMES, strict=True)}
        return {ours: float(round(rate * factor, 6)) for ours, rate in given.items() if rate is not None}


RATE_NAMES: Final = tuple(f.name for f in fields(CustomPrice) if f.name != "tier_factors")
"""In the order of the fields of `Rates`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostOptions:
    """`enabled`: say what calls cost. `custom_models`: prices by the beginning of a model's name, which come before
    all others; `vendor/` before it confines it to a vendor, alone it stands for all of its models. `pricing_file`: a
    YAML, JSON or TOML file of the same (for the models that `custom_models` leaves out), or a newer price list made by
    `python -m llmtrace_sdk.pricing.snapshot`.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enabled: bool = True
    pricing_file: str | None = None
    custom_models: dict[str, CustomPrice] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        found = []
        if self.pricing_file is not None and not self.pricing_file:
            found.append("cost_estimation.pricing_file: '' is no path; leave it out")
        for name, price in self.custom_models.items():
            found += wrong_price(f"cost_estimation.custom_models.{name}", name, price)
        return found


def wrong_price(place: str, name: str, price: CustomPrice) -> Iterator[str]:
    """What is wrong with the price of one model."""
    if not name or len(name) > MODEL_LIMIT:
        yield f"{place}: a model's name has 1 to {MODEL_LIMIT} characters"
    for rate in RATE_NAMES:
        value = getattr(price, rate)
        if value is not None and not _is_between(value, 0, DEAREST):
            yield f"{place}.{rate}: {value!r} is not between 0 and {DEAREST}"
    for tier, factor in price.tier_factors.items():
        if not _is_between(factor, 0, 100):
            yield f"{place}.tier_factors.{tier}: {factor!r} is not between 0 and 100"


def _is_between(value: object, low: float, high: float) -> bool:
    return type(value) in (int, float) and isfinite(value) and low <= value <= high  # type: ignore[arg-type, operator]
