"""Usage -> US dollars, exactly.

A price of one dollar per million tokens is a millionth of a dollar per token. List prices have up to six decimals, so
sums of tokens times prices are whole picodollars (10^-12); only what is shown is rounded.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmtrace_sdk.core.model import Usage

MODEL_LIMIT: Final = 256
"""Longer names are none of a model, and are looked up nowhere."""

CostSource = Literal["", "custom", "file", "list", "unknown"]
"""Where a price is from: the configuration, its price file, the list that ships; `unknown`: there is none. Empty: no
cost was asked for."""

_PICO_PER_MICRO: Final = 1_000_000
_SEPARATORS: Final = "-@:+_/"
_UNITS: Final = frozenset({"", "auto", "default", "standard", "on_demand", "on-demand"})


class Rates(Struct, frozen=True, omit_defaults=True):
    """US dollars per million tokens, with at most six decimals; `requests` are US dollars per thousand calls.

    What is not given costs what its kind costs: cached input what input costs, an hour of cache what the usual five
    minutes cost, reasoning what output costs.
    """

    input: float
    output: float = 0.0
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    reasoning: float | None = None
    requests: float = 0.0


class Tariff(Rates, frozen=True, omit_defaults=True):
    """Rates that may depend on the size of the prompt: those of the last step apply whose tokens the input exceeds."""

    steps: tuple[tuple[int, Rates], ...] = ()

    def at(self, input_tokens: int) -> Rates:
        """The rates of a call with so many input tokens, cached ones included."""
        found: Rates = self
        for above, rates in self.steps:
            if input_tokens > above:
                found = rates
        return found


class Price(Tariff, frozen=True, omit_defaults=True):
    """What a model costs. `tiers`: tariffs of its service tiers (`batch`, `flex`, `priority`, `fast`, ...)."""

    tiers: dict[str, Tariff] = {}

    def of(self, tier: str | None) -> Tariff:
        """The tariff of a service tier; the standard one where the tier has none of its own."""
        return self.tiers.get(tier.lower(), self) if tier and self.tiers else self


class Bill(Struct, frozen=True):
    """What a call cost. `usd` is None where price or usage is unknown; `as_of` is the day of the list it is of."""

    usd: float | None = None
    source: CostSource = ""
    as_of: str = ""


def picodollars(price: Price, usage: Usage, tier: str | None = None) -> int:
    """What a call costs, in 10^-12 US dollars; counts that are not reported are nothing.

    Input tokens include cached ones and output tokens include reasoning, as `Usage` says; where the parts are more
    than the whole they are believed, since nobody gets money back.
    """
    taken, given = _count(usage.input_tokens), _count(usage.output_tokens)
    read, written = _count(usage.cache_read_tokens), _count(usage.cache_write_tokens)
    lasting = min(_count(usage.cache_write_1h_tokens), written)
    thought = _count(usage.reasoning_tokens)
    rates = price.of(tier).at(max(taken, read + written))
    total = max(taken - read - written, 0) * _pico(rates.input)
    total += read * _pico(_or(rates.cache_read, rates.input))
    write = _or(rates.cache_write, rates.input)
    total += (written - lasting) * _pico(write) + lasting * _pico(_or(rates.cache_write_1h, write))
    thinking = min(thought, given) if rates.reasoning is not None else 0
    total += (given - thinking) * _pico(rates.output) + thinking * _pico(_or(rates.reasoning, rates.output))
    return total + round(rates.requests * 1_000_000_000)


def micro(pico: int) -> int:
    """Whole millionths of a dollar, rounded up: a budget is never undercounted."""
    return -(-pico // _PICO_PER_MICRO)


def dollars(pico: int) -> float:
    """US dollars, as near as a float can be."""
    return pico / 1_000_000_000_000


def tier_of(asked: str | None, served: str | None) -> str | None:
    """The service tier that is paid for: what the vendor says it served, or else what was asked for."""
    tier = (served if served is not None else asked or "").lower()
    return None if tier in _UNITS else tier


class Prices:
    """Prices by model name; a longer name has the price of the longest name that it begins with."""

    def __init__(self, by_model: Mapping[str, Price]) -> None:
        self._by_model = {name.lower(): price for name, price in by_model.items()}

    def match(self, model: str) -> tuple[str, Price] | None:
        """The known name that a model's name begins with, up to a separator or as a whole, and its price."""
        if not self._by_model or len(model) > MODEL_LIMIT:
            return None
        name = model.lower()
        for end in range(len(name), 0, -1):
            if end == len(name) or name[end] in _SEPARATORS or name[end - 1] in _SEPARATORS:
                price = self._by_model.get(name[:end])
                if price is not None:
                    return name[:end], price
        return None

    def of(self, model: str) -> Price | None:
        """The price of a model, with or without the vendor's name before it; None when it is not known."""
        found = self.match(model) or self.match(model.rpartition("/")[2])
        return found[1] if found else None


class UnknownPrices:
    """How often which model had no price. Names are others' words, so they are short and few."""

    LIMIT: Final = 256
    OTHERS: Final = ("", "(others)")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}

    def add(self, provider: str, model: str) -> None:
        """Count one call."""
        key = (provider[:64], model[:128])
        with self._lock:
            if key not in self._counts and len(self._counts) >= self.LIMIT:
                key = self.OTHERS
            self._counts[key] = self._counts.get(key, 0) + 1

    def counts(self) -> dict[tuple[str, str], int]:
        """Calls by provider and model, as they are now."""
        with self._lock:
            return dict(self._counts)


def _count(tokens: int | None) -> int:
    return max(tokens or 0, 0)


def _or(rate: float | None, otherwise: float) -> float:
    return otherwise if rate is None else rate


def _pico(per_million: float) -> int:
    return round(per_million * 1_000_000)
