from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.cost import Bill, Price, picodollars
from llmtrace_sdk.core.costing import CostOptions, CustomPrice
from llmtrace_sdk.core.model import Answer, Prompt, Settings, Usage
from llmtrace_sdk.errors import ConfigError
from llmtrace_sdk.pricing import Pricing, files, snapshot
from llmtrace_sdk.pricing.catalogue import Catalogue, Listed, Period, matches
from llmtrace_sdk.pricing.names import LISTED, spellings

LIST = files.bundled()
NOW = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
USED = Usage(1_000_000, 0)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("prices must not use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def pricing(own: Any = None, **custom: CustomPrice) -> Pricing:
    return Pricing(CostOptions(custom_models=custom), own=own, clock=lambda: NOW)


@pytest.mark.parametrize(
    ("provider", "model", "listed"),
    [
        ("openai", "gpt-4o-2024-11-20", "gpt-4o"),
        ("openai", "gpt-4o-20241120", "gpt-4o"),
        ("openai", "GPT-4o-2099-01-01", "gpt-4o"),
        ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai", "openai/gpt-4.1", "gpt-4.1"),
        ("openai", "gpt-4.1-2025-04-14", "gpt-4.1"),
        ("openai", "gpt-4-0613", "gpt-4"),
        ("openai", "gpt-4-turbo", "gpt-4-turbo"),
        ("openai", "gpt-4.1-evil", None),
        ("openai", "gpt-4omni", None),
        ("openai", "gpt-4-ultra-2025-01-01", None),
        ("openai", "my gpt-4o", None),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", "ft:gpt-4o-mini"),
        ("openai", "text-embedding-3-small", "text-embedding-3-small"),
        ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("gcp.gemini", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-flash-lite", "gemini-2.5-flash-lite"),
        ("aws.bedrock", "anthropic.claude-3-haiku-20240307-v1:0", "regional.anthropic.claude-3-haiku-20240307-v1:0"),
        (
            "aws.bedrock",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "aws.bedrock",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        ("aws.bedrock", "amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("azure.ai.openai", "gpt-4o", "gpt-4o"),
        ("azure.ai.openai", "our-chat-production", None),
        ("cohere", "command-a-03-2025", "command-a"),
        ("mistral_ai", "mistral-large-latest", "mistral-large"),
        ("groq", "llama-3.3-70b-versatile", "llama-3.3-70b-versatile"),
        ("x_ai", "grok-4-0709", "grok-4-0709"),
        ("nobody", "gpt-4o", None),
        ("ollama", "llama3", None),
        ("openai", "meta-llama/Llama-3.1-8B-Instruct", None),
    ],
)
def test_which_model_a_name_means(provider: str, model: str, listed: str | None) -> None:
    found = LIST.find(provider, model)
    assert (found.id if found else None) == listed


def test_the_list_is_dated_and_sound() -> None:
    assert LIST.source.startswith("genai-prices ")
    assert date.fromisoformat(LIST.as_of) >= date(2026, 11, 1)
    assert set(LISTED.values()) <= set(LIST.vendors)
    for vendor in LIST.vendors:
        index = LIST.vendor(vendor)
        assert index is not None
        for model in index._models:
            for period in model.prices:
                for tariff in (period.price, *period.price.tiers.values()):
                    rates = [tariff, *(rates for _, rates in tariff.steps)]
                    assert all(0 <= rate.input <= 1000 and 0 <= rate.output <= 3000 for rate in rates)
                    assert [above for above, _ in tariff.steps] == sorted({above for above, _ in tariff.steps})


def test_cached_tiers_and_long_prompts_are_listed() -> None:
    prices = pricing()
    openai, claude = prices.price_for("openai", "gpt-5"), prices.price_for("anthropic", "claude-sonnet-4-5")
    gemini = prices.price_for("gcp.gemini", "gemini-2.5-pro")
    assert openai
    assert claude
    assert gemini
    assert (openai.input, openai.output, openai.cache_read) == (1.25, 10, 0.125)
    assert openai.of("flex").input == openai.of("batch").input == 0.625
    assert openai.of("priority").input > openai.input
    assert (claude.cache_read, claude.cache_write, claude.cache_write_1h) == (0.3, 3.75, 6.0)
    assert (gemini.at(200_000).input, gemini.at(200_001).input) == (1.25, 2.5)


def test_every_listed_price_is_that_of_the_library() -> None:
    library = pytest.importorskip("genai_prices")
    data = pytest.importorskip("genai_prices.data_snapshot").get_snapshot()
    if LIST.source != f"genai-prices {version('genai-prices')} (MIT)":
        pytest.skip("the list was made with another version")
    ours = {listed: provider for provider, listed in LISTED.items()}
    at, checked = datetime.fromtimestamp(NOW, UTC), 0
    usage, counts = Usage(300_000, 5000, 20_000, 1000), ("input", "output", "cache_read", "cache_write")
    theirs = library.Usage(
        **dict(zip((f"{name}_tokens" for name in counts), (300_000, 5000, 20_000, 1000), strict=True))
    )
    for provider in data.providers:
        for model in provider.models if provider.id in ours and provider.id != "openrouter" else ():
            found = LIST.find(ours[provider.id], model.id)
            price = found.at(NOW) if found else None
            if (
                price is None
                or found is None
                or provider.find_model(model.id, all_providers=data.providers) is not model
            ):
                continue
            for tier in (
                None,
                *(v.when["service_tier"] for v in model.price_variants or () if "service_tier" in v.when),
            ):
                context = {"service_tier": tier} if tier else None
                expected = model.calc_price(
                    theirs, provider, genai_request_timestamp=at, price_context=context
                ).total_price
                assert Decimal(picodollars(price, usage, tier)).scaleb(-12) == expected, (provider.id, model.id, tier)
                checked += 1
    assert checked > 700


def test_the_list_is_what_the_snapshot_makes() -> None:
    data = pytest.importorskip("genai_prices.data")
    if LIST.source != f"genai-prices {version('genai-prices')} (MIT)":
        pytest.skip("the list was made with another version")
    made = snapshot.made(data.providers, date.fromisoformat(LIST.as_of), LIST.source)
    assert json.loads(made) == json.loads((Path(files.__file__).parents[1] / "data" / "prices.json").read_bytes())


def test_nothing_heavy_is_imported() -> None:
    code = """
import sys
from llmtrace_sdk.core.costing import CostOptions
from llmtrace_sdk.pricing import Pricing
assert Pricing.of(CostOptions()).price_for("openai", "gpt-4o").input == 2.5
print(*{"genai_prices", "pydantic", "httpx", "httpx2", "yaml"} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""


def test_prices_change_with_time() -> None:
    day = 20_000
    model = Listed("m", "=m", (Period(Price(1)), Period(Price(2), day), Period(Price(0.5), day, (60 * 16 + 30, 30))))
    at = day * 86_400

    def price(seconds: float) -> float:
        found = model.at(seconds)
        assert found
        return found.input

    assert [price(at - 1), price(at), price(at + 30 * 60), price(at + 16.5 * 3600), price(at - 86_400)] == [
        1,
        0.5,
        2,
        0.5,
        1,
    ]
    assert Listed("m", "=m", (Period(Price(1), day),)).at(0) == Price(1)
    assert Listed("m", "=m", ()).at(0) is None


def test_clauses() -> None:
    clause = ["=a", "^b", "$c", {"all": ["*d", "~^x.*y$"]}]
    assert [matches(clause, name) for name in ("a", "ab", "bz", "zc", "xdy", "xdz", "dxy", "")] == [
        True, False, True, True, True, False, False, False,
    ]  # fmt: skip


@given(st.text(max_size=400), st.sampled_from([*LISTED, "", "nobody"]))
def test_hostile_names_neither_raise_nor_cost(model: str, provider: str) -> None:
    prices = pricing(zzz=CustomPrice(input_per_million=1))
    price = prices.price_for(provider, model, NOW)
    assert price is None or price.input >= 0
    assert len(spellings(model)) <= 6


@pytest.mark.parametrize(
    "model", ["-" * 256, "a/" * 128, "gpt-" * 64, "-tts" * 64, "2024-" * 51, "\ud800", "\x00", "@" * 256]
)
@pytest.mark.timeout(5)
def test_names_made_to_be_slow(model: str) -> None:
    for provider in LISTED:
        assert LIST.find(provider, model) is None


def test_the_longest_custom_name_wins_and_beats_the_list() -> None:
    prices = pricing(**{"claude-": CustomPrice(input_per_million=7), "claude-sonnet": CustomPrice(input_per_million=8)})
    cost = {
        name: prices.cost("anthropic", name, USED) for name in ("claude-sonnet-4-5", "claude-opus-4-5", "claudette")
    }
    assert cost == {"claude-sonnet-4-5": 8.0, "claude-opus-4-5": 7.0, "claudette": None}


def test_a_price_of_one_listed_model_is_not_for_another_whose_name_begins_alike() -> None:
    prices = pricing(**{"gpt-4o": CustomPrice(input_per_million=1), "gpt-4": CustomPrice(input_per_million=99)})
    assert prices.cost("openai", "gpt-4o-2024-11-20", USED) == 1.0
    assert prices.cost("openai", "gpt-4o-mini", USED) == 0.15
    assert prices.cost("openai", "gpt-4-0613", USED) == 99.0
    assert prices.cost("openai", "gpt-4-turbo", USED) == 10.0
    assert prices.cost("openai", "gpt-4.1", USED) == 2.0


def test_a_vendor_costs_nothing_only_if_that_is_said() -> None:
    assert pricing().cost("ollama", "llama3:8b", USED) is None
    free = pricing(**{"ollama/": CustomPrice(input_per_million=0)})
    assert free.cost("ollama", "llama3:8b", USED) == 0.0
    assert free.cost("openai", "llama3:8b", USED) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.yaml", "house-model: {input_per_million: 1.5, output_per_million: 2, cached_input_per_million: 0.5}\n"),
        (
            "p.json",
            '{"house-model": {"input_per_million": 1.5, "output_per_million": 2, "cached_input_per_million": 0.5}}',
        ),
        (
            "p.toml",
            '["house-model"]\ninput_per_million = 1.5\noutput_per_million = 2\ncached_input_per_million = 0.5\n',
        ),
    ],
)
def test_price_files(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    prices = Pricing.of(CostOptions(pricing_file=str(file)))
    usage = Usage(1_000_000, 1_000_000, 500_000)
    assert prices.cost("openai", "house-model-v2", usage) == 0.75 + 0.25 + 2
    over = CostOptions(pricing_file=str(file), custom_models={"house-model": CustomPrice(input_per_million=0)})
    assert Pricing.of(over).cost("openai", "house-model", usage) == 0.0


def test_a_newer_list_can_be_the_price_file(tmp_path: Path) -> None:
    vendor = {"models": [{"id": "new", "match": ["^new"], "prices": [{"price": {"input": 3.0}}]}]}
    file = tmp_path / "prices.json"
    file.write_text(
        json.dumps({"format": "llmtrace-prices/1", "source": "x", "as_of": "2030-01-01", "vendors": {"openai": vendor}})
    )
    prices = Pricing.of(CostOptions(pricing_file=str(file)))
    assert prices.cost("openai", "new-1", USED) == 3.0
    assert (prices.as_of, prices.cost("openai", "gpt-4o", USED)) == ("2030-01-01", None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.yaml", "[1, 2]"),
        ("p.yaml", "a: ]"),
        ("p.yaml", "m: {output_per_million: 1}"),
        ("p.yaml", "m: {input_per_million: -1}"),
        ("p.yaml", "m: {input_per_million: .nan}"),
        ("p.yaml", "m: {input_per_million: '1'}"),
        ("p.yaml", "m: {input_per_million: true}"),
        ("p.yaml", "m: {input_per_million: 1, input_per_milion: 2}"),
        ("p.yaml", "m: {input_per_million: 1, tier_factors: {flex: -1}}"),
        ("p.json", "{"),
        ("p.json", '{"format": "llmtrace-prices/1"}'),
        ("p.json", '{"format": "llmtrace-prices/1", "source": "", "as_of": "", "vendors": {"openai": {"models": 1}}}'),
        ("p.toml", "= 1"),
        ("p.txt", ""),
        ("p.json", "[" * 100_000),
    ],
)
def test_wrong_price_files_are_told(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(str(file))):
        Pricing.of(CostOptions(pricing_file=str(file)))
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        Pricing.of(CostOptions(pricing_file=str(tmp_path / "nowhere.yaml")))


def test_options_tell_what_is_wrong() -> None:
    assert (
        CostOptions(custom_models={"m": CustomPrice(input_per_million=1, tier_factors={"batch": 0.5})}).problems() == []
    )
    wrong = {
        "": CustomPrice(input_per_million=1),
        "m": CustomPrice(input_per_million=-1, tier_factors={"batch": float("inf")}),
    }
    assert len(CostOptions(pricing_file="", custom_models=wrong).problems()) == 4


def test_factors_make_tiers() -> None:
    price = CustomPrice(input_per_million=2, output_per_million=4, tier_factors={"Batch": 0.5}).price()
    assert (price.of("batch").input, price.of("batch").output, price.of("flex").input) == (1, 2, 2)


def bill(
    prices: Pricing, provider: str = "openai", asked: str | None = None, said: str | None = None, **more: Any
) -> Bill:
    prompt = Prompt(model=asked, settings=Settings(service_tier=more.get("asked_tier")))
    answer = Answer(model=said, service_tier=more.get("served_tier"))
    return prices.bill(provider, prompt, answer, more.get("usage", USED), NOW)


def test_the_answer_says_which_model_it_was() -> None:
    prices = pricing()
    assert bill(prices, "azure.ai.openai", "our-deployment", "gpt-4o-2024-11-20") == Bill(2.5, "list", LIST.as_of)
    assert bill(prices, asked="gpt-4o", said="gpt-4o-mini").usd == 0.15
    assert bill(prices, asked="gpt-4o", said="somebody's own name").usd == 2.5
    assert bill(prices, asked="gpt-4o").usd == 2.5


def test_the_answer_says_which_tier_it_was() -> None:
    prices = pricing()
    assert bill(prices, asked="gpt-5", asked_tier="flex").usd == 0.625
    assert bill(prices, asked="gpt-5", asked_tier="flex", served_tier="default").usd == 1.25
    assert bill(prices, asked="gpt-5", asked_tier="auto", served_tier="priority").usd == 2.5


def test_unknown_prices_are_none_and_counted() -> None:
    prices = pricing()
    assert bill(prices, asked="nobody-knows") == Bill(None, "unknown")
    assert bill(prices, asked="x" * 10_000) == Bill(None, "unknown")
    assert prices.unknown.counts() == {("openai", "nobody-knows"): 1, ("openai", "x" * 128): 1}
    assert bill(prices, asked="gpt-4o", usage=Usage()) == Bill()
    assert bill(prices) == Bill()


def test_off_is_off() -> None:
    prices = Pricing(CostOptions(enabled=False))
    assert bill(prices, asked="gpt-4o") == Bill()
    assert prices.cost("openai", "gpt-4o", USED) is None


def test_many_threads_ask_at_once() -> None:
    prices, wrong = Pricing(CostOptions(), catalogue=files.bundled), []

    def ask(seed: int) -> None:
        for number in range(200):
            wrong.extend(found for found in (prices.price_for("groq", f"{seed}-{number}"),) if found is not None)
            assert prices.cost("openai", "gpt-4o", USED) == 2.5

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_broken_list_is_told() -> None:
    with pytest.raises(ValueError, match="format"):
        Catalogue.read(b'{"format":"other","source":"","as_of":"","vendors":{}}')
