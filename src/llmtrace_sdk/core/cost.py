"""Usage -> US dollars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmtrace_sdk.core.model import Usage

# Models that run on the caller's own machines have no list price.
SELF_HOSTED = frozenset({"ollama", "vllm", "sglang", "tgi"})


class Price(Struct, frozen=True):
    """US dollars per million tokens. What is not given costs what input costs."""

    input: float
    output: float = 0.0
    cache_read: float | None = None
    cache_write: float | None = None


class Prices:
    """List prices by model name; a dated or suffixed name has the price of the longest name that it begins with."""

    def __init__(self, by_model: Mapping[str, Price]) -> None:
        self._by_model = dict(by_model)
        self._longest_first = sorted(self._by_model, key=len, reverse=True)

    def of(self, model: str) -> Price | None:
        """The price of a model, or None when it is not known. A prefix counts only up to a separator."""
        name = model.lower().rpartition("/")[2]
        exact = self._by_model.get(name)
        if exact is not None:
            return exact
        for known in self._longest_first:
            if name.startswith(known) and name[len(known)] in "-@:+_":
                return self._by_model[known]
        return None

    def cost(self, provider: str, model: str | None, usage: Usage) -> float | None:
        """US dollars for a call; None when the price or the usage is unknown.

        Input tokens include cached ones, which have prices of their own; output tokens include reasoning.
        """
        if model is None or provider in SELF_HOSTED or (usage.input_tokens is None and usage.output_tokens is None):
            return None
        price = self.of(model)
        if price is None:
            return None
        read, write = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
        plain = max((usage.input_tokens or 0) - read - write, 0)
        total = plain * price.input + (usage.output_tokens or 0) * price.output
        total += read * (price.input if price.cache_read is None else price.cache_read)
        total += write * (price.input if price.cache_write is None else price.cache_write)
        return total / 1_000_000
