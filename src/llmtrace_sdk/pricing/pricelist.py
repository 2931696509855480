"""The price of a call: the configuration's first, then the price file's, then the list's."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from llmtrace_sdk.core.cost import (
    MODEL_LIMIT,
    Bill,
    CostSource,
    Price,
    Prices,
    UnknownPrices,
    dollars,
    picodollars,
    tier_of,
)
from llmtrace_sdk.pricing import files
from llmtrace_sdk.pricing.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llmtrace_sdk.core.costing import CostOptions, CustomPrice
    from llmtrace_sdk.core.model import Answer, Prompt, Usage
    from llmtrace_sdk.pricing.catalogue import Listed

CACHED: Final = 1024
"""Model names whose prices are remembered."""


class _Found(NamedTuple):
    """A fixed price, or a model of the list, whose price depends on the day."""

    source: CostSource
    price: Price | None = None
    listed: Listed | None = None

    def at(self, at_s: float) -> Price | None:
        return self.listed.at(at_s) if self.listed is not None else self.price


_UNKNOWN: Final = _Found("unknown")


class Pricing:
    """Prices as they are configured. Any thread may ask; nothing raises, nothing uses the network.

    A name is looked up in 15 to 350 microseconds (some milliseconds for the first of a vendor), then it is remembered.
    """

    def __init__(
        self,
        options: CostOptions,
        *,
        catalogue: Callable[[], Catalogue] = files.bundled,
        own: Catalogue | Mapping[str, CustomPrice] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.enabled = options.enabled
        self.unknown = UnknownPrices()
        self._custom = _table(options.custom_models)
        self._file = _table(own) if own and not isinstance(own, Catalogue) else Prices({})
        self.catalogue = own if isinstance(own, Catalogue) else catalogue()
        self._clock = clock
        self._found = lru_cache(maxsize=CACHED)(self._find)

    @classmethod
    def of(cls, options: CostOptions) -> Self:
        """Prices with those of the price file. Raises `ConfigError` when that cannot be used."""
        return cls(options, own=files.price_file(options.pricing_file) if options.pricing_file else None)

    @property
    def as_of(self) -> str:
        """The day of the price list, `2026-01-31`."""
        return self.catalogue.as_of

    def price_for(self, provider: str, model: str | None, at_s: float | None = None) -> Price | None:
        """What a model costs at a time (now, when None is given); None when that is not known."""
        if not self.enabled or not model or len(model) > MODEL_LIMIT:
            return None
        return self._found(provider, model).at(self._clock() if at_s is None else at_s)

    def cost(self, provider: str, model: str | None, usage: Usage) -> float | None:
        """US dollars for a usage at today's standard price; None when price or usage is unknown."""
        price = self.price_for(provider, model)
        if price is None or (usage.input_tokens is None and usage.output_tokens is None):
            return None
        return dollars(picodollars(price, usage))

    def bill(self, provider: str, prompt: Prompt, answer: Answer, usage: Usage, at_s: float) -> Bill:
        """What a call cost: its model and service tier are those of the answer, or else those that were asked for.

        `usage` is what the answer told, or was estimated from the texts.
        """
        models = tuple(dict.fromkeys(name for name in (answer.model, prompt.model) if name))
        if not self.enabled or not models or (usage.input_tokens is None and usage.output_tokens is None):
            return Bill()
        found = next((one for name in models if (one := self._known(provider, name)).source != "unknown"), _UNKNOWN)
        price = found.at(at_s)
        if price is None:
            self.unknown.add(provider, models[0])
            return Bill(None, "unknown")
        tier = tier_of(prompt.settings.service_tier, answer.service_tier)
        as_of = self.as_of if found.source == "list" else ""
        return Bill(dollars(picodollars(price, usage, tier)), found.source, as_of)

    def _known(self, provider: str, model: str) -> _Found:
        return self._found(provider, model) if len(model) <= MODEL_LIMIT else _UNKNOWN

    def _find(self, provider: str, model: str) -> _Found:
        listed = self.catalogue.find(provider, model)
        custom = self._own(self._custom, provider, model, listed)
        if custom is not None:
            return _Found("custom", custom)
        filed = self._own(self._file, provider, model, listed)
        if filed is not None:
            return _Found("file", filed)
        return _UNKNOWN if listed is None else _Found("list", listed=listed)

    def _own(self, table: Prices, provider: str, model: str, listed: Listed | None) -> Price | None:
        """A price of the user's. One for a model that the list knows is not for another whose name begins alike."""
        for name in (f"{provider}/{model}", model, model.rpartition("/")[2]):
            found = table.match(name)
            if found is None:
                continue
            key = found[0].removeprefix(f"{provider}/")
            meant = self.catalogue.find(provider, key) if key else None
            if found[0] == name.lower() or meant is None or listed is None or meant.id == listed.id:
                return found[1]
        return None


def _table(prices: Mapping[str, CustomPrice]) -> Prices:
    return Prices({name: price.price() for name, price in prices.items()})
