from __future__ import annotations

import pytest

from llmtrace_sdk import data
from llmtrace_sdk.core.cost import Price, Prices
from llmtrace_sdk.core.model import Usage

PRICES = Prices({"gpt-4": Price(30, 60), "gpt-4o": Price(2.5, 10, 1.25), "claude-x": Price(3, 15, 0.3, 3.75)})


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o", 2.5),
        ("GPT-4o", 2.5),
        ("gpt-4o-2024-08-06", 2.5),
        ("openai/gpt-4o", 2.5),
        ("gpt-4-0613", 30),
        ("gpt-4.1", None),  # not a gpt-4: a prefix counts only up to a separator
        ("gpt-4omni", None),
        ("unknown", None),
    ],
)
def test_price_of_a_model_name(model: str, expected: float | None) -> None:
    price = PRICES.of(model)
    assert (price.input if price else None) == expected


def test_cached_tokens_have_prices_of_their_own() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=100_000, cache_read_tokens=400_000, cache_write_tokens=100_000)
    assert PRICES.cost("anthropic", "claude-x", usage) == pytest.approx(0.5 * 3 + 0.1 * 15 + 0.4 * 0.3 + 0.1 * 3.75)


def test_without_a_cache_price_cached_tokens_cost_what_input_costs() -> None:
    assert PRICES.cost("openai", "gpt-4", Usage(input_tokens=1000, cache_read_tokens=400)) == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("provider", "model", "usage"),
    [
        ("openai", None, Usage(1, 1)),
        ("openai", "gpt-4", Usage()),
        ("ollama", "gpt-4", Usage(1, 1)),
        ("openai", "x", Usage(1)),
    ],
)
def test_unknown_is_none_not_zero(provider: str, model: str | None, usage: Usage) -> None:
    assert PRICES.cost(provider, model, usage) is None


def test_more_cached_than_input_never_gives_money_back() -> None:
    assert PRICES.cost("openai", "gpt-4o", Usage(input_tokens=10, cache_read_tokens=100)) == pytest.approx(
        100 * 1.25e-6
    )


def test_the_bundled_table_is_well_formed() -> None:
    table = data.read_toml("prices.toml")
    assert len(table["as_of"]) == len("2026-01-01")
    for row in table["models"].values():
        price = Price(*row)
        assert 0 < price.input <= 1000
        assert (price.cache_read or 0) <= price.input
