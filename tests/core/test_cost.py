from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.cost import (
    Price,
    Prices,
    Rates,
    Tariff,
    UnknownPrices,
    dollars,
    micro,
    picodollars,
    tier_of,
)
from llmtrace_sdk.core.model import Usage

PRICES = Prices({"gpt-4": Price(30, 60), "gpt-4o": Price(2.5, 10, 1.25), "claude-x": Price(3, 15, 0.3, 3.75)})
OPENAI = Price(
    1.25,
    10,
    0.125,
    tiers={"flex": Tariff(0.625, 5, 0.0625), "priority": Tariff(2.5, 20, 0.25), "batch": Tariff(0.625, 5)},
)
ANTHROPIC = Price(3, 15, 0.3, 3.75, 6)
GEMINI = Price(1.25, 10, 0.125, steps=((200_000, Rates(2.5, 15, 0.25)),))


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
        ("gpt-4" + "-" * 300, None),
        ("", None),
        ("unknown", None),
    ],
)
def test_price_of_a_model_name(model: str, expected: float | None) -> None:
    price = PRICES.of(model)
    assert (price.input if price else None) == expected


def test_the_longest_known_beginning_counts() -> None:
    table = Prices({"a": Price(1), "a-b": Price(2), "a/": Price(3), "A-B-C": Price(4)})
    names = {"a": 1, "a-x": 1, "a-bx": 1, "a-b": 2, "a-b-x": 2, "a-b-c": 4, "a-b-c@1": 4, "a/x": 3, "ax": None}
    assert {name: (price.input if (price := table.of(name)) else None) for name in names} == names


@pytest.mark.parametrize(
    ("price", "usage", "tier", "pico"),
    [
        # OpenAI: cached tokens are part of the input, reasoning is part of the output
        (OPENAI, Usage(1000, 500), None, 6_250_000_000),
        (OPENAI, Usage(1000, 500, 600, None, 400), None, 400 * 1_250_000 + 600 * 125_000 + 500 * 10_000_000),
        (OPENAI, Usage(1000, 500, 600), "flex", 3_287_500_000 - 500_000_000),
        (OPENAI, Usage(1000, 500), "priority", 12_500_000_000),
        (OPENAI, Usage(1000, 500), "PRIORITY", 12_500_000_000),
        (OPENAI, Usage(1000, 500, 1000), "batch", 3_125_000_000),  # without a cache price: that of input
        (OPENAI, Usage(1000, 500), "never-heard-of", 6_250_000_000),
        # Anthropic: reads and writes
        (
            ANTHROPIC,
            Usage(10_000, 100, 7000, 2000),
            None,
            1000 * 3_000_000 + 7000 * 300_000 + 2000 * 3_750_000 + 1500_000_000,
        ),
        # Gemini: the whole call costs more when the prompt is long
        (GEMINI, Usage(200_000, 10), None, 200_000 * 1_250_000 + 100_000_000),
        (GEMINI, Usage(200_001, 10, 1), None, 200_000 * 2_500_000 + 250_000 + 150_000_000),
        # others
        (Price(1, 2, reasoning=3), Usage(0, 100, None, None, 40), None, 60 * 2_000_000 + 40 * 3_000_000),
        (Price(1, 2, reasoning=3), Usage(0, 10, None, None, 40), None, 10 * 3_000_000),
        (Price(0, 0, requests=5), Usage(0, 0), None, 5_000_000_000),
        (Price(0.02), Usage(7), None, 140_000),
        (Price(0.1, 0.2), Usage(1, 1), None, 300_000),  # no 0.30000000000000004
        (Price(0), Usage(10, 10), None, 0),
    ],
)
def test_costs_are_exact(price: Price, usage: Usage, tier: str | None, pico: int) -> None:
    assert picodollars(price, usage, tier) == pico


def test_an_hour_of_cache_costs_more_than_five_minutes() -> None:
    usage = Usage(1000, 0, 0, 1000, None, 400)
    assert picodollars(ANTHROPIC, usage) == 600 * 3_750_000 + 400 * 6_000_000
    assert picodollars(Price(3, 15, 0.3, 3.75), usage) == 1000 * 3_750_000
    assert picodollars(ANTHROPIC, Usage(10, 0, 0, 10, None, 5000)) == 10 * 6_000_000


@pytest.mark.parametrize("usage", [Usage(10, 0, 100), Usage(None, None, 100), Usage(-5, -5, 100), Usage(0, 0, 100, -1)])
def test_more_cached_than_input_never_gives_money_back(usage: Usage) -> None:
    assert picodollars(OPENAI, usage) == 100 * 125_000


COUNTS = st.none() | st.integers(-10, 1 << 53)
MONEY = st.integers(0, 10**9).map(lambda units: units / 10**6)


@given(MONEY, MONEY, MONEY, COUNTS, COUNTS, COUNTS)
def test_sums_are_those_of_fractions(
    rate: float, out: float, cached: float, taken: int, given_: int, read: int
) -> None:
    price, usage = Price(rate, out, cached), Usage(taken, given_, read)
    positive = [max(count or 0, 0) for count in (taken, given_, read)]
    exact = max(positive[0] - positive[2], 0) * _exact(rate) + positive[1] * _exact(out) + positive[2] * _exact(cached)
    assert Fraction(picodollars(price, usage), 10**12) == exact / 10**6
    assert dollars(picodollars(price, usage)) == float(exact / 10**6)


def _exact(rate: float) -> Fraction:
    return Fraction(round(rate * 10**6), 10**6)


@pytest.mark.parametrize(("pico", "expected"), [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2)])
def test_millionths_are_rounded_up(pico: int, expected: int) -> None:
    assert micro(pico) == expected


@pytest.mark.parametrize(
    ("asked", "served", "tier"),
    [
        ("flex", "flex", "flex"),
        ("priority", "default", None),  # what was served is what is paid for
        ("auto", "priority", "priority"),
        ("auto", None, None),
        ("flex", None, "flex"),
        (None, "standard", None),
        (None, "Batch", "batch"),
        (None, None, None),
    ],
)
def test_the_service_tier_that_is_paid_for(asked: str | None, served: str | None, tier: str | None) -> None:
    assert tier_of(asked, served) == tier


def test_unknown_prices_are_counted_within_bounds() -> None:
    unknown = UnknownPrices()
    for number in range(3 * UnknownPrices.LIMIT):
        unknown.add("p" * 1000, f"{number}" + "m" * 1000)
    unknown.add("p" * 1000, "0" + "m" * 1000)
    counts = unknown.counts()
    assert len(counts) == UnknownPrices.LIMIT + 1
    assert sum(counts.values()) == 3 * UnknownPrices.LIMIT + 1
    assert counts[UnknownPrices.OTHERS] == 2 * UnknownPrices.LIMIT
    assert max(len(provider) + len(model) for provider, model in counts) <= 192
